//! The backward pass over variances: E(∂f_k/∂xᵢ)² as a sum over paths, at the cost of one backward pass.
//!
//! Each edge contributes its weight's variance and each ReLU a factor ½. Exact for a dense chain of independent weights
//! with symmetric rows wherever no pre-activation is zero with positive probability: flipping the sign of a row flips its
//! pre-activation and nothing else, so every mask is a fair coin independent of the row's squares, and the cross terms
//! between two paths that part at a node vanish.

use crate::network::layer::LayerRule;
use crate::network::{Architecture, Initialisation};

/// E‖∂ₓf₀‖₂² = Σᵢ E(∂f₀/∂xᵢ)² by the backward pass over variances.
pub fn expected_squared_gradient(architecture: &Architecture, initialisation: &Initialisation) -> f64 {
    let mut upstream = vec![0.0; architecture.outputs()];
    upstream[0] = 1.0;
    for (index, node) in architecture.nodes().iter().enumerate().rev() {
        let mut downstream = vec![0.0; node.input.len()];
        let variance = initialisation.variances(index).weight;
        node.layer.variance_backward(node.site(), variance, &upstream, &mut downstream);
        upstream = downstream;
    }
    upstream.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::super::DenseLaw;
    use super::*;
    use crate::network::{Dense, DenseChain, Relu, Shape, WeightDistribution};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pass_agrees_with_the_closed_form(
            dimension in 1usize..200, widths in prop::collection::vec(1usize..60, 0..4), gain in 0.1f64..3.0,
        ) {
            let mut layers = Vec::new();
            for &width in &widths {
                layers.extend([Dense::new(width).into(), Relu.into()]);
            }
            layers.push(Dense::new(10).into());
            let network = Architecture::new(Shape::new([dimension]).unwrap(), layers).unwrap();
            let initialisation = Initialisation::he(&network, WeightDistribution::Normal, gain);
            let chain = DenseChain::new(&network, &initialisation).unwrap();
            let closed = DenseLaw::new(&chain).mean(&"logit.l2sq".parse().unwrap()).unwrap();
            prop_assert!((expected_squared_gradient(&network, &initialisation) / closed - 1.0).abs() < 1e-12);
        }
    }
}
