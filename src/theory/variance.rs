//! The backward pass over variances: E(∂f_k/∂xᵢ)² as a sum over paths, at the cost of one backward pass.
//!
//! Each edge contributes its weight's variance, each ReLU a factor ½, each of k averaged edges 1/k². Under the hypotheses (H)
//! the cross term of two different paths vanishes wherever they part over two different weights, whose product has mean 0.
//! It survives where two paths from one input take the same weights through different places and meet again before the
//! next weight of their own: out of a pixel that two pools share, or that one tap of a kernel sees from two places (under
//! reflect padding, or circular padding that wraps a pixel twice), into a global pool. The pass leaves these terms out.
//!
//! Exact without further hypotheses for a dense chain of independent weights with symmetric rows wherever no
//! pre-activation is zero with positive probability: flipping the sign of a row flips its pre-activation and nothing else,
//! so every mask is a fair coin independent of the row's squares.

use super::graph::other_arm;
use crate::network::layer::{LayerRule, NoPathTheory};
use crate::network::{Architecture, Initialisation};

/// E(∂f₀/∂xᵢ)² for every input i, by the backward pass over variances.
///
/// # Errors
/// A layer to which path theory does not apply.
pub fn path_variances(architecture: &Architecture, initialisation: &Initialisation) -> Result<Vec<f64>, NoPathTheory> {
    let nodes = architecture.nodes();
    let values = 0..=nodes.len();
    let mut variances: Vec<Vec<f64>> = values.map(|_| Vec::new()).collect();
    variances[nodes.len()] = vec![0.0; architecture.outputs()];
    variances[nodes.len()][0] = 1.0;
    for (index, node) in nodes.iter().enumerate().rev() {
        // Whatever reads this value came later, and is done.
        let upstream = std::mem::take(&mut variances[index + 1]);
        let mut downstream = vec![0.0; node.input.len()];
        let variance = initialisation.variances(index).weight;
        node.layer.variance_backward(node.site(), variance, &upstream, &mut downstream)?;
        add(&mut variances[node.source], downstream);
        if let Some(value) = other_arm(node)? {
            add(&mut variances[value], upstream);
        }
    }
    Ok(variances.swap_remove(0))
}

/// Adds a contribution to the variances of a value, which are empty before the first.
fn add(variances: &mut Vec<f64>, contribution: Vec<f64>) {
    if variances.is_empty() {
        *variances = contribution;
    } else {
        variances.iter_mut().zip(contribution).for_each(|(sum, more)| *sum += more);
    }
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
            prop_assert!((path_variances(&network, &initialisation).unwrap().iter().sum::<f64>() / closed - 1.0).abs() < 1e-12);
        }
    }
}
