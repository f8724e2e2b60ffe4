//! Laws that any correct implementation obeys, checked on random networks: backpropagation against differences,
//! homogeneity, symmetry, isotropy, and the collapsed sampler against explicit networks.
//!
//! Statistical tests have fixed seeds; each states how often it would fail by chance if the seed were drawn anew.

use gradlaw::network::{
    Architecture, Dense, DenseChain, Initialisation, Layer, Norm, Parameters, Relu, Shape, Tape, Variances,
    WeightDistribution, loss,
};
use gradlaw::observable::Observable;
use gradlaw::sampling::{
    CollapsedSampler, ExplicitSampler, InputLaw, LabelRule, Sampler, StoppingRule, StreamKey, Tally, monte_carlo,
};
use gradlaw::statistics::{KolmogorovSmirnov, Moments};
use gradlaw::theory::DenseLaw;
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

fn network(dimension: usize, widths: &[usize], outputs: usize, bias: bool) -> Architecture {
    let mut layers: Vec<Layer> = Vec::new();
    for &units in widths {
        layers.extend([Dense { units, bias }.into(), Relu.into()]);
    }
    layers.push(Dense { units: outputs, bias }.into());
    Architecture::new(Shape::new([dimension]).unwrap(), layers).unwrap()
}

/// He weights, and biases of standard deviation ½ where the network has them.
fn draw(network: &Architecture, rng: &mut ChaCha8Rng) -> Parameters<f64> {
    let rule = |_, fan_in: usize, _| Ok::<_, ()>(Variances { weight: 2.0 / fan_in as f64, bias: 0.25 });
    Initialisation::by_layer(network, WeightDistribution::Normal, rule).unwrap().draw(network, rng)
}

fn normals(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| WeightDistribution::Normal.draw(rng)).collect()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    /// Away from kinks: a coordinate whose difference quotient changes with the step is at one and is passed over, but
    /// most must not be.
    #[test]
    fn backpropagation_is_the_derivative(
        dimension in 1usize..12,
        widths in prop::collection::vec(1usize..10, 0..4),
        outputs in 1usize..6,
        bias in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = network(dimension, &widths, outputs, bias);
        let parameters = draw(&network, &mut rng);
        let input = normals(dimension, &mut rng);
        let label = rng.random_range(0..outputs);
        let logit = rng.random_range(0..outputs);
        let mut tape = Tape::new(&network);
        tape.forward(&network, &parameters, &input);
        let analytic_loss = tape.loss_gradient(&network, &parameters, label).to_vec();
        let analytic_logit = tape.logit_gradient(&network, &parameters, logit).to_vec();

        let mut moved = |index: usize, step: f64| {
            let mut input = input.clone();
            input[index] += step;
            let logits = tape.forward(&network, &parameters, &input);
            (loss::cross_entropy(logits, label), logits[logit])
        };
        let mut kinks = 0;
        for index in 0..dimension {
            let mut quotient = |step: f64| {
                let (up, down) = (moved(index, step), moved(index, -step));
                ((up.0 - down.0) / (2.0 * step), (up.1 - down.1) / (2.0 * step))
            };
            let (coarse, fine) = (quotient(1e-5), quotient(1e-6));
            if !close(coarse.1, fine.1, 1e-6) {
                kinks += 1;
                continue;
            }
            prop_assert!(close(analytic_loss[index], coarse.0, 1e-7), "{} {}", analytic_loss[index], coarse.0);
            prop_assert!(close(analytic_logit[index], coarse.1, 1e-7), "{} {}", analytic_logit[index], coarse.1);
        }
        prop_assert!(kinks <= 1 + dimension / 4, "{kinks} of {dimension} coordinates at a kink");
    }

    #[test]
    fn bias_free_networks_are_homogeneous(
        dimension in 1usize..12,
        widths in prop::collection::vec(1usize..10, 0..4),
        scale in 0.01f64..100.0,
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = network(dimension, &widths, 3, false);
        let parameters = draw(&network, &mut rng);
        let input = normals(dimension, &mut rng);
        let scaled: Vec<f64> = input.iter().map(|x| scale * x).collect();
        let mut tape = Tape::new(&network);
        let logits = tape.forward(&network, &parameters, &input).to_vec();
        let gradient = tape.logit_gradient(&network, &parameters, 1).to_vec();
        let scaled_logits = tape.forward(&network, &parameters, &scaled).to_vec();
        for (logit, scaled) in logits.iter().zip(&scaled_logits) {
            prop_assert!(close(scale * logit, *scaled, 1e-12), "f(αx) = αf(x)");
        }
        for (one, other) in gradient.iter().zip(tape.logit_gradient(&network, &parameters, 1)) {
            prop_assert!(close(*one, *other, 1e-12), "∂f(αx) = ∂f(x)");
        }
        let euler: f64 = input.iter().zip(&gradient).map(|(x, g)| x * g).sum();
        prop_assert!(close(euler, logits[1], 1e-12), "x·∂f = f");
    }

    #[test]
    fn permuting_hidden_units_changes_nothing(
        dimension in 1usize..8, width in 2usize..10, seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = network(dimension, &[width], 4, true);
        let parameters = draw(&network, &mut rng);
        let mut permuted = parameters.clone();
        let [hidden, last] = [&network.nodes()[0], &network.nodes()[2]];
        let weights = permuted.tensor_mut(hidden, 0);
        weights.chunks_exact_mut(dimension).for_each(|row| row.reverse());
        weights.reverse();
        permuted.tensor_mut(hidden, 1).reverse();
        permuted.tensor_mut(last, 0).chunks_exact_mut(width).for_each(<[f64]>::reverse);
        let input = normals(dimension, &mut rng);
        let mut tape = Tape::new(&network);
        let loss = |tape: &mut Tape<f64>, parameters: &Parameters<f64>| {
            let value = loss::cross_entropy(tape.forward(&network, parameters, &input), 2);
            (value, tape.loss_gradient(&network, parameters, 2).to_vec())
        };
        let (one, other) = (loss(&mut tape, &parameters), loss(&mut tape, &permuted));
        prop_assert!(close(one.0, other.0, 1e-12));
        prop_assert!(one.1.iter().zip(&other.1).all(|(a, b)| close(*a, *b, 1e-12)));
    }
}

/// ∂ₓf₀ at a fixed input: its projections on the input's own direction, on one coordinate, and on a random direction have
/// one law. Two Kolmogorov–Smirnov tests of 20 000 draws, p above 10⁻⁴ (false alarms 2·10⁻⁴).
#[test]
fn the_logit_gradient_is_isotropic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let network = network(6, &[9, 5], 3, false);
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    let input = [3.0, -1.0, 0.5, 0.0, 2.0, 1.0];
    let unit = |direction: Vec<f64>| {
        let length = Norm::TWO.of(&direction);
        direction.into_iter().map(|x| x / length).collect::<Vec<_>>()
    };
    let directions = [unit(input.to_vec()), unit(vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), unit(normals(6, &mut rng))];
    let mut projections = [const { Vec::new() }; 3];
    let mut tape = Tape::new(&network);
    for _ in 0..20_000 {
        for (direction, projections) in directions.iter().zip(&mut projections) {
            let parameters = initialisation.draw(&network, &mut rng);
            tape.forward(&network, &parameters, &input);
            let gradient = tape.logit_gradient(&network, &parameters, 0);
            projections.push(gradient.iter().zip(direction).map(|(g, u)| g * u).sum::<f64>());
        }
    }
    let [along, coordinate, random] = &mut projections;
    for other in [coordinate, random] {
        let test = KolmogorovSmirnov::of_samples(along, other);
        assert!(test.p_value > 1e-4, "{test:?}");
    }
}

fn observables(names: &[&str]) -> Vec<Observable> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// All draws of a sampler, one vector for each observable.
fn draws(sampler: &dyn Sampler, key: &str, count: u64) -> Vec<Vec<f64>> {
    let key = StreamKey::new(5, &[key]);
    let mut worker = sampler.worker();
    let mut columns = vec![Vec::new(); sampler.observables()];
    let mut values = vec![0.0; sampler.observables()];
    for draw in 0..count {
        worker.draw(key.draw(draw), &mut values);
        columns.iter_mut().zip(&values).for_each(|(column, value)| column.push(*value));
    }
    columns
}

fn samplers(
    network: &Architecture,
    gain: f64,
    input: &InputLaw,
    names: &[&str],
) -> (CollapsedSampler, ExplicitSampler) {
    let initialisation = Initialisation::he(network, WeightDistribution::Normal, gain);
    let explicit = ExplicitSampler {
        batch: 1,
        path_total: None,
        architecture: network.clone(),
        initialisation: initialisation.clone(),
        input: input.clone(),
        label: LabelRule::Random,
        observables: observables(names),
    };
    let collapsed =
        CollapsedSampler::new(network, &initialisation, input.clone(), LabelRule::Random, observables(names)).unwrap();
    (collapsed, explicit)
}

/// Kolmogorov–Smirnov of collapsed against explicit draws, 30 000 each, for shallow, narrow and odd networks, every input
/// law and every kind of observable: 6 networks × 3 inputs × 6 observables = 108 tests with p above 10⁻⁵ (false alarms
/// below 1.1·10⁻³ in all).
#[test]
fn the_collapsed_sampler_has_the_law_of_explicit_networks() {
    let names = ["loss.l1", "loss.l2", "loss.linf", "loss.l3", "logit.l1", "logit.l2"];
    let inputs = [InputLaw::Gaussian, InputLaw::Uniform { low: -0.5, high: 2.0 }, InputLaw::Constant(3.0)];
    for (dimension, widths, outputs, gain) in [
        (1, &[4][..], 3, 1.0),
        (3, &[], 2, 1.0),
        (2, &[1, 1], 2, 4.0),
        (17, &[3, 6], 5, 2.0),
        (40, &[20], 10, 9.0),
        (9, &[8, 8, 8], 4, 1.0),
    ] {
        for input in &inputs {
            let (collapsed, explicit) = samplers(&network(dimension, widths, outputs, false), gain, input, &names);
            let pairs = draws(&collapsed, "collapsed", 30_000).into_iter().zip(draws(&explicit, "explicit", 30_000));
            for ((mut one, mut other), name) in pairs.zip(names) {
                // Rounding of single precision must not tell two atoms or two equal values apart.
                one.iter_mut().chain(&mut other).for_each(|value| *value = f64::from((*value * 1e5).round() as f32));
                let test = KolmogorovSmirnov::of_samples(&mut one, &mut other);
                assert!(test.p_value > 1e-5, "{name} at d = {dimension}, widths {widths:?}, {input:?}: {test:?}");
            }
        }
    }
}

/// Means of loss gradients of explicit and collapsed networks within 4.5 standard errors, in wide networks whose
/// gradients hardly vary, so that a constant 1 % off lies beyond 6: 3 inputs × 3 observables (false alarms below 10⁻⁴).
#[test]
fn both_samplers_have_the_same_means_to_a_fraction_of_a_per_cent() {
    for input in [InputLaw::Gaussian, InputLaw::Uniform { low: 0.0, high: 1.0 }, InputLaw::Constant(1.0)] {
        let names = ["loss.l1", "loss.l2", "loss.linf"];
        let (collapsed, explicit) = samplers(&network(64, &[128], 10, false), 1.0, &input, &names);
        let pairs = draws(&collapsed, "collapsed", 60_000).into_iter().zip(draws(&explicit, "explicit", 60_000));
        for ((one, other), name) in pairs.zip(names) {
            let (one, other): (Moments, Moments) = (one.into_iter().collect(), other.into_iter().collect());
            let error = one.std_error().hypot(other.std_error());
            assert!(error < 0.0016 * other.mean(), "{name}: {}", error / other.mean());
            let z = (one.mean() - other.mean()) / error;
            assert!(z.abs() < 4.5, "{name}, {input:?}: {} against {}", one.mean(), other.mean());
        }
    }
}

/// Joint laws, not only marginal ones: the ratio ‖∂ₓL‖₁/‖∂ₓL‖₂ and ‖·‖_∞/‖·‖₂ of each draw. Six tests, p above 10⁻⁴ (false
/// alarms 6·10⁻⁴).
#[test]
fn collapsed_norms_of_one_draw_belong_together() {
    for input in [InputLaw::Gaussian, InputLaw::Uniform { low: 0.0, high: 1.0 }, InputLaw::Constant(1.0)] {
        let names = ["loss.l1", "loss.l2", "loss.linf"];
        let (collapsed, explicit) = samplers(&network(12, &[10, 10], 4, false), 3.0, &input, &names);
        let ratios = |columns: Vec<Vec<f64>>, which: usize| -> Vec<f64> {
            let pairs = columns[which].iter().zip(&columns[1]);
            pairs.filter(|(_, length)| **length > 0.0).map(|(norm, length)| norm / length).collect()
        };
        for which in [0, 2] {
            let mut one = ratios(draws(&collapsed, "collapsed", 20_000), which);
            let mut other = ratios(draws(&explicit, "explicit", 20_000), which);
            let test = KolmogorovSmirnov::of_samples(&mut one, &mut other);
            assert!(test.p_value > 1e-4, "{which}, {input:?}: {test:?}");
        }
    }
}

/// The conditional mean has the mean of the norm (|z| < 4.5) and less variance, whatever the input (false alarms below
/// 3·10⁻⁵).
#[test]
fn the_rao_blackwell_form_has_the_same_mean_and_less_variance() {
    for input in [InputLaw::Gaussian, InputLaw::Uniform { low: -0.2, high: 1.0 }, InputLaw::Constant(1.0)] {
        let names = ["loss.l1", "loss.l1.rao-blackwell", "logit.l1", "logit.l1.rao-blackwell"];
        let (collapsed, _) = samplers(&network(7, &[6, 5], 4, false), 2.0, &input, &names);
        let columns = draws(&collapsed, "conditional", 40_000);
        for pair in columns.chunks(2) {
            let difference: Moments = pair[0].iter().zip(&pair[1]).map(|(norm, mean)| norm - mean).collect();
            assert!((difference.mean() / difference.std_error()).abs() < 4.5, "{input:?}");
            let spread = |column: &Vec<f64>| column.iter().copied().collect::<Moments>().std_dev();
            assert!(spread(&pair[1]) < spread(&pair[0]), "{input:?}");
        }
    }
}

/// Means of explicit and collapsed networks against the closed form, for random chains: |z| < 4.5 for 2 samplers × 12
/// chains × 5 observables (false alarms below 10⁻³ in all).
#[test]
fn sampled_means_meet_the_closed_form() {
    let names = ["logit.l1", "logit.l2sq", "logit.l1.5", "logit.linf", "logit.coordinate"];
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..12 {
        let widths: Vec<usize> = (0..rng.random_range(0..4)).map(|_| rng.random_range(8..40)).collect();
        let network = network(rng.random_range(1..60), &widths, 3, false);
        let (collapsed, explicit) = samplers(&network, 1.5, &InputLaw::Gaussian, &names);
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.5);
        let chain = DenseChain::new(&network, &initialisation).unwrap();
        for sampler in [&collapsed as &dyn Sampler, &explicit] {
            for (column, name) in draws(sampler, "means", 8000).into_iter().zip(names) {
                let exact = DenseLaw::new(&chain).mean(&name.parse().unwrap()).unwrap().nearest();
                let moments: Moments = column.into_iter().collect();
                let z = (moments.mean() - exact) / moments.std_error();
                assert!(z.abs() < 4.5, "{name} of {chain:?}: {} against {exact} (z = {z})", moments.mean());
            }
        }
    }
}

/// A layer all of whose units are closed gives exactly zero, as often as fair coins say: 2⁻² at width 2. |z| < 4.5
/// (false alarms below 2·10⁻⁵).
#[test]
fn dead_layers_give_exact_zeros_as_often_as_coins_say() {
    let network = network(30, &[50, 2], 4, false);
    let (collapsed, explicit) = samplers(&network, 1.0, &InputLaw::Gaussian, &["loss.l2", "logit.l1"]);
    for sampler in [&collapsed as &dyn Sampler, &explicit] {
        let rule = StoppingRule::Draws(10_000);
        let tally =
            monte_carlo::run(sampler, &StreamKey::new(1, &["dead"]), rule, Tally::new(2), &monte_carlo::Unobserved);
        for summary in tally.unwrap().summaries {
            let z = (summary.zeros as f64 - 2500.0) / (10_000.0f64 * 0.25 * 0.75).sqrt();
            assert!(z.abs() < 4.5, "{} zeros", summary.zeros);
            assert_eq!(summary.non_finite, 0);
        }
    }
}

/// Widths beyond the bit counter, and an input of a billion coordinates, cost no memory and keep E‖∂ₓf‖₂² = 1 (|z| < 4.5).
#[test]
fn huge_widths_and_dimensions_are_drawn_from_scalars() {
    let network = network(1_000_000_000, &[1_000_000, 3000], 10, false);
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    let names = observables(&["logit.l2sq", "loss.l2", "loss.l1.rao-blackwell"]);
    let sampler =
        CollapsedSampler::new(&network, &initialisation, InputLaw::Gaussian, LabelRule::Random, names).unwrap();
    let columns = draws(&sampler, "huge", 2000);
    let squares: Moments = columns[0].iter().copied().collect();
    assert!(((squares.mean() - 1.0) / squares.std_error()).abs() < 4.5);
    let expected = (2.0 * 1e9 / std::f64::consts::PI).sqrt();
    let ratio: Moments = columns[2].iter().zip(&columns[1]).map(|(l1, l2)| l1 / l2).collect();
    assert!((ratio.mean() / expected - 1.0).abs() < 1e-6);
}
