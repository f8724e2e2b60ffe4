//! What the explicit sampler draws: networks with fresh weights, an input and a label each, and what is observed of them.
//!
//! Right for every architecture and initialisation. How they are drawn is for the workers: one for every network
//! (`general.rs`), and a faster one for dense networks (`fused.rs`).

use super::input::{InputLaw, LabelRule};
use super::observable::{HypothesisObservable, Observable};
use crate::network::layer::LayerRule;
use crate::network::{Architecture, Initialisation, pools_first};

/// Draws networks of one architecture and initialisation and measures their gradients, in single precision (double where
/// that would over- or underflow) with sums in double.
#[derive(Debug, Clone)]
pub struct ExplicitSampler {
    /// The network.
    pub architecture: Architecture,
    /// The law of its parameters.
    pub initialisation: Initialisation,
    /// The law of its inputs.
    pub input: InputLaw,
    /// How labels are chosen.
    pub label: LabelRule,
    /// What is measured.
    pub observables: Vec<Observable>,
    /// Samples that run together, of which the first is observed; more than one only where a layer mixes them.
    pub batch: usize,
    /// Σᵢ E(∂f₀/∂xᵢ)² by path theory, where the gap to it is measured.
    pub path_total: Option<f64>,
}

/// Beyond this factor between the typical sizes of a network's values, single precision may over- or underflow.
const SINGLE_RANGE: f64 = 1e15;

/// Attacks of a smaller size per coordinate change single-precision losses by little more than their rounding.
const SINGLE_STEP: f64 = 1e-4;

impl ExplicitSampler {
    /// Whether networks are computed in double precision: where the typical size of a value, by the variances alone, spans
    /// more than fifteen powers of ten from layer to layer, or where an attack is so small that single precision would
    /// round it off.
    pub(super) fn needs_double(&self) -> bool {
        let is_tiny = |observable: &Observable| match observable {
            Observable::Attack(attack) => attack.epsilon < SINGLE_STEP,
            _ => false,
        };
        // The mean square of a typical unit of each value.
        let mut squares = vec![1.0f64];
        for (index, node) in self.architecture.nodes().iter().enumerate() {
            let (below, variances) = (squares[node.source], self.initialisation.variances(index));
            let bias =
                if node.has_bias() { variances.bias + self.initialisation.departures.bias_mean.powi(2) } else { 0.0 };
            let square = match node.fan() {
                // Half of a hidden layer's inputs are closed; the order of magnitude is all that is asked for.
                Some(fan) => variances.weight * fan.inputs as f64 / 2.0 * below + bias,
                None if node.layer.mixes_batch() => 1.0,
                None => below,
            };
            squares.push(square + node.addend.map_or(0.0, |addend| squares[addend.value]));
        }
        let (least, most) = squares.iter().fold((1.0f64, 1.0f64), |(low, high), &s| (low.min(s), high.max(s)));
        let range = (most / least).sqrt();
        range.is_nan() || range > SINGLE_RANGE || self.observables.iter().any(is_tiny)
    }

    /// What runs in place of the architecture: pools go before convolutions where that is faster and no observable looks at a layer.
    pub(super) fn running(&self) -> Architecture {
        let looks_inside = |observable: &Observable| match observable {
            Observable::Hypothesis(hypothesis) => *hypothesis != HypothesisObservable::Gap,
            _ => false,
        };
        if self.observables.iter().any(looks_inside) {
            self.architecture.clone()
        } else {
            pools_first(&self.architecture)
        }
    }
}
