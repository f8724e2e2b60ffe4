//! The explicit sampler: every draw is a network with fresh weights, an input and a label, and a backward pass.
//!
//! Right for every architecture and initialisation; it holds one network a worker.

use super::Stream;
use super::input::{InputLaw, LabelRule};
use super::monte_carlo::{Sampler, Worker};
use super::normal::BulkGenerator;
use super::observable::{Gradient, Observable};
use crate::network::norm::NormSums;
use crate::network::{Architecture, Initialisation, Norm, Parameters, Tape, WeightDistribution};

/// Draws networks of one architecture and initialisation and measures their gradients, in single precision with sums
/// in double.
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
}

impl ExplicitSampler {
    /// Bytes that one worker holds: parameters, activations and gradients in single precision.
    pub fn bytes_per_worker(&self) -> u64 {
        let values =
            (self.architecture.parameter_count() as u64).saturating_add(self.architecture.activation_count() as u64);
        values.saturating_mul(size_of::<f32>() as u64)
    }
}

impl Sampler for ExplicitSampler {
    fn observables(&self) -> usize {
        self.observables.len()
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        let norms: Vec<Norm> = self.observables.iter().filter_map(Observable::norm).collect();
        Box::new(ExplicitWorker {
            sampler: self,
            parameters: Parameters::zeros(&self.architecture),
            tape: Tape::new(&self.architecture),
            sums: NormSums::new(&norms),
        })
    }
}

struct ExplicitWorker<'a> {
    sampler: &'a ExplicitSampler,
    parameters: Parameters<f32>,
    tape: Tape<f32>,
    sums: NormSums,
}

impl Worker for ExplicitWorker<'_> {
    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        let ExplicitSampler { architecture, initialisation, input, label, observables } = self.sampler;
        let (chosen, label) = input.choose(*label, architecture.outputs(), &mut stream);
        chosen.write(self.tape.input_mut());
        draw_parameters(architecture, initialisation, &mut stream, &mut self.parameters);
        self.tape.propagate(architecture, &self.parameters);
        for gradient in [Gradient::Loss, Gradient::Logit] {
            if !observables.iter().any(|observable| observable.gradient == gradient) {
                continue;
            }
            let coordinates = match gradient {
                Gradient::Loss => self.tape.loss_gradient(architecture, &self.parameters, label),
                Gradient::Logit => self.tape.logit_gradient(architecture, &self.parameters, 0),
            };
            self.sums.clear();
            self.sums.add(coordinates);
            for (value, observable) in values.iter_mut().zip(observables).filter(|(_, o)| o.gradient == gradient) {
                *value = observable.of_sums(&self.sums);
            }
        }
    }
}

/// Draws all parameters in bulk: the fast twin of [`Initialisation::draw`].
fn draw_parameters(
    architecture: &Architecture,
    initialisation: &Initialisation,
    stream: &mut Stream,
    parameters: &mut Parameters<f32>,
) {
    let mut generator = BulkGenerator::new(stream);
    for (index, node) in architecture.nodes().iter().enumerate().filter(|(_, node)| node.parameters.is_some()) {
        let variances = initialisation.variances(index);
        let std_dev = variances.weight.sqrt();
        let (weights, biases) = parameters.of_mut(node);
        match initialisation.distribution {
            WeightDistribution::Normal => generator.fill_normal(std_dev as f32, weights),
            WeightDistribution::Rademacher => generator.fill_signs(std_dev as f32, weights),
            WeightDistribution::Uniform => {
                let edge = (3f64.sqrt() * std_dev) as f32;
                generator.fill_uniform(2.0 * edge, weights);
                weights.iter_mut().for_each(|weight| *weight -= edge);
            }
        }
        if variances.bias > 0.0 {
            generator.fill_normal(variances.bias.sqrt() as f32, biases);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Dense, Relu, Shape};
    use crate::sampling::StreamKey;
    use crate::statistics::{KolmogorovSmirnov, Moments};
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
            let mut parameters = Parameters::zeros(&network());
            for draw in 0..3000 {
                let mut stream = StreamKey::new(1, &["parameters"]).draw(draw);
                draw_parameters(&network(), &initialisation, &mut stream, &mut parameters);
                let (weights, biases) = parameters.of_mut(&network().nodes()[2]);
                mean.extend(weights.iter().map(|&weight| weight.into()));
                square.extend(weights.iter().map(|&weight| f64::from(weight).powi(2)));
                assert!(biases.iter().all(|&bias| bias == 0.0));
            }
            assert!(mean.mean().abs() < 4.5 * mean.std_error(), "{distribution:?}");
            assert!((square.mean() - 1.0 / 12.0).abs() < 4.5 * square.std_error() + 1e-8, "{distribution:?}");
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
}
