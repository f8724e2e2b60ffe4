//! How far the hypotheses (H) of path theory hold in a sampled network.

use std::str::FromStr;

use super::UnknownObservable;
use crate::network::layer::{Activation, LayerRule};
use crate::network::{Architecture, Node};

/// A number that (H) predicts; all are means over the layers of one network.
///
/// H2, that a path traverses each layer at most once, holds for every architecture that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HypothesisObservable {
    /// H1: the share of ReLU units that are open, predicted ½.
    OpenMasks,
    /// H1: the correlation of a unit's mask with a weight that enters it, predicted 0. For weights of mean zero behind
    /// non-negative units it is of order 1/√(fan-in), and harmless: the paths' squares do not see the sign.
    MaskWeightCorrelation,
    /// H1: the correlation of a unit's mask with the square of a weight that enters it, predicted 0.
    MaskSquareCorrelation,
    /// H3: the mean square of the weights over He's variance (2/fan-in before a ReLU), predicted 1; the last layer, whose gain is free, is left out.
    WeightVariance,
    /// H4: the correlation of the weights of consecutive layers of one shape, entry by entry, predicted 0.
    LayerCorrelation,
    /// H5: the correlation of two weights that enter one unit, predicted 0.
    UnitCorrelation,
    /// ‖∂ₓf₀‖₂² over the sum of the path variances, minus 1: its mean is the gap between networks and path theory, 0 under (H).
    Gap,
}

/// Each of them by its name, and in words.
const NAMES: [(&str, &str, HypothesisObservable); 7] = [
    (
        "masks.open",
        "share of a ReLU layer's units that are open, for the first input of a batch; ½ under (H1)",
        HypothesisObservable::OpenMasks,
    ),
    (
        "masks.weight-correlation",
        "correlation of a unit's mask with a weight that enters it; 0 under (H1)",
        HypothesisObservable::MaskWeightCorrelation,
    ),
    (
        "masks.square-correlation",
        "correlation of a unit's mask with the square of a weight that enters it; 0 under (H1)",
        HypothesisObservable::MaskSquareCorrelation,
    ),
    (
        "weights.variance",
        "mean square of the weights over He's variance, without the last layer; 1 under (H3)",
        HypothesisObservable::WeightVariance,
    ),
    (
        "weights.layer-correlation",
        "correlation of the weights of consecutive layers of one shape; 0 under (H4)",
        HypothesisObservable::LayerCorrelation,
    ),
    (
        "weights.unit-correlation",
        "correlation of two weights that enter one unit; 0 under (H5)",
        HypothesisObservable::UnitCorrelation,
    ),
    (
        "logit.l2sq.gap",
        "‖∂ₓf₀‖₂² over the sum of the path variances, minus 1; 0 in the mean under (H)",
        HypothesisObservable::Gap,
    ),
];

impl HypothesisObservable {
    /// The names of all of them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }

    /// All of them, and what they are; each is a mean over the layers, whatever their sizes.
    pub(super) fn summaries() -> impl Iterator<Item = (&'static str, &'static str)> {
        NAMES.iter().map(|(name, summary, _)| (*name, *summary))
    }

    /// Whether an architecture has what is measured: ReLUs, weights right before one, several layers with weights.
    pub fn is_measurable(self, architecture: &Architecture) -> bool {
        let nodes = architecture.nodes();
        let mut weighted = nodes.iter().filter(|node| node.fan().is_some());
        let mut relus = nodes.iter().filter(|node| node.layer.activation().is_some_and(Activation::is_mask));
        match self {
            Self::OpenMasks => relus.next().is_some(),
            Self::MaskWeightCorrelation | Self::MaskSquareCorrelation => {
                relus.any(|relu| relu.source > 0 && nodes[relu.source - 1].fan().is_some())
            }
            Self::WeightVariance => weighted.count() > 1,
            Self::LayerCorrelation => {
                let layers: Vec<&Node> = weighted.collect();
                layers.windows(2).any(|pair| pair[0].tensors[0].sizes == pair[1].tensors[0].sizes)
            }
            Self::UnitCorrelation => weighted.any(|node| node.fan().is_some_and(|fan| fan.inputs > 1)),
            // Whether there is a path theory is known to `theory`.
            Self::Gap => true,
        }
    }

    /// The mean under (H).
    pub fn predicted(self) -> f64 {
        match self {
            Self::OpenMasks => 0.5,
            Self::WeightVariance => 1.0,
            _ => 0.0,
        }
    }
}

impl FromStr for HypothesisObservable {
    type Err = UnknownObservable;

    fn from_str(name: &str) -> Result<Self, UnknownObservable> {
        NAMES.iter().find(|(known, ..)| *known == name).map(|(.., hypothesis)| *hypothesis).ok_or(UnknownObservable)
    }
}
