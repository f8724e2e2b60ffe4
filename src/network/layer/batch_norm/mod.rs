//! Batch normalisation, with the statistics of the batch or with running ones.
//!
//! Ioffe and Szegedy, *Batch Normalization*, arXiv 1502.03167.

pub(in crate::network) mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Key, Keyed, Kind, Refusal, Values};
use crate::network::layer::{LayerRule, NoPathTheory, Pass, Real, Role, Scratch, Shape, Site, Tensor};

/// y = γ (x − μ)/√(σ² + ε) + β for each channel: the first axis of an image, the units of a vector.
///
/// The parameters are γ, β, and the running mean and variance, in this order; γ starts at 1, β at 0, and the running
/// statistics at mean 0 and variance 1.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Whose mean and variance.
    pub statistics: Statistics,
    /// What is added to the variance, ε > 0.
    pub epsilon: f64,
}

/// Which mean μ and variance σ² a normalisation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the channel's values over the batch and all pixels, as in training; σ² divides by their number. The
    /// gradient runs through them.
    Batch,
    /// Running ones, kept among the parameters, as in inference.
    Running,
}

/// Why batch statistics have no graph of weighted edges.
const BATCH_STATISTICS: NoPathTheory = NoPathTheory::Layers(
    "batch normalisation divides by the statistics of its batch, which depend on every weight below: its derivative is no sum \
     over paths (with running statistics it is)",
);

/// What is subtracted from, and what multiplies, the values of one channel: y = (x − mean) · scale + shift.
#[derive(Debug, Clone, Copy)]
struct Normaliser {
    mean: f64,
    scale: f64,
    shift: f64,
}

impl BatchNorm {
    /// The value of ε that most libraries take.
    pub const USUAL_EPSILON: f64 = 1e-5;

    /// Channels, and units of one channel in one sample.
    fn sizes(site: Site<'_>) -> [usize; 2] {
        let channels = site.input.sizes()[0];
        [channels, site.input.len() / channels]
    }

    /// Values of one channel, sample after sample.
    fn channel<'v, T: Real>(
        site: Site<'_>,
        values: &'v [T],
        channel: usize,
    ) -> impl Iterator<Item = &'v T> + use<'v, T> {
        let [_, pixels] = Self::sizes(site);
        let samples = values.chunks_exact(site.input.len());
        samples.flat_map(move |sample| &sample[channel * pixels..(channel + 1) * pixels])
    }

    fn normaliser<T: Real>(&self, pass: Pass<'_, T>, input: &[T], channel: usize) -> Normaliser {
        let [channels, pixels] = Self::sizes(pass.site);
        let parameter = |tensor: usize| pass.parameters[tensor * channels + channel].as_f64();
        let (mean, variance) = match self.statistics {
            Statistics::Running => (parameter(2), parameter(3)),
            Statistics::Batch => {
                let count = (pass.batch * pixels) as f64;
                let values = || Self::channel(pass.site, input, channel).map(|value| value.as_f64());
                let mean = values().sum::<f64>() / count;
                (mean, values().map(|value| (value - mean).powi(2)).sum::<f64>() / count)
            }
        };
        Normaliser { mean, scale: parameter(0) / (variance + self.epsilon).sqrt(), shift: parameter(1) }
    }

    /// Runs `each` on the units of one channel of both slices, sample after sample.
    fn for_each_pair<T: Real>(
        site: Site<'_>,
        channel: usize,
        from: &[T],
        to: &mut [T],
        mut each: impl FnMut(T, &mut T),
    ) {
        let [_, pixels] = Self::sizes(site);
        let units = channel * pixels..(channel + 1) * pixels;
        for (from, to) in from.chunks_exact(site.input.len()).zip(to.chunks_exact_mut(site.input.len())) {
            from[units.clone()].iter().zip(&mut to[units.clone()]).for_each(|(&from, to)| each(from, to));
        }
    }
}

impl Keyed for BatchNorm {
    const SUMMARY: &'static str =
        "(x − μ)/√(σ² + ε) a channel, by the statistics of the batch or the running ones, then a scale and a shift";
    const KEYS: &'static [Key] = &[
        Key::optional("statistics", Kind::Word(&["batch", "running"])),
        Key::optional("epsilon", Kind::Positive),
        Key::WEIGHTS,
    ];

    fn from_values(values: &Values, defaults: Defaults<'_>) -> Result<Self, Refusal> {
        let statistics = match values.word("statistics") {
            Some("batch") => Statistics::Batch,
            Some(_) => Statistics::Running,
            None => defaults.statistics,
        };
        Ok(Self { statistics, epsilon: values.number("epsilon").unwrap_or(Self::USUAL_EPSILON) })
    }
}

impl LayerRule for BatchNorm {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.clone())
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let roles = [
            ("weight", Role::Scale),
            ("bias", Role::Shift),
            ("running_mean", Role::RunningMean),
            ("running_var", Role::RunningVariance),
        ];
        roles.map(|(name, role)| Tensor::new(name, [input.sizes()[0]], role)).to_vec()
    }

    fn least_batch(&self, input: &Shape) -> usize {
        // One value alone has no variance.
        let alone = input.len() == input.sizes()[0];
        if self.statistics == Statistics::Batch && alone { 2 } else { 1 }
    }

    fn mixes_batch(&self) -> bool {
        self.statistics == Statistics::Batch
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        for channel in 0..Self::sizes(pass.site)[0] {
            let Normaliser { mean, scale, shift } = self.normaliser(pass, input, channel);
            let (mean, scale, shift) = (T::from_f64(mean), T::from_f64(scale), T::from_f64(shift));
            Self::for_each_pair(pass.site, channel, input, output, |x, y| *y = (x - mean) * scale + shift);
        }
    }

    /// With batch statistics, x̂ = (x − μ)/√(σ² + ε) and means over the batch and all pixels of the channel:
    /// ∂/∂x = scale · (g − mean(g) − x̂ mean(g x̂)).
    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        _: &mut Scratch<T>,
    ) {
        let [channels, pixels] = Self::sizes(pass.site);
        let count = (pass.batch * pixels) as f64;
        for channel in 0..channels {
            let Normaliser { mean, scale, .. } = self.normaliser(pass, input, channel);
            let factor = T::from_f64(scale);
            Self::for_each_pair(pass.site, channel, upstream, downstream, |above, below| *below = factor * above);
            if self.statistics == Statistics::Running {
                continue;
            }
            let centred = || Self::channel(pass.site, input, channel).map(|value| value.as_f64() - mean);
            let above = || Self::channel(pass.site, upstream, channel).map(|gradient| gradient.as_f64());
            let variance = centred().map(|value| value * value).sum::<f64>() / count + self.epsilon;
            let mean_gradient = above().sum::<f64>() / count;
            let slope =
                centred().zip(above()).map(|(value, gradient)| value * gradient).sum::<f64>() / count / variance;
            Self::for_each_pair(pass.site, channel, input, downstream, |x, below| {
                let correction = scale * (mean_gradient + (x.as_f64() - mean) * slope);
                *below -= T::from_f64(correction);
            });
        }
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::Whole(batch::Normalisation::new(self, site))
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        if self.statistics == Statistics::Batch {
            return Err(BATCH_STATISTICS);
        }
        let [channels, pixels] = Self::sizes(pass.site);
        for channel in 0..channels {
            let weight = T::from_f64(self.normaliser(pass, input, channel).scale);
            (channel * pixels..(channel + 1) * pixels).for_each(|unit| visit(unit, unit, weight));
        }
        Ok(())
    }

    /// At initialisation, running statistics divide by √(1 + ε) and do nothing else.
    fn connections(
        &self,
        site: Site<'_>,
        _: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        if self.statistics == Statistics::Batch {
            return Err(BATCH_STATISTICS);
        }
        let factor = 1.0 / (1.0 + self.epsilon);
        (0..site.input.len()).for_each(|unit| visit(unit, unit, factor));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(statistics: Statistics, parameters: &[f64], input: &[f64], batch: usize) -> Vec<f64> {
        let shape = Shape::new([2, 1, 2]).unwrap();
        let pass = Pass { site: Site { input: &shape, output: &shape }, batch, parameters };
        let mut output = vec![0.0; input.len()];
        BatchNorm { statistics, epsilon: 1e-12 }.forward(pass, input, &mut output, &mut Scratch::default());
        output
    }

    #[test]
    fn running_statistics_are_read_from_the_parameters() {
        let parameters = [2.0, 3.0, 0.5, 0.0, 1.0, -1.0, 4.0, 1.0];
        let output = run(Statistics::Running, &parameters, &[3.0, 1.0, 0.0, -1.0], 1);
        for (value, expected) in output.iter().zip([2.5, 0.5, 3.0, 0.0]) {
            assert!((value - expected).abs() < 1e-9, "{output:?}");
        }
    }

    #[test]
    fn batch_statistics_make_every_channel_standard() {
        let parameters = [1.0, 1.0, 0.0, 0.0, 7.0, 7.0, 7.0, 7.0];
        let output = run(Statistics::Batch, &parameters, &[1.0, 2.0, -3.0, 5.0, 7.0, -2.0, 0.0, 1.0], 2);
        for channel in [[0, 1, 4, 5], [2, 3, 6, 7]] {
            let sum: f64 = channel.iter().map(|&unit| output[unit]).sum();
            let squares: f64 = channel.iter().map(|&unit| output[unit].powi(2)).sum();
            assert!(sum.abs() < 1e-12 && (squares / 4.0 - 1.0).abs() < 1e-9, "{output:?}");
        }
    }

    #[test]
    fn one_value_alone_is_refused_a_variance_of_its_own() {
        let batch = BatchNorm { statistics: Statistics::Batch, epsilon: 1e-5 };
        assert_eq!(batch.least_batch(&Shape::new([5]).unwrap()), 2);
        assert_eq!(batch.least_batch(&Shape::new([5, 1, 2]).unwrap()), 1);
        let running = BatchNorm { statistics: Statistics::Running, ..batch };
        assert_eq!(running.least_batch(&Shape::new([5]).unwrap()), 1);
    }
}
