use super::*;
use crate::network::layer::{Activation, Pointwise};
use crate::network::{Dense, Relu, Shape, Variances};
use crate::sampling::explicit::ExplicitSampler;
use crate::statistics::Moments;
use crate::stream::StreamKey;

const NAMES: [&str; 6] = ["logit.l1", "logit.l2", "logit.l3", "loss.l1", "loss.l2", "loss.l1.rao-blackwell"];

/// What three draws of a network of this depth give, its variances 2/fan-in times 4^power, the powers in order of layers.
fn draws(depth: usize, power: impl Fn(usize) -> i32, input: InputLaw, names: &[&str]) -> Vec<Vec<f64>> {
    let hidden = (0..depth).flat_map(|_| [Dense::new(40).into(), Relu.into()]);
    let layers = hidden.chain([Dense::new(3).into()]).collect();
    let network = Architecture::new(Shape::new([30]).unwrap(), layers).unwrap();
    let variance = |index: usize, fan_in: usize, _| {
        Ok::<_, ()>(Variances { weight: 4f64.powi(power(index / 2)) * 2.0 / fan_in as f64, bias: 0.0 })
    };
    let initialisation = Initialisation::by_layer(&network, WeightDistribution::Normal, variance).unwrap();
    let observables = names.iter().map(|name| name.parse().unwrap()).collect();
    let sampler = CollapsedSampler::new(&network, &initialisation, input, LabelRule::Fixed(1), observables).unwrap();
    let mut worker = sampler.worker();
    let draw = |draw| {
        let mut values = vec![f64::NAN; names.len()];
        worker.draw(StreamKey::new(6, &["scales"]).draw(draw), &mut values);
        values
    };
    (0..3).map(draw).collect()
}

fn assert_scaled(draws: &[Vec<f64>], ordinary: &[Vec<f64>], power: i32, tolerance: f64) {
    for (value, ordinary) in draws.iter().flatten().zip(ordinary.iter().flatten()) {
        let expected = (Scaled::from(*ordinary) * Scaled::power_of_two(power.into())).nearest();
        assert!(expected.is_normal() && (value / expected - 1.0).abs() <= tolerance, "{value} {expected}");
    }
}

/// Doubles and scaled numbers give the same bits, where doubles will do.
#[test]
fn ordinary_networks_are_drawn_in_doubles_to_the_same_bits() {
    let activations = [Activation::Relu, Activation::LeakyRelu { slope: 0.3 }, Activation::Abs, Activation::Identity];
    let hidden = activations.into_iter().flat_map(|activation| [Dense::new(5).into(), Pointwise(activation).into()]);
    let layers = hidden.chain([Dense::new(3).into()]).collect();
    let network = Architecture::new(Shape::new([30]).unwrap(), layers).unwrap();
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    let observables: Vec<Observable> = NAMES.iter().map(|name| name.parse().unwrap()).collect();
    for input in inputs() {
        let mut sampler =
            CollapsedSampler::new(&network, &initialisation, input, LabelRule::Random, observables.clone()).unwrap();
        let draws = |sampler: &CollapsedSampler| -> Vec<[f64; 6]> {
            let mut worker = sampler.worker();
            let draw = |draw| {
                let mut values = [f64::NAN; 6];
                worker.draw(StreamKey::new(7, &["bits"]).draw(draw), &mut values);
                values
            };
            (0..200).map(draw).collect()
        };
        assert!(sampler.ordinary.is_some());
        let doubles = draws(&sampler);
        sampler.ordinary = None;
        assert_eq!(draws(&sampler), doubles);
    }
}

fn inputs() -> [InputLaw; 3] {
    [InputLaw::Gaussian, InputLaw::Constant(0.5), InputLaw::Uniform { low: -1.0, high: 1.0 }]
}

#[test]
fn values_between_layers_may_be_far_beyond_doubles() {
    // Layers that scale by 2, and as many that scale by ½, make no difference to what comes out.
    for input in inputs() {
        let there_and_back = |layer| [1, -1, 0][layer / 600];
        let far = draws(1200, there_and_back, input.clone(), &NAMES);
        assert_eq!(far, draws(1200, |_| 0, input, &NAMES));
    }
}

#[test]
fn deep_gradients_are_right_wherever_doubles_hold_them() {
    for input in inputs() {
        // Variances 8/fan-in and ½/fan-in: gradients of 10²⁶⁰ and 10⁻²⁸⁰.
        for power in [1, -1] {
            let logit = &NAMES[..3];
            let ordinary = draws(900, |_| 0, input.clone(), logit);
            assert_scaled(&draws(900, |_| power, input.clone(), logit), &ordinary, 901 * power, 0.0);
        }
        // Tiny logits all have one softmax, and the loss's gradient is linear in them.
        let small = |layer| if layer < 100 { -1 } else { 0 };
        let ordinary = draws(900, small, input.clone(), &NAMES[3..]);
        assert_scaled(&draws(900, |_| -1, input.clone(), &NAMES[3..]), &ordinary, -801, 1e-6);
        // Huge ones have the softmax of their order.
        let huge = |layer| if layer < 200 { 1 } else { 0 };
        let ordinary = draws(850, huge, input.clone(), &NAMES[3..]);
        let wrong = ordinary.iter().filter(|values| values[0] > 0.0).count();
        assert!(wrong > 0, "the label is not always the largest logit");
        let far = draws(850, |_| 1, input, &NAMES[3..]);
        for (far, ordinary) in far.iter().zip(&ordinary).filter(|(_, values)| values[0] > 0.0) {
            assert_scaled(std::slice::from_ref(far), std::slice::from_ref(ordinary), 651, 1e-6);
        }
    }
}

#[test]
fn inputs_of_any_size_are_no_less_exact() {
    // f(x) does not change where x is 2^k times larger and the first weights are smaller; its gradient does.
    for power in [-100, 100] {
        let scaled = InputLaw::Constant(0.5 * 2f32.powi(power));
        let far = draws(5, |layer| if layer == 0 { -power } else { 0 }, scaled, &NAMES[3..]);
        let ordinary = draws(5, |_| 0, InputLaw::Constant(0.5), &NAMES[3..]);
        assert_scaled(&far, &ordinary, -power, 1e-6);
    }
}

#[test]
fn what_is_beyond_doubles_is_infinite_or_just_above_zero() {
    let names = ["logit.l2sq", "logit.l2"];
    let huge = draws(800, |_| 1, InputLaw::Gaussian, &names);
    assert!(huge.iter().all(|values| values[0] == f64::INFINITY && values[1].is_normal()), "{huge:?}");
    let tiny = draws(800, |_| -1, InputLaw::Gaussian, &names);
    assert!(tiny.iter().all(|values| values[0] == f64::from_bits(1) && values[1].is_normal()), "{tiny:?}");
}

/// Means and squares of the loss's gradient agree with those of networks that are drawn whole, for slopes on both sides of 0 and of 1 and
/// layers so narrow that all units are often on one side: |z| below 4.5 for each of 48 numbers, false alarms below 4·10⁻⁴.
#[test]
fn homogeneous_activations_have_the_law_of_networks_that_are_drawn_whole() {
    let names = ["loss.l1", "loss.l2sq", "loss.linf", "loss.l1.squared", "logit.l1", "logit.l2sq"];
    for slopes in [[0.2, -0.5], [-1.0, 1.0], [1.0, 0.0], [1.7, 0.0]] {
        for widths in [[2, 3], [9, 6]] {
            let layer = |index: usize| {
                let activation = Activation::LeakyRelu { slope: slopes[index] };
                [Dense::new(widths[index]).into(), Pointwise(activation).into()]
            };
            let layers = (0..2).flat_map(layer).chain([Dense::new(3).into()]).collect();
            let network = Architecture::new(Shape::new([7]).unwrap(), layers).unwrap();
            let he = Initialisation::he(&network, WeightDistribution::Normal, 4.0);
            let observables: Vec<Observable> = names.iter().map(|name| name.parse().unwrap()).collect();
            let input = InputLaw::Constant(0.8);
            let collapsed =
                CollapsedSampler::new(&network, &he, input.clone(), LabelRule::Random, observables.clone()).unwrap();
            let explicit = ExplicitSampler {
                architecture: network,
                initialisation: he,
                input,
                label: LabelRule::Random,
                observables,
                batch: 1,
                path_total: None,
            };
            let moments = |sampler: &dyn Sampler, name: &str| {
                let (key, mut worker) = (StreamKey::new(8, &[name]), sampler.worker());
                let mut moments = vec![Moments::default(); names.len()];
                let mut values = vec![f64::NAN; names.len()];
                for draw in 0..20_000 {
                    worker.draw(key.draw(draw), &mut values);
                    moments.iter_mut().zip(&values).for_each(|(moments, &value)| moments.push(value));
                }
                moments
            };
            let (one, other) = (moments(&collapsed, "collapsed"), moments(&explicit, "explicit"));
            for (name, (one, other)) in names.iter().zip(one.iter().zip(&other)) {
                let error = one.std_error().hypot(other.std_error());
                let z = (one.mean() - other.mean()) / error;
                assert!(z.abs() < 4.5, "{name} {slopes:?} {widths:?}: {} {} z = {z}", one.mean(), other.mean());
            }
        }
    }
}
