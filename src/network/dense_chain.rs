//! Recognises the networks whose gradients have an exact law: dense layers without biases, with an activation between each two that is
//! positively homogeneous, a ReLU or one with another slope below zero.

use thiserror::Error;

use super::architecture::Architecture;
use super::initialisation::Initialisation;
use super::layer::{Activation, Layer, LayerRule};

/// A bias-free dense network with independent weights and activations φ_l(z) = max(z, 0) + a_l min(z, 0): x ∈ ℝ^d, hidden widths n₁…n_D,
/// logits f = W_{D+1} h_D.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseChain {
    /// Input dimension d.
    pub dimension: usize,
    /// Hidden widths n₁…n_D; empty for a linear network.
    pub widths: Vec<usize>,
    /// Standard deviations σ₁…σ_{D+1} of the weights, one more than hidden layers.
    pub std_devs: Vec<f64>,
    /// Slopes a₁…a_D of the activations below zero: 0 of a ReLU, −1 of |z|, 1 of the identity.
    pub slopes: Vec<f64>,
    /// Number of logits.
    pub outputs: usize,
}

/// Why a network is not such a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotADenseChain(pub String);

impl DenseChain {
    /// Reads the chain off an architecture: flatten layers before the first dense layer are allowed, dense layers and homogeneous
    /// activations must alternate, and the last layer is dense.
    ///
    /// # Errors
    /// Names the first layer that does not fit.
    pub fn new(architecture: &Architecture, initialisation: &Initialisation) -> Result<Self, NotADenseChain> {
        if !initialisation.is_independent() {
            return Err(NotADenseChain("the weights are not independent".into()));
        }
        let (mut widths, mut std_devs, mut slopes, mut after_dense) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (index, node) in architecture.nodes().iter().enumerate() {
            let refuse =
                |reason: &str| Err(NotADenseChain(format!("layer {} ({}) {reason}", node.position, node.layer.name())));
            match &node.layer {
                Layer::Flatten(_) => {}
                Layer::Dense(dense) if dense.bias => return refuse("has biases"),
                Layer::Dense(_) if after_dense => return refuse("follows a dense layer without a relu between"),
                Layer::Dense(dense) => {
                    widths.push(dense.units);
                    std_devs.push(initialisation.variances(index).weight.sqrt());
                    after_dense = true;
                }
                layer => match layer.activation().and_then(Activation::slope_below) {
                    Some(slope) if after_dense => {
                        slopes.push(slope);
                        after_dense = false;
                    }
                    Some(_) => return refuse("does not follow a dense layer"),
                    None => return refuse("is neither dense nor relu, leaky-relu, abs or identity"),
                },
            }
        }
        match widths.pop() {
            Some(outputs) if after_dense => {
                Ok(Self { dimension: architecture.dimension(), widths, std_devs, slopes, outputs })
            }
            _ => Err(NotADenseChain("the last layer is not dense".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Flatten, Relu, Shape, WeightDistribution};
    use super::*;

    fn chain(layers: Vec<Layer>) -> Result<DenseChain, NotADenseChain> {
        let network = Architecture::new(Shape::new([3, 4, 4]).unwrap(), layers).unwrap();
        DenseChain::new(&network, &Initialisation::he(&network, WeightDistribution::Normal, 1.0))
    }

    #[test]
    fn widths_and_deviations_are_read_off() {
        let dense = |units| Dense::new(units).into();
        let read = chain(vec![Flatten.into(), dense(8), Relu.into(), dense(5), Relu.into(), dense(10)]).unwrap();
        assert_eq!((read.dimension, read.outputs), (48, 10));
        assert_eq!((read.widths, read.slopes), (vec![8, 5], vec![0.0, 0.0]));
        let expected = [2.0f64 / 48.0, 2.0 / 8.0, 1.0 / 5.0].map(f64::sqrt);
        assert_eq!(read.std_devs, expected);
    }

    #[test]
    fn other_networks_are_refused_with_the_layer() {
        let dense = |units| Dense::new(units).into();
        let refused = |layers| chain(layers).unwrap_err().to_string();
        let biased = Dense { units: 4, bias: true }.into();
        assert_eq!(refused(vec![Flatten.into(), biased]), "layer 1 (dense) has biases");
        assert!(refused(vec![Flatten.into(), dense(4), dense(4)]).contains("without a relu"));
        assert!(refused(vec![Flatten.into(), Relu.into(), dense(4)]).contains("does not follow a dense layer"));
        assert!(refused(vec![Flatten.into(), dense(4), Relu.into()]).contains("last layer"));
    }
}
