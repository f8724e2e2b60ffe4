//! Where path theory applies: networks whose masks can be fair coins, and whose paths do not share all their weights.

use crate::network::Architecture;
use crate::network::layer::{Activation, LayerRule, NoPathTheory};

/// Most units of a network whose variances are held in memory, 8 bytes each.
const MOST_UNITS: usize = 100_000_000;

/// Why a residual block with a weightless path through each arm has no path theory.
const NO_WEIGHTS: NoPathTheory = NoPathTheory::Layers(
    "a residual block with a path around the weights in both arms sends two paths over the same weights, whose cross term \
     does not vanish",
);

/// Why a ReLU on values that are seldom negative has no path theory.
const ONE_SIDED: NoPathTheory = NoPathTheory::Layers(
    "H1 fails: a ReLU reads values that are positive more or less often than half of the time, since another ReLU, or a shift by \
     constants, stands before it without weights between (as behind a residual block whose identity carries a ReLU's output)",
);

/// Checks an architecture: that a ReLU reads values whose laws are symmetric in sign, without which it is no fair coin
/// however wide the network (inputs are taken to be symmetric); that paths through both arms of a residual block differ in
/// a weight; and that its variances fit into memory.
///
/// # Errors
/// The first reason why path theory does not apply.
pub fn check_applies(architecture: &Architecture) -> Result<(), NoPathTheory> {
    let outputs = architecture.nodes().iter().map(|node| node.output.len());
    let units = outputs.fold(architecture.dimension(), usize::saturating_add);
    if units > MOST_UNITS {
        return Err(NoPathTheory::TooLarge { units, most: MOST_UNITS });
    }
    let mut symmetric = vec![true];
    for node in architecture.nodes() {
        if node.layer.activation().is_some_and(Activation::needs_symmetry) && !symmetric[node.source] {
            return Err(ONE_SIDED);
        }
        if node.addend.is_some_and(|addend| !addend.has_weights) {
            return Err(NO_WEIGHTS);
        }
        let other = node.addend.is_none_or(|addend| symmetric[addend.value]);
        symmetric.push(node.layer.is_symmetric(symmetric[node.source]) && other);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{AveragePool, Conv, Dense, Flatten, Part, Relu, Shape, Window};

    fn check(input: &[usize], parts: Vec<Part>) -> Result<(), NoPathTheory> {
        check_applies(&Architecture::from_parts(Shape::new(input).unwrap(), parts).unwrap())
    }

    #[test]
    fn relus_need_weights_between_them() {
        let dense = || Part::from(Dense::new(4));
        assert_eq!(check(&[4], vec![dense(), Relu.into(), dense(), Relu.into(), dense()]), Ok(()));
        assert_eq!(check(&[4], vec![dense(), Relu.into(), Relu.into(), dense()]), Err(ONE_SIDED));
        let conv = || Part::from(Conv { channels: 2, window: Window::new(1, 1), bias: false });
        let pool = || Part::from(AveragePool(Window::new(2, 2)));
        assert_eq!(check(&[1, 4, 4], vec![conv(), pool(), Relu.into(), Flatten.into(), dense()]), Ok(()));
        let behind = vec![conv(), Relu.into(), pool(), Relu.into(), Flatten.into(), dense()];
        assert_eq!(check(&[1, 4, 4], behind), Err(ONE_SIDED));
    }

    #[test]
    fn residual_blocks_need_weights_and_pre_activations() {
        let dense = || Part::from(Dense::new(4));
        let block = |branch: Vec<Part>| Part::Residual { branch, projection: vec![] };
        let post = vec![dense(), Relu.into(), block(vec![dense(), Relu.into(), dense()]), Relu.into(), dense()];
        assert_eq!(check(&[4], post), Err(ONE_SIDED));
        let pre =
            vec![dense(), block(vec![Relu.into(), dense()]), block(vec![Relu.into(), dense()]), Relu.into(), dense()];
        assert_eq!(check(&[4], pre), Ok(()));
        assert_eq!(check(&[4], vec![dense(), block(vec![Flatten.into()]), dense()]), Err(NO_WEIGHTS));
    }

    #[test]
    fn networks_beyond_memory_are_refused_by_their_shapes() {
        let wide = check(&[1 << 45], vec![Dense::new(4).into(), Relu.into(), Dense::new(4).into()]);
        assert!(matches!(wide, Err(NoPathTheory::TooLarge { units, .. }) if units > 1 << 45));
    }
}
