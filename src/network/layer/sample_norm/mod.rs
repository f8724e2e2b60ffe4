//! Normalisations within one sample: layer, root-mean-square and group normalisation.
//!
//! Ba, Kiros and Hinton, *Layer Normalization*, arXiv 1607.06450; Zhang and Sennrich, *Root Mean Square Layer Normalization*, arXiv
//! 1910.07467; Wu and He, *Group Normalization*, arXiv 1803.08494.

mod batch;
mod group;

use std::ops::Range;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Family, Key, Kind, LayerType, Refusal, Values};
use crate::network::layer::{
    BatchNorm, Layer, LayerRule, NoPathTheory, Pass, Real, Role, Scratch, Shape, Site, Tensor,
};
use crate::network::simd::vectorized;
use group::Group;

/// y = γ x̂ + β with x̂ = (x − μ)/√(σ² + ε): mean and variance are those of the values of one group of one sample.
///
/// The parameters are γ, which starts at 1, and β, which starts at 0; [`Rms`](Kin::Rms) has no β.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleNorm {
    /// What is a group.
    pub kin: Kin,
    /// ε > 0.
    pub epsilon: f64,
}

/// What is normalised together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kin {
    /// All values of a sample; γ and β for each of them.
    Layer,
    /// The same without subtracting a mean: x̂ = x/√(mean of x² + ε).
    Rms,
    /// So many groups of neighbouring channels; γ and β for each channel.
    Group(usize),
}

/// Why statistics of a sample have no graph of weighted edges.
const SAMPLE_STATISTICS: NoPathTheory = NoPathTheory::Layers(
    "a normalisation within the sample divides by statistics that depend on every weight below: its derivative is no sum over paths",
);

/// ε, wherever it may be given.
const EPSILON: Key = Key::optional("epsilon", Kind::Positive);

fn make(kin: Kin, values: &Values) -> Result<Layer, Refusal> {
    Ok(SampleNorm { kin, epsilon: values.number("epsilon").unwrap_or(BatchNorm::USUAL_EPSILON) }.into())
}

impl Family for SampleNorm {
    const TYPES: &'static [LayerType] = &[
        LayerType {
            name: "layer-norm",
            summary: "(x − μ)/√(σ² + ε) over all values of the sample, then a scale and a shift of each",
            keys: &[EPSILON, Key::WEIGHTS],
            make: |values, _: Defaults<'_>| make(Kin::Layer, values),
        },
        LayerType {
            name: "rms-norm",
            summary: "x/√(mean x² + ε) over all values of the sample, then a scale of each",
            keys: &[EPSILON, Key::WEIGHTS],
            make: |values, _| make(Kin::Rms, values),
        },
        LayerType {
            name: "group-norm",
            summary: "(x − μ)/√(σ² + ε) over groups of channels, then a scale and a shift a channel",
            keys: &[Key::required("groups", Kind::Size), EPSILON, Key::WEIGHTS],
            make: |values, _| make(Kin::Group(values.size("groups")), values),
        },
    ];

    fn name(&self) -> &'static str {
        match self.kin {
            Kin::Layer => "layer-norm",
            Kin::Rms => "rms-norm",
            Kin::Group(_) => "group-norm",
        }
    }
}

impl SampleNorm {
    /// Groups of a sample, and how many values share a γ.
    fn counts(&self, site: Site<'_>) -> [usize; 2] {
        let channels = site.input.sizes()[0];
        match self.kin {
            Kin::Layer | Kin::Rms => [1, 1],
            Kin::Group(groups) => [groups, site.input.len() / channels],
        }
    }

    /// Whether a mean is subtracted, and there are shifts.
    fn is_centred(&self) -> bool {
        self.kin != Kin::Rms
    }

    /// Sizes of γ.
    fn parameter_sizes(&self, input: &Shape) -> Vec<usize> {
        match self.kin {
            Kin::Layer | Kin::Rms => input.sizes().to_vec(),
            Kin::Group(_) => vec![input.sizes()[0]],
        }
    }

    /// Runs `each` on every group of every sample, in this memory: the group, the place of its values in `input`, and the indices of its γ
    /// and β.
    fn for_each_group<T: Real>(
        &self,
        site: Site<'_>,
        input: &[T],
        memory: &mut Vec<f64>,
        mut each: impl FnMut(&Group, Range<usize>, Range<usize>),
    ) {
        let [groups, shared] = self.counts(site);
        let length = site.input.len() / groups;
        for (index, group) in input.chunks_exact(length).enumerate() {
            let group = Group::new(group, std::mem::take(memory), self.is_centred(), self.epsilon);
            let first = index % groups * length;
            each(&group, index * length..(index + 1) * length, first / shared..(first + length) / shared);
            *memory = group.normalised;
        }
    }
}

/// Runs `write` on each value that is to be written, with what it comes from and its parameter, of which so many neighbours have the same.
#[inline(always)]
fn write_each<A: Copy, B, T: Copy>(
    to: &mut [B],
    from: &[A],
    parameters: &[T],
    shared: usize,
    write: impl Fn(&mut B, A, T),
) {
    vectorized(
        #[inline(always)]
        || {
            if shared == 1 {
                let pairs = to.iter_mut().zip(from).zip(parameters);
                pairs.for_each(|((to, &from), &parameter)| write(to, from, parameter));
            } else {
                let parts = to.chunks_exact_mut(shared).zip(from.chunks_exact(shared));
                for ((to, from), &parameter) in parts.zip(parameters) {
                    to.iter_mut().zip(from).for_each(|(to, &from)| write(to, from, parameter));
                }
            }
        },
    );
}

impl LayerRule for SampleNorm {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let channels = input.sizes()[0];
        match self.kin {
            Kin::Group(groups) if groups == 0 || !channels.is_multiple_of(groups) => {
                Err(format!("has {groups} groups, which must divide the {channels} channels of its input {input}"))
            }
            Kin::Layer if input.len() == 1 => Err("takes more than one value, since one alone has no variance".into()),
            Kin::Group(groups) if groups == input.len() => {
                Err(format!("has groups of one value of its input {input}, which alone has no variance"))
            }
            _ => Ok(input.clone()),
        }
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let sizes = self.parameter_sizes(input);
        let shifts = self.is_centred().then(|| Tensor::new("bias", sizes.clone(), Role::Shift));
        std::iter::once(Tensor::new("weight", sizes, Role::Scale)).chain(shifts).collect()
    }

    /// The values of two groups, in double precision.
    fn scratch_count(&self, site: Site<'_>) -> usize {
        let [groups, _] = self.counts(site);
        (site.input.len() / groups).saturating_mul(4)
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        let [_, shared] = self.counts(pass.site);
        let (scales, shifts) = pass.parameters.split_at(pass.site.input.len() / shared);
        let [memory, _] = &mut scratch.group;
        self.for_each_group(pass.site, input, memory, |group, place, own| {
            let (output, x) = (&mut output[place], &group.normalised);
            write_each(output, x, &scales[own.clone()], shared, |y, x, scale| *y = T::from_f64(x) * scale);
            if let Some(shifts) = shifts.get(own) {
                write_each(output, x, shifts, shared, |y, _, shift| *y += shift);
            }
        });
    }

    fn backward<T: Real>(
        &self,
        pass: Pass<'_, T>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let [_, shared] = self.counts(pass.site);
        let [memory, above] = &mut scratch.group;
        self.for_each_group(pass.site, input, memory, |group, place, own| {
            let upstream = &upstream[place.clone()];
            above.resize(upstream.len(), 0.0);
            write_each(above, upstream, &pass.parameters[own], shared, |above, u, scale| *above = (u * scale).as_f64());
            group.backward(above, &mut downstream[place]);
        });
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(batch::Normalised::new(self, site))
    }

    fn edges<T: Real>(&self, _: Pass<'_, T>, _: &[T], _: impl FnMut(usize, usize, T)) -> Result<(), NoPathTheory> {
        Err(SAMPLE_STATISTICS)
    }

    fn connections(&self, _: Site<'_>, _: f64, _: impl FnMut(usize, usize, f64)) -> Result<(), NoPathTheory> {
        Err(SAMPLE_STATISTICS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape::new([4, 1, 2]).unwrap()
    }

    /// Values computed elsewhere: x = 1, 2, 4, 8, −1, 0, 3, 5 with ε = 1e-5.
    #[test]
    fn groups_have_mean_zero_and_variance_one() {
        let input = [1.0, 2.0, 4.0, 8.0, -1.0, 0.0, 3.0, 5.0];
        let site_shape = shape();
        let site = Site { input: &site_shape, output: &site_shape };
        for (kin, parameters) in [(Kin::Layer, 16), (Kin::Rms, 8), (Kin::Group(2), 8), (Kin::Group(1), 8)] {
            let layer = SampleNorm { kin, epsilon: 1e-5 };
            assert_eq!(layer.tensors(&site_shape).iter().map(Tensor::len).sum::<usize>(), parameters);
            let ones: Vec<f64> = layer
                .tensors(&site_shape)
                .iter()
                .flat_map(|tensor| vec![tensor.role.initial_value(); tensor.len()])
                .collect();
            let mut output = [0.0; 8];
            layer.forward(Pass { site, batch: 1, parameters: &ones }, &input, &mut output, &mut Scratch::default());
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let square = |values: &[f64]| values.iter().map(|y| y * y).sum::<f64>() / values.len() as f64;
            let groups = if kin == Kin::Group(2) { 2 } else { 1 };
            for group in output.chunks_exact(8 / groups) {
                assert!(kin == Kin::Rms || mean(group).abs() < 1e-12, "{kin:?}");
                assert!((square(group) - 1.0).abs() < 1e-5, "{kin:?}");
            }
        }
    }

    #[test]
    fn groups_that_do_not_divide_the_channels_are_refused() {
        let refused = |kin| SampleNorm { kin, epsilon: 1e-5 }.output_shape(&shape());
        assert!(refused(Kin::Group(3)).unwrap_err().contains("must divide the 4 channels"));
        assert!(refused(Kin::Group(0)).is_err());
        assert!(SampleNorm { kin: Kin::Layer, epsilon: 1e-5 }.output_shape(&Shape::new([1]).unwrap()).is_err());
        assert!(SampleNorm { kin: Kin::Group(4), epsilon: 1e-5 }.output_shape(&Shape::new([4]).unwrap()).is_err());
        assert_eq!(refused(Kin::Group(4)), Ok(shape()));
    }
}
