//! What the explicit sampler draws: networks with fresh weights, an input and a label each, and what is observed of them.
//!
//! Right for every architecture and initialisation. How they are drawn is for the workers: one for every network
//! (`general.rs`), and a faster one for dense networks (`fused.rs`).

use super::input::{InputLaw, LabelRule};
use crate::network::layer::{Activation, Layer, LayerRule};
use crate::network::{Architecture, Initialisation, pools_first};
use crate::observable::{HypothesisObservable, Observable};
use crate::scaled::Scaled;

/// Draws networks of one architecture and initialisation and measures their gradients, in single precision with sums in double;
/// in double where single would over- or underflow; and where that would too, in double with every layer scaled by a power of
/// two, which changes no bit of a gradient but its exponent.
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
    pub path_total: Option<Scaled>,
}

/// Beyond this factor between the typical sizes of a network's values, single precision may over- or underflow.
const SINGLE_RANGE: f64 = 1e15;

/// Natural logarithm of the largest factor between a network's values, with their fluctuations, for which single precision has
/// room: 10³⁰.
const SINGLE_ROOM: f64 = 69.0;

/// The same for double precision: 10²⁵⁰.
const DOUBLE_ROOM: f64 = 575.0;

/// Attacks of a smaller size per coordinate change single-precision losses by little more than their rounding.
const SINGLE_STEP: f64 = 1e-4;

/// How large the values of networks are, by the variances alone, value by value as an architecture numbers them.
struct Sizes {
    /// The mean square of a typical unit.
    squares: Vec<Scaled>,
    /// The variance of the logarithm of all units' squares together, 5/n for each layer of n units before.
    fluctuations: Vec<f64>,
}

impl Sizes {
    /// The largest size over the smallest, of values that are not all zero and of 1.
    fn range(&self) -> Scaled {
        let sizes = self.squares.iter().copied().filter(|square| !square.is_zero());
        let (least, most) = sizes.fold((Scaled::ONE, Scaled::ONE), |(low, high), square| {
            (if square < low { square } else { low }, if square > high { square } else { high })
        });
        (most / least).sqrt()
    }

    /// Natural logarithm of the factor between the values that may be met: the range, and eight standard deviations of a
    /// log-normal law about its median, which is below its mean.
    fn room(&self) -> f64 {
        let fluctuation = self.fluctuations.iter().copied().fold(0.0, f64::max);
        self.range().log2() * std::f64::consts::LN_2 + fluctuation / 4.0 + 4.0 * fluctuation.sqrt()
    }

    /// The power of two nearest to the median size of a value; `None` of one that is zero.
    fn exponent(&self, value: usize) -> Option<i64> {
        let median = self.squares[value].log2() / 2.0 - self.fluctuations[value] / 4.0 * std::f64::consts::LOG2_E;
        median.is_finite().then_some(median.round() as i64)
    }
}

/// The mean square of an activation's units, by that of what it is given.
fn mean_square(activation: Activation, below: Scaled) -> Scaled {
    match activation.slope_below() {
        Some(_) => below * activation.mean_square(1.0).into(),
        // Beyond doubles the others are flat, or as steep as at their edge.
        None => activation.mean_square(below.nearest().clamp(1e-300, 1e300)).into(),
    }
}

impl ExplicitSampler {
    /// Whether networks are computed in double precision: where the typical size of a value, by the variances alone, spans
    /// more than fifteen powers of ten from layer to layer, where so deep a network fluctuates beyond single precision, or where
    /// an attack is so small that single precision would round it off.
    pub(super) fn needs_double(&self) -> bool {
        let is_tiny = |observable: &Observable| match observable {
            Observable::Attack(attack) => attack.epsilon < SINGLE_STEP,
            _ => false,
        };
        let sizes = self.sizes();
        let is_single = sizes.range() <= SINGLE_RANGE.into() && sizes.room() <= SINGLE_ROOM;
        !is_single || self.observables.iter().any(is_tiny)
    }

    /// Checks that its networks can be computed.
    ///
    /// # Errors
    /// Says why double precision has no room for their values.
    pub fn check(&self) -> Result<(), String> {
        self.drawn().map(|_| ())
    }

    /// What is drawn in place of the initialisation, and the unit of its logits: the networks in units in which double precision
    /// has room for all their values, where it has not in those that are given.
    ///
    /// # Errors
    /// Says why there are no such units.
    pub(super) fn drawn(&self) -> Result<(Initialisation, Scaled), String> {
        let sizes = self.sizes();
        if sizes.room() <= DOUBLE_ROOM {
            return Ok((self.initialisation.clone(), Scaled::ONE));
        }
        let refuse = |reason: &str| {
            let range = sizes.range();
            Err(format!(
                "has values whose sizes differ by a factor of {range}, too much for double precision, and {reason}"
            ))
        };
        // What does not only ask for gradients of the network, which have the scales of all layers as a factor.
        let is_scaled = |observable: &Observable| match observable {
            Observable::Gradient(_) => true,
            Observable::Hypothesis(hypothesis) => *hypothesis != HypothesisObservable::WeightVariance,
            Observable::Attack(_) | Observable::Defined => false,
        };
        if !self.observables.iter().all(is_scaled) {
            return refuse("attacks and weights.variance are measured of networks as they are");
        }
        let exponents = self.exponents(&sizes);
        match self.initialisation.in_units(&self.architecture, &exponents) {
            Some(initialisation) => {
                Ok((initialisation, Scaled::power_of_two(exponents[self.architecture.nodes().len()])))
            }
            None => refuse("its biases or normalisations do not scale with them"),
        }
    }

    /// Of every value, a power of two of its size: one for all values that pass on to each other without weights, and none where a
    /// layer does not pass on factors.
    fn exponents(&self, sizes: &Sizes) -> Vec<i64> {
        let nodes = self.architecture.nodes();
        let mut classes: Vec<usize> = (0..=nodes.len()).collect();
        let mut join = |one: usize, other: usize| {
            let (kept, joined) = (classes[one].min(classes[other]), classes[one].max(classes[other]));
            classes.iter_mut().filter(|class| **class == joined).for_each(|class| *class = kept);
        };
        for (index, node) in nodes.iter().enumerate() {
            if matches!(node.layer, Layer::BatchNorm(_) | Layer::Normalise(_) | Layer::SampleNorm(_)) {
                // Value 0, the input, is as it is.
                join(0, node.source);
                join(0, index + 1);
            } else if node.fan().is_none() {
                join(node.source, index + 1);
            }
            if let Some(addend) = node.addend {
                join(addend.value, index + 1);
            }
        }
        let mut exponents: Vec<Option<i64>> = vec![None; nodes.len() + 1];
        exponents[0] = Some(0);
        for (value, &class) in classes.iter().enumerate().filter(|(_, class)| **class != 0) {
            exponents[class] = exponents[class].max(sizes.exponent(value));
        }
        classes.iter().map(|&class| exponents[class].unwrap_or(0)).collect()
    }

    fn sizes(&self) -> Sizes {
        let input = match self.input {
            InputLaw::Constant(value) => value.abs(),
            InputLaw::Uniform { low, high } => low.abs().max(high.abs()),
            InputLaw::Gaussian | InputLaw::Samples(_) => 1.0,
        };
        let input = if input == 0.0 { Scaled::ONE } else { Scaled::from(f64::from(input)).power(2) };
        let (mut squares, mut fluctuations) = (vec![input], vec![0.0]);
        for (index, node) in self.architecture.nodes().iter().enumerate() {
            let (below, fluctuation) = (squares[node.source], fluctuations[node.source]);
            let variances = self.initialisation.variances(index);
            let (square, fluctuation) = match node.fan() {
                Some(fan) => {
                    let bias = if node.has_bias() {
                        variances.bias + self.initialisation.broken_hypotheses.bias_mean.powi(2)
                    } else {
                        0.0
                    };
                    let inputs = fan.inputs as f64;
                    let before = if node.source == 0 { 0.0 } else { fluctuation + 5.0 / inputs };
                    (Scaled::from(variances.weight) * inputs.into() * below + bias.into(), before)
                }
                None if node.layer.mixes_batch() || matches!(node.layer, Layer::SampleNorm(_)) => (Scaled::ONE, 0.0),
                None => {
                    let square = match node.layer.activation() {
                        // Of what a hidden layer is given a part is closed.
                        Some(activation) => mean_square(activation, below),
                        None => below,
                    };
                    (square, fluctuation)
                }
            };
            squares.push(node.addend.map_or(square, |addend| square + squares[addend.value]));
            fluctuations.push(node.addend.map_or(fluctuation, |addend| fluctuation.max(fluctuations[addend.value])));
        }
        Sizes { squares, fluctuations }
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

#[cfg(test)]
mod tests {
    use super::super::monte_carlo::Sampler;
    use super::*;
    use crate::network::norm::NormSums;
    use crate::network::{
        Conv, Dense, Flatten, Node, Norm, PaddingMode, Part, Relu, Shape, Tape, Variances, WeightDistribution, Window,
        loss,
    };
    use crate::stream::StreamKey;

    /// A sampler of networks with the variances 2/fan-in, times 4^power.
    fn sampler(network: &Architecture, power: impl Fn(&Node) -> i32) -> ExplicitSampler {
        let variance = |index: usize, fan_in: usize, _| {
            let weight = 4f64.powi(power(&network.nodes()[index])) * 2.0 / fan_in as f64;
            Ok::<_, ()>(Variances { weight, bias: 0.0 })
        };
        let names = ["logit.l1", "logit.l2", "logit.l3", "loss.l2", "loss.linf"];
        ExplicitSampler {
            initialisation: Initialisation::by_layer(network, WeightDistribution::Uniform, variance).unwrap(),
            architecture: network.clone(),
            input: InputLaw::Constant(0.5),
            label: LabelRule::Fixed(1),
            observables: names.map(|name| name.parse().unwrap()).to_vec(),
            batch: 1,
            path_total: None,
        }
    }

    /// Layers with variances 4^power times others' make the same networks, whose logits and gradients have 2^power more each.
    fn assert_gradients_are_those_of_ordinary_networks(network: &Architecture, power: impl Fn(&Node) -> i32) {
        let total: i32 = network.nodes().iter().filter(|node| node.fan().is_some()).map(&power).sum();
        let unit = Scaled::power_of_two(total.into());
        let (ordinary, far) = (sampler(network, |_| 0), sampler(network, power));
        assert!(far.needs_double() && far.sizes().room() > DOUBLE_ROOM);
        let (mut worker, mut close) = (far.worker(), 0);
        for draw in 0..3 {
            let stream = || StreamKey::new(3, &["far"]).draw(draw);
            let mut values = [f64::NAN; 5];
            worker.draw(stream(), &mut values);

            let mut rng = stream();
            let (_, label) = ordinary.input.choose(ordinary.label, 3, &mut rng);
            let parameters = ordinary.initialisation.draw(network, &mut rng);
            let mut tape = Tape::<f64>::new(network);
            let logits = tape.forward(network, &parameters, &vec![0.5; network.dimension()]);
            let logits: Vec<f64> = logits.iter().map(|logit| unit.clamped().0 * logit).collect();
            let mut slopes = [0.0; 3];
            loss::cross_entropy_gradient(&logits, label, &mut slopes);
            let of_logits = [0, 1, 2].map(|logit| tape.logit_gradient(network, &parameters, logit).to_vec());
            let of_input = |input: usize| (0..3).map(|logit| slopes[logit] * of_logits[logit][input]).sum::<f64>();
            let of_loss: Vec<f64> = (0..network.dimension()).map(of_input).collect();
            let mut sums = NormSums::new(&[Norm::new(3.0).unwrap()]);
            for (gradient, range) in [(&of_logits[0], 0..3), (&of_loss, 3..5)] {
                sums.clear();
                sums.add(gradient);
                for (value, observable) in values[range.clone()].iter().zip(&far.observables[range]) {
                    let expected = observable.of_gradient().unwrap().of_sums_in_units(&sums, unit);
                    // A softmax that is certain of the label has no gradient.
                    let is_exact = *value == 0.0 && expected == 0.0;
                    let is_close = expected.is_normal() && (value / expected - 1.0).abs() < 1e-12;
                    assert!(is_exact || is_close, "{value} {expected}");
                    close += usize::from(is_close);
                }
            }
        }
        assert!(close > 9, "losses too");
    }

    #[test]
    fn gradients_of_deep_networks_are_right_wherever_doubles_hold_them() {
        let hidden = || [Part::from(Dense::new(24)), Relu.into()];
        let parts = (0..900).flat_map(|_| hidden()).chain([Dense::new(3).into()]).collect();
        let network = Architecture::from_parts(Shape::new([24]).unwrap(), parts).unwrap();
        // Variances 8/fan-in and ½/fan-in: logits of 10²⁵⁰ and 10⁻²⁹⁰.
        for power in [1, -1] {
            assert_gradients_are_those_of_ordinary_networks(&network, |_| power);
        }
    }

    #[test]
    fn values_of_residual_networks_may_be_far_beyond_doubles() {
        let window = Window { padding: 1, mode: PaddingMode::Circular, ..Window::new(3, 1) };
        let conv = || Part::from(Conv { channels: 4, window, bias: false });
        let identity = Part::Residual { branch: vec![Relu.into(), conv()], projection: vec![] };
        let projected = Part::Residual { branch: vec![Relu.into(), conv(), conv()], projection: vec![conv()] };
        let blocks = (0..2).flat_map(|_| [identity.clone(), conv(), projected.clone(), Relu.into(), conv()]);
        let dense = [Flatten.into(), Dense::new(20).into(), Dense::new(20).into(), Dense::new(3).into()];
        let parts = [conv()].into_iter().chain(blocks).chain(dense).collect();
        let network = Architecture::from_parts(Shape::new([4, 3, 3]).unwrap(), parts).unwrap();
        // Up to 2²⁰⁰⁰, and back: factors between the blocks, where they are factors of the whole.
        assert_gradients_are_those_of_ordinary_networks(&network, |node| match &node.layer {
            Layer::Conv(_) if node.position.contains('.') => 0,
            Layer::Conv(_) => 400,
            _ => -505,
        });
    }

    #[test]
    fn ordinary_networks_are_drawn_as_they_are() {
        let network = Architecture::new(Shape::new([24]).unwrap(), vec![Dense::new(3).into()]).unwrap();
        let ordinary = sampler(&network, |_| 0);
        assert!(!ordinary.needs_double());
        assert_eq!(ordinary.drawn(), Ok((ordinary.initialisation.clone(), Scaled::ONE)));
        let mut attacked = sampler(&network, |_| 500);
        assert_eq!(attacked.check(), Ok(()), "a gradient of 10¹⁵⁰");
        attacked.input = InputLaw::Constant(1e38);
        attacked.observables.push("damage.fgsm@0.1".parse().unwrap());
        assert_eq!(attacked.check(), Ok(()), "10¹⁸⁸, which doubles hold");
        let (mut tiny, mut deep) = (attacked.clone(), vec![Part::from(Dense::new(24)); 3]);
        deep.push(Dense::new(3).into());
        tiny.architecture = Architecture::from_parts(Shape::new([24]).unwrap(), deep).unwrap();
        tiny.initialisation = sampler(&tiny.architecture, |_| -400).initialisation;
        let refused = tiny.check().unwrap_err();
        assert!(refused.contains("too much for double precision, and attacks"), "{refused}");
    }

    /// So deep and narrow a network has a median beyond single precision, though its mean is 1.
    #[test]
    fn fluctuations_count() {
        let hidden = |depth: usize| (0..depth).flat_map(|_| [Part::from(Dense::new(16)), Relu.into()]);
        let network = |depth: usize| {
            let parts = hidden(depth).chain([Dense::new(3).into()]).collect();
            Architecture::from_parts(Shape::new([16]).unwrap(), parts).unwrap()
        };
        assert!(!sampler(&network(100), |_| 0).needs_double());
        assert!(sampler(&network(1000), |_| 0).needs_double());
    }
}
