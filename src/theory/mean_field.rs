//! Mean-field theory: dense networks of any activation in the limit of wide layers.
//!
//! With σ_w² = fan-in × variance of a layer, its pre-activations are Gaussian with variance q_{l+1} = σ_w² E φ(√q_l z)² + σ_b², and
//! each activation multiplies squared gradients by E φ′(√q_l z)² in the mean: E‖∂ₓf_k‖₂² → Π σ_w² Π E φ′², and the coordinates of
//! ∂ₓf_k are independent Gaussians (Poole et al., arXiv 1606.05340; Schoenholz et al., arXiv 1611.01232). Corrections are of order
//! depth/width. Masks and weights are taken to be independent, as in path theory; the law of the weights needs a variance only.

use crate::network::layer::{Activation, Layer, LayerRule};
use crate::network::{Architecture, BrokenHypotheses, Initialisation};
use crate::scaled::Scaled;

/// Steps after which a variance that has a fixed point has come to it.
const STEPS: usize = 4000;

/// The limit for one network.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanField {
    /// Σᵢ E(∂f₀/∂xᵢ)².
    total: Scaled,
    /// The hidden layers, from the input on.
    pub layers: Vec<HiddenLayer>,
}

/// A dense layer and the activation behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HiddenLayer {
    /// φ.
    pub activation: Activation,
    /// Variance of the weights times the fan-in, σ_w².
    pub weight: f64,
    /// Variance of the biases, σ_b².
    pub bias: f64,
    /// Variance of the pre-activations, q.
    pub variance: f64,
    /// E φ′(√q z)².
    pub slope: f64,
}

/// What becomes of two inputs that are close to each other, in a deep network of layers that are all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// χ < 1: they come together, and gradients vanish.
    Ordered,
    /// χ = 1 to four digits: the edge of chaos.
    Critical,
    /// χ > 1: they part, and gradients explode.
    Chaotic,
}

/// Where deep networks come to whose layers are all alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedPoint {
    /// Variance of the pre-activations, q.
    pub variance: f64,
    /// χ = σ_w² E φ′(√q z)²: what a layer multiplies squared gradients by.
    pub chi: f64,
}

impl HiddenLayer {
    /// The variance to which pre-activations come after many layers like this one, and χ there; `None` where the variance grows for ever
    /// or vanishes.
    pub fn fixed_point(&self) -> Option<FixedPoint> {
        let Self { activation, weight, bias, .. } = *self;
        let next = |q: f64| weight * activation.mean_square(q) + bias;
        let mut variance = self.variance;
        for _ in 0..STEPS {
            let after = next(variance);
            if after == variance {
                break;
            }
            variance = after;
        }
        let has_settled = (next(variance) / variance - 1.0).abs() < 1e-6 && variance > 1e-100 && variance < 1e100;
        has_settled.then(|| FixedPoint { variance, chi: weight * activation.mean_square_slope(variance) })
    }
}

impl FixedPoint {
    /// On which side of the edge of chaos it is.
    pub fn phase(self) -> Phase {
        if (self.chi - 1.0).abs() < 5e-5 {
            Phase::Critical
        } else if self.chi < 1.0 {
            Phase::Ordered
        } else {
            Phase::Chaotic
        }
    }
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Critical => "critical",
            Self::Chaotic => "chaotic",
        }
    }
}

impl MeanField {
    /// The limit of a network at inputs of this mean square, ‖x‖²/d; `None` unless it is a chain of dense layers with independent weights, each
    /// followed by one activation at most.
    pub fn new(architecture: &Architecture, initialisation: &Initialisation, mean_square: f64) -> Option<Self> {
        if initialisation.broken_hypotheses != BrokenHypotheses::default() {
            return None;
        }
        // The mean square of a layer's inputs, and what the last dense layer was.
        let (mut square, mut before, mut layers) = (mean_square, None, Vec::new());
        let mut total = Scaled::ONE;
        for (index, node) in architecture.nodes().iter().enumerate() {
            match (&node.layer, node.layer.activation()) {
                (Layer::Flatten(_), _) => {}
                (Layer::Dense(_), _) => {
                    let variances = initialisation.variances(index);
                    let weight = variances.weight * node.input.len() as f64;
                    let bias = if node.has_bias() { variances.bias } else { 0.0 };
                    square = weight * square + bias;
                    before = Some((weight, bias));
                    total = total * weight.into();
                }
                // Of wide layers, all groups have the mean square of the whole, and the mean is zero.
                (Layer::SampleNorm(_), _) if before.is_some() => {
                    total = total / square.into();
                    square = 1.0;
                }
                (_, Some(activation)) => {
                    let (weight, bias) = before.take()?;
                    let slope = activation.mean_square_slope(square);
                    layers.push(HiddenLayer { activation, weight, bias, variance: square, slope });
                    square = activation.mean_square(square);
                    total = total * slope.into();
                }
                _ => return None,
            }
        }
        // Behind an activation at the end there is no logit that is a sum over weights.
        before.map(|_| Self { total, layers })
    }

    /// Σᵢ E(∂f₀/∂xᵢ)².
    pub fn total(&self) -> Scaled {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Dense, Pointwise, Shape, Variances, WeightDistribution};

    fn network(activation: Activation, width: usize, weight: f64, bias: f64) -> (Architecture, Initialisation) {
        let hidden = || [Dense { units: width, bias: true }.into(), Pointwise(activation).into()];
        let layers = (0..4).flat_map(|_| hidden()).chain([Dense { units: 3, bias: true }.into()]).collect();
        let architecture = Architecture::new(Shape::new([400]).unwrap(), layers).unwrap();
        let rule = |_, fan_in: usize, fan_out| {
            let gain = if fan_out == 3 { 1.0 } else { weight };
            Ok::<_, ()>(Variances { weight: gain / fan_in as f64, bias })
        };
        let initialisation = Initialisation::by_layer(&architecture, WeightDistribution::Normal, rule).unwrap();
        (architecture, initialisation)
    }

    /// Values computed elsewhere: d = 400, four hidden layers, σ_w² = 1.8 (1 of the last), σ_b = 0.4, ‖x‖² = d.
    #[test]
    fn limits_are_those_of_the_maps_iterated_elsewhere() {
        for (activation, expected) in [(Activation::Tanh, 0.3998), (Activation::Gelu, 0.5718)] {
            let (architecture, initialisation) = network(activation, 100, 1.8, 0.16);
            let found = MeanField::new(&architecture, &initialisation, 1.0).unwrap().total().nearest();
            assert!(
                (found.sqrt() - expected).abs() < 5e-5 || (found - expected).abs() < 5e-5,
                "{activation:?} {found}"
            );
        }
    }

    #[test]
    fn the_edge_of_chaos_is_where_chi_is_one() {
        let phase = |activation, weight, bias| {
            let (architecture, initialisation) = network(activation, 100, weight, bias);
            MeanField::new(&architecture, &initialisation, 1.0).unwrap().layers[0].fixed_point().map(FixedPoint::phase)
        };
        assert_eq!(phase(Activation::Tanh, 1.0, 0.05), Some(Phase::Ordered));
        assert_eq!(phase(Activation::Tanh, 2.5, 0.05), Some(Phase::Chaotic));
        // ReLU: σ_w² = 2 and no bias.
        assert_eq!(phase(Activation::Relu, 2.0, 0.0), Some(Phase::Critical));
        assert_eq!(phase(Activation::Relu, 3.0, 0.0), None, "the variance grows for ever");
        // Tanh at σ_w² = 1 without bias comes to zero too slowly to say.
        assert_eq!(phase(Activation::Erf, 0.5, 0.0), None);
    }

    #[test]
    fn other_networks_have_no_limit_here() {
        let (architecture, mut initialisation) = network(Activation::Tanh, 5, 1.0, 0.1);
        initialisation.broken_hypotheses.shared = true;
        assert_eq!(MeanField::new(&architecture, &initialisation, 1.0), None);
        let twice = vec![
            Dense::new(4).into(),
            Pointwise(Activation::Tanh).into(),
            Pointwise(Activation::Abs).into(),
            Dense::new(2).into(),
        ];
        let architecture = Architecture::new(Shape::new([4]).unwrap(), twice).unwrap();
        let initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        assert_eq!(MeanField::new(&architecture, &initialisation, 1.0), None);
    }
}
