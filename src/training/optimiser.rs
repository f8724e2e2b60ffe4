//! Stochastic gradient descent with momentum.

use crate::network::layer::Role;
use crate::network::{Architecture, Parameters, Real};

/// v ← μ v + g + λ θ, θ ← θ − η v, with momentum μ, weight decay λ and rate η. Weights alone decay: biases, and the scale and
/// shift of a normalisation, have λ = 0. Running statistics stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// μ.
    pub momentum: f64,
    /// λ of weights.
    pub weight_decay: f64,
}

impl Sgd {
    /// Moves the parameters by one step of rate η.
    pub fn step<T: Real>(
        &self,
        architecture: &Architecture,
        rate: f64,
        gradient: &Parameters<T>,
        velocity: &mut Parameters<T>,
        parameters: &mut Parameters<T>,
    ) {
        let [momentum, rate] = [self.momentum, rate].map(T::from_f64);
        for node in architecture.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                let decay = match tensor.role {
                    Role::RunningMean | Role::RunningVariance => continue,
                    Role::Weight(_) => T::from_f64(self.weight_decay),
                    Role::Bias | Role::Scale | Role::Shift => T::zero(),
                };
                let moved = velocity.tensor_mut(node, index).iter_mut().zip(gradient.tensor(node, index));
                for (value, (speed, &slope)) in parameters.tensor_mut(node, index).iter_mut().zip(moved) {
                    *speed = momentum * *speed + slope + decay * *value;
                    *value -= rate * *speed;
                }
            }
        }
    }
}
