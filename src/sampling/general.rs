//! The general worker of the explicit sampler: it draws all weights of a network, runs it forward and backward, and
//! measures whatever is asked. It holds one network. It also says which worker draws which networks.

use super::Stream;
use super::attacked::Attacked;
use super::explicit::ExplicitSampler;
use super::fused::{FusedPlan, FusedWorker};
use super::hypotheses::Sampled;
use super::monte_carlo::{Sampler, Worker};
use super::normal::{BulkGenerator, WeightLaw};
use crate::attack::Model;
use crate::network::norm::NormSums;
use crate::network::{Architecture, Initialisation, Norm, Operator, Parameters, Real, Tape, loss};
use crate::observable::{AttackObservable, Gradient, GradientObservable, HypothesisObservable, Observable};
use crate::scaled::Scaled;
use crate::stop::Stop;

/// Parameters that are drawn between two looks for a request to stop: as many as signs of one integer many times over, so that
/// the numbers do not depend on it.
const UNSTOPPED: usize = 1 << 20;

/// What it takes to draw a weight, in multiplications.
pub(super) const DRAWN: f64 = 4.0;

impl Sampler for ExplicitSampler {
    fn observables(&self) -> usize {
        self.observables.len()
    }

    fn bytes_per_worker(&self) -> u64 {
        if let Some(plan) = FusedPlan::new(self) {
            return plan.bytes();
        }
        let running = self.running();
        let counts = [running.parameter_count(), running.activation_count().saturating_mul(self.batch)];
        let values =
            counts.iter().fold(self.architecture.dimension() as u64, |sum, &count| sum.saturating_add(count as u64));
        values.saturating_mul(if self.needs_double() { size_of::<f64>() } else { size_of::<f32>() } as u64)
    }

    fn cost(&self) -> f64 {
        let mut attacks = Vec::new();
        let mut passes = 1.0 + self.gradients() as f64;
        for observable in &self.observables {
            if let Observable::Attack(AttackObservable { attack, epsilon, .. }) = observable
                && !attacks.contains(&(attack, epsilon))
            {
                attacks.push((attack, epsilon));
                passes += 1.0 + 2.0 * attack.steps().unwrap_or(1) as f64;
            }
        }
        DRAWN * self.architecture.parameter_count() as f64 + passes * self.batch as f64 * self.architecture.cost()
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        if let Some(plan) = FusedPlan::new(self) {
            Box::new(FusedWorker::new(self, plan))
        } else if self.needs_double() {
            Box::new(GeneralWorker::of_drawn(self, draw_one_by_one))
        } else {
            Box::new(GeneralWorker::of_drawn(self, draw_in_bulk))
        }
    }
}

/// What a worker's networks are made of: weights that are drawn, or what is drawn in their place.
pub(super) trait Weights<T: Real>: Send {
    /// Draws those of one network; breaks off where it is asked to stop.
    fn draw(&mut self, stream: &mut Stream, stop: &Stop);

    /// How they act.
    fn operator(&mut self) -> impl Operator<T> + '_;

    /// The weights, where they are at hand.
    fn parameters(&self) -> Option<&Parameters<T>>;
}

/// All weights of a network.
struct Drawn<'a, T> {
    architecture: &'a Architecture,
    /// What is drawn in place of the sampler's initialisation.
    initialisation: Initialisation,
    draw: DrawParameters<T>,
    parameters: Parameters<T>,
}

/// How the parameters of a network are drawn.
type DrawParameters<T> = fn(&Architecture, &Initialisation, &mut Stream, &mut Parameters<T>, &Stop);

impl<T: Real> Weights<T> for Drawn<'_, T> {
    fn draw(&mut self, stream: &mut Stream, stop: &Stop) {
        (self.draw)(self.architecture, &self.initialisation, stream, &mut self.parameters, stop);
    }

    fn operator(&mut self) -> impl Operator<T> + '_ {
        &self.parameters
    }

    fn parameters(&self) -> Option<&Parameters<T>> {
        Some(&self.parameters)
    }
}

impl ExplicitSampler {
    /// Backward passes that the observables of gradients take.
    pub(super) fn gradients(&self) -> usize {
        let is_taken = |gradient| self.observables.iter().any(|observable| concerns(observable, gradient));
        [Gradient::Loss, Gradient::Logit].into_iter().filter(|&gradient| is_taken(gradient)).count()
    }
}

/// Whether an observable is measured of this gradient.
fn concerns(observable: &Observable, of: Gradient) -> bool {
    match observable {
        Observable::Gradient(observable) => observable.gradient == of,
        Observable::Hypothesis(HypothesisObservable::Gap) => of == Gradient::Logit,
        _ => false,
    }
}

/// Draws networks, and measures each of them.
pub(super) struct GeneralWorker<'a, T, W> {
    sampler: &'a ExplicitSampler,
    weights: W,
    /// The unit of the logits and their gradients.
    unit: Scaled,
    /// One input, in single precision.
    input: Vec<f32>,
    /// What runs in place of the sampler's architecture, with the same parameters.
    running: Architecture,
    tape: Tape<T>,
    sums: NormSums,
    attacked: Attacked<T>,
    stop: Stop,
}

impl<'a, T: Real> GeneralWorker<'a, T, Drawn<'a, T>> {
    fn of_drawn(sampler: &'a ExplicitSampler, draw: DrawParameters<T>) -> Self {
        Self::new(sampler, |initialisation| Drawn {
            architecture: &sampler.architecture,
            initialisation,
            draw,
            parameters: Parameters::new(&sampler.architecture),
        })
    }
}

impl<'a, T: Real, W: Weights<T>> GeneralWorker<'a, T, W> {
    /// A worker whose networks are made of what `weights` makes of the law that is drawn.
    pub(super) fn new(sampler: &'a ExplicitSampler, weights: impl FnOnce(Initialisation) -> W) -> Self {
        let gradients = sampler.observables.iter().filter_map(Observable::of_gradient);
        let norms: Vec<Norm> = gradients.filter_map(GradientObservable::norm).collect();
        let running = sampler.running();
        // A spec whose networks have no such units is refused before; a draw of one that is not has values that are not finite.
        let (initialisation, unit) = sampler.drawn().unwrap_or_else(|_| (sampler.initialisation.clone(), Scaled::ONE));
        Self {
            weights: weights(initialisation),
            unit,
            tape: Tape::with_batch(&running, sampler.batch),
            sampler,
            input: vec![0.0; sampler.architecture.dimension()],
            running,
            sums: NormSums::new(&norms),
            attacked: Attacked::default(),
            stop: Stop::default(),
        }
    }

    /// Chooses the inputs of the batch, and the label of the first, which is the one that is observed.
    fn draw_inputs(&mut self, stream: &mut Stream) -> usize {
        let ExplicitSampler { architecture, input, label, .. } = self.sampler;
        let mut first = None;
        for sample in self.tape.input_mut().chunks_exact_mut(architecture.dimension()) {
            let (chosen, label) = input.choose(*label, architecture.outputs(), stream);
            chosen.write(&mut self.input);
            sample.iter_mut().zip(&self.input).for_each(|(value, &x)| *value = T::from_f64(x.into()));
            first.get_or_insert(label);
        }
        // A batch has at least one sample.
        first.unwrap_or_default()
    }

    /// Observables of the gradients ∂ₓL and ∂ₓf₀ at the last forward pass.
    fn measure_gradients(&mut self, label: usize, values: &mut [f64]) {
        let ExplicitSampler { observables, path_total, .. } = self.sampler;
        let architecture = &self.running;
        for gradient in [Gradient::Loss, Gradient::Logit] {
            let concerns = |observable: &Observable| concerns(observable, gradient);
            if !observables.iter().any(concerns) {
                continue;
            }
            let coordinates = match gradient {
                Gradient::Loss if self.unit == Scaled::ONE => {
                    self.tape.loss_gradient(architecture, self.weights.operator(), label)
                }
                Gradient::Loss => {
                    let factor = T::from_f64(self.unit.clamped().0);
                    let of_all = self.tape.gradient(architecture, self.weights.operator(), |logits, upstream| {
                        let logits: Vec<T> = logits.iter().map(|&logit| factor * logit).collect();
                        loss::cross_entropy_gradient(&logits, label, upstream);
                    });
                    &of_all[..architecture.dimension()]
                }
                Gradient::Logit => self.tape.logit_gradient(architecture, self.weights.operator(), 0),
            };
            self.sums.clear();
            self.sums.add(coordinates);
            for (value, observable) in values.iter_mut().zip(observables).filter(|(_, o)| concerns(o)) {
                *value = match observable {
                    Observable::Gradient(observable) => observable.of_sums_in_units(&self.sums, self.unit),
                    _ => {
                        let square = (self.unit * self.sums.norm(Norm::TWO).into()).power(2);
                        (square / path_total.unwrap_or(f64::NAN.into())).nearest() - 1.0
                    }
                };
            }
        }
    }

    fn measure_hypotheses(&self, parameters: &Parameters<T>, values: &mut [f64]) {
        let ExplicitSampler { architecture, observables, .. } = self.sampler;
        let sampled = Sampled { architecture, parameters, tape: &self.tape };
        for (value, observable) in values.iter_mut().zip(observables) {
            match observable {
                Observable::Hypothesis(HypothesisObservable::Gap) => {}
                Observable::Hypothesis(hypothesis) => *value = sampled.measure(*hypothesis),
                _ => {}
            }
        }
    }
}

impl<T: Real, W: Weights<T>> Worker for GeneralWorker<'_, T, W> {
    fn stop_at(&mut self, stop: &Stop) {
        self.tape.stop_at(stop);
        self.stop = stop.clone();
    }

    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        let label = self.draw_inputs(&mut stream);
        self.weights.draw(&mut stream, &self.stop);
        self.tape.propagate(&self.running, self.weights.operator());
        // The passes look for themselves; what is measured of the layers takes long, too.
        if self.stop.is_asked() {
            return;
        }
        self.measure_gradients(label, values);
        let Some(parameters) = self.weights.parameters() else { return };
        self.measure_hypotheses(parameters, values);
        // Last, since attacks move the input.
        let model = Model::new(&self.running, parameters, &mut self.tape);
        self.attacked.measure(model, &self.sampler.observables, label, &mut stream, values);
    }
}

/// Draws all parameters by the scalar sampler, in double precision.
fn draw_one_by_one(
    architecture: &Architecture,
    initialisation: &Initialisation,
    stream: &mut Stream,
    parameters: &mut Parameters<f64>,
    stop: &Stop,
) {
    initialisation.draw_into(architecture, stream, parameters, stop);
}

/// Draws all parameters in bulk, in single precision: the fast twin of [`Initialisation::draw`].
fn draw_in_bulk(
    architecture: &Architecture,
    initialisation: &Initialisation,
    stream: &mut Stream,
    parameters: &mut Parameters<f32>,
    stop: &Stop,
) {
    let mut generator = BulkGenerator::new(stream);
    for (index, node) in architecture.nodes().iter().enumerate() {
        for (place, tensor) in node.tensors.iter().enumerate() {
            let values = parameters.tensor_mut(node, place);
            let Some((distribution, std_dev)) = initialisation.law_of(index, tensor.role) else {
                values.fill(tensor.role.initial_value() as f32);
                continue;
            };
            for values in values.chunks_mut(UNSTOPPED) {
                if stop.is_asked() {
                    return;
                }
                generator.fill(WeightLaw { distribution, std_dev }, values);
            }
        }
    }
    initialisation.depart(architecture, parameters, stream);
}

#[cfg(test)]
mod tests {
    use super::super::input::{InputLaw, LabelRule};
    use super::*;
    use crate::network::{Dense, Relu, Shape, Variances, WeightDistribution};
    use crate::statistics::{KolmogorovSmirnov, Moments};
    use crate::stream::StreamKey;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn network() -> Architecture {
        let layers = vec![Dense::new(12).into(), Relu.into(), Dense { units: 4, bias: true }.into()];
        Architecture::new(Shape::new([9]).unwrap(), layers).unwrap()
    }

    /// Means of weights and squares within 4.5 standard errors (false alarms below 5·10⁻⁵ in all).
    #[test]
    fn bulk_parameters_have_the_law_of_the_scalar_ones() {
        for distribution in [WeightDistribution::Normal, WeightDistribution::Uniform, WeightDistribution::Rademacher] {
            let initialisation = Initialisation::he(&network(), distribution, 1.0);
            let (mut mean, mut square) = (Moments::default(), Moments::default());
            let mut parameters = Parameters::new(&network());
            for draw in 0..3000 {
                let mut stream = StreamKey::new(1, &["parameters"]).draw(draw);
                draw_in_bulk(&network(), &initialisation, &mut stream, &mut parameters, &Stop::default());
                let [weights, biases] = [0, 1].map(|place| parameters.tensor(&network().nodes()[2], place));
                mean.extend(weights.iter().map(|&weight| weight.into()));
                square.extend(weights.iter().map(|&weight| f64::from(weight).powi(2)));
                assert!(biases.iter().all(|&bias| bias == 0.0));
            }
            assert!(mean.mean().abs() < 4.5 * mean.std_error(), "{distribution:?}");
            assert!((square.mean() - 1.0 / 12.0).abs() < 4.5 * square.std_error() + 1e-8, "{distribution:?}");
        }
    }

    /// Looks for a request to stop between parts of a tensor leave its bits as they are.
    #[test]
    fn large_tensors_have_the_bits_of_one_fill() {
        let architecture = Architecture::new(Shape::new([1050]).unwrap(), vec![Dense::new(1020).into()]).unwrap();
        assert!(architecture.parameter_count() > UNSTOPPED);
        for distribution in [WeightDistribution::Normal, WeightDistribution::Uniform, WeightDistribution::Rademacher] {
            let initialisation = Initialisation::he(&architecture, distribution, 1.0);
            let stream = || StreamKey::new(1, &["parameters"]).draw(0);
            let mut parameters = Parameters::new(&architecture);
            draw_in_bulk(&architecture, &initialisation, &mut stream(), &mut parameters, &Stop::default());
            let mut whole = vec![0.0f32; architecture.parameter_count()];
            let std_dev = initialisation.variances(0).weight.sqrt();
            BulkGenerator::new(&mut stream()).fill(WeightLaw { distribution, std_dev }, &mut whole);
            assert_eq!(parameters.values(), whole, "{distribution:?}");
        }
    }

    /// Loss gradients of bulk draws in single precision against scalar draws in double: Kolmogorov–Smirnov, p above
    /// 10⁻⁴ (the false-alarm rate).
    #[test]
    fn draws_have_the_law_of_networks_made_one_by_one() {
        let sampler = ExplicitSampler {
            architecture: network(),
            initialisation: Initialisation::he(&network(), WeightDistribution::Normal, 1.0),
            input: InputLaw::Gaussian,
            label: LabelRule::Fixed(2),
            observables: vec!["loss.l1".parse().unwrap()],
            batch: 1,
            path_total: None,
        };
        let key = StreamKey::new(2, &["bulk"]);
        let mut worker = sampler.worker();
        let mut bulk: Vec<f64> = (0..20_000)
            .map(|draw| {
                let mut values = [0.0];
                worker.draw(key.draw(draw), &mut values);
                values[0]
            })
            .collect();

        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut tape = Tape::<f64>::new(&network());
        let mut scalar: Vec<f64> = (0..20_000)
            .map(|_| {
                let parameters = sampler.initialisation.draw(&network(), &mut rng);
                tape.input_mut().fill_with(|| WeightDistribution::Normal.draw(&mut rng));
                tape.propagate(&network(), &parameters);
                Norm::ONE.of(tape.loss_gradient(&network(), &parameters, 2))
            })
            .collect();
        let test = KolmogorovSmirnov::of_samples(&mut bulk, &mut scalar);
        assert!(test.p_value > 1e-4, "{test:?}");
    }

    /// Loss gradients of the fused worker against the general one: Kolmogorov–Smirnov, p above 10⁻⁴ for each of three laws
    /// (false alarms below 3·10⁻⁴ in all).
    #[test]
    fn the_fused_worker_has_the_law_of_the_general_one() {
        for distribution in [WeightDistribution::Normal, WeightDistribution::Uniform, WeightDistribution::Rademacher] {
            let layers = vec![Dense { units: 32, bias: true }.into(), Relu.into(), Dense::new(5).into()];
            let architecture = Architecture::new(Shape::new([64]).unwrap(), layers).unwrap();
            let rule = |_, fan_in: usize, _| Ok::<_, ()>(Variances { weight: 2.0 / fan_in as f64, bias: 0.5 });
            let sampler = ExplicitSampler {
                initialisation: Initialisation::by_layer(&architecture, distribution, rule).unwrap(),
                architecture,
                input: InputLaw::Gaussian,
                label: LabelRule::Random,
                observables: vec!["loss.l1".parse().unwrap()],
                batch: 1,
                path_total: None,
            };
            let draws = |mut worker: Box<dyn Worker + '_>, key: StreamKey| -> Vec<f64> {
                let mut value = [0.0];
                (0..20_000)
                    .map(|draw| {
                        worker.draw(key.draw(draw), &mut value);
                        value[0]
                    })
                    .collect()
            };
            let plan = FusedPlan::new(&sampler).unwrap();
            let mut fused = draws(Box::new(FusedWorker::new(&sampler, plan)), StreamKey::new(1, &["fused"]));
            let general = GeneralWorker::of_drawn(&sampler, draw_in_bulk);
            let mut general = draws(Box::new(general), StreamKey::new(1, &["general"]));
            let test = KolmogorovSmirnov::of_samples(&mut fused, &mut general);
            assert!(test.p_value > 1e-4, "{distribution:?} {test:?}");
        }
    }

    /// Fifty layers that each shrink the gradient by a thousand leave it near 10⁻¹⁵³, and not at zero.
    #[test]
    fn gradients_that_single_precision_cannot_hold_are_drawn_in_double() {
        let mut layers = Vec::new();
        for _ in 0..50 {
            layers.extend([Dense::new(40).into(), Relu.into()]);
        }
        layers.push(Dense::new(2).into());
        let architecture = Architecture::new(Shape::new([40]).unwrap(), layers).unwrap();
        let rule = |_, fan_in: usize, _| Ok::<_, ()>(Variances { weight: 2e-6 / fan_in as f64, bias: 0.0 });
        let sampler = ExplicitSampler {
            initialisation: Initialisation::by_layer(&architecture, WeightDistribution::Normal, rule).unwrap(),
            architecture,
            input: InputLaw::Gaussian,
            label: LabelRule::Random,
            observables: vec!["logit.l2".parse().unwrap()],
            batch: 1,
            path_total: None,
        };
        let mut worker = sampler.worker();
        let logarithms: Moments = (0..400)
            .map(|draw| {
                let mut values = [0.0];
                worker.draw(StreamKey::new(3, &["deep"]).draw(draw), &mut values);
                values[0].log10()
            })
            .collect();
        // The squared length is 10^(−6·51) in the mean; a typical one is some powers of ten below.
        assert!((-158.0..-150.0).contains(&logarithms.mean()), "{}", logarithms.mean());
    }
}
