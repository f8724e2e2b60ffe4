//! Initialisations: the law from which a network's weights are drawn, layer by layer.

use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

use super::Real;
use super::architecture::{Architecture, Node};
use super::layer::Role;
use super::parameters::Parameters;
use super::simd::{LANES, dot};
use crate::scaled::Scaled;
use crate::stop::Stop;

/// The shape of the law of one weight; every one is symmetric with mean 0 and is scaled to the layer's variance σ².
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDistribution {
    /// N(0, σ²).
    Normal,
    /// Uniform on [−√3 σ, √3 σ].
    Uniform,
    /// ±σ with probability ½ each.
    Rademacher,
    /// Rows, or columns where there are fewer of them, of a random orthogonal matrix, so scaled that every weight has variance σ² (Saxe et
    /// al., arXiv 1312.6120). The weights of a layer are uncorrelated and not independent.
    Orthogonal,
}

/// Parameters that are drawn between two looks for a request to stop.
const UNSTOPPED: usize = 1 << 16;

impl WeightDistribution {
    /// One draw of unit variance; of orthogonal weights the normals that an orthogonal matrix is made of.
    pub fn draw(self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Normal | Self::Orthogonal => rng.sample(StandardNormal),
            Self::Uniform => 3f64.sqrt() * rng.random_range(-1.0..1.0),
            Self::Rademacher => f64::from(i8::from(rng.random::<bool>()) * 2 - 1),
        }
    }
}

/// Variances of the parameters of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variances {
    /// Variance of each weight, σ².
    pub weight: f64,
    /// Variance of each bias, whose law is normal; 0 for biases that start at zero.
    pub bias: f64,
}

/// BrokenHypotheses from independent weights and fair masks, by which the hypotheses (H) can be broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BrokenHypotheses {
    /// Breaks H5: the correlation ρ of any two weights that enter one unit, w = √(1 − ρ) w₀ + √ρ σ z with one z ~ N(0, 1) a unit.
    pub unit_correlation: f64,
    /// Breaks H4: layers of one shape share their weights, each scaled to its own variance.
    pub shared: bool,
    /// Breaks H1: the mean of all biases.
    pub bias_mean: f64,
}

/// How the parameters of an architecture are drawn: independently unless [`BrokenHypotheses`] say otherwise, with one law and a
/// variance for each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Initialisation {
    /// How it departs from the hypotheses; not at all unless given.
    pub broken_hypotheses: BrokenHypotheses,
    variances: Vec<Variances>,
    /// The shape of each layer's law; none for a layer without weights.
    distributions: Vec<Option<WeightDistribution>>,
}

impl Initialisation {
    /// Variances by rule: `variance(index, fan_in, fan_out)` is asked for every layer with weights, `index` its
    /// position among all layers.
    pub fn by_layer<E>(
        architecture: &Architecture,
        distribution: WeightDistribution,
        mut rule: impl FnMut(usize, usize, usize) -> Result<Variances, E>,
    ) -> Result<Self, E> {
        let none = Variances { weight: 0.0, bias: 0.0 };
        let variances = architecture.nodes().iter().enumerate().map(|(index, node)| match node.fan() {
            Some(fan) => rule(index, fan.inputs, fan.outputs),
            None => Ok(none),
        });
        let distributions = architecture.nodes().iter().map(|node| node.fan().map(|_| distribution));
        Ok(Self {
            distributions: distributions.collect(),
            broken_hypotheses: BrokenHypotheses::default(),
            variances: variances.collect::<Result<_, E>>()?,
        })
    }

    /// He et al. (2015): variance 2/fan-in in hidden layers, or what [`Architecture::he_factor`] says before other activations than
    /// ReLUs; `output_gain`/fan-in in the last; biases zero.
    pub fn he(architecture: &Architecture, distribution: WeightDistribution, output_gain: f64) -> Self {
        let last = last_weighted(architecture);
        let rule = |index, fan_in: usize, _| {
            let gain = if Some(index) == last { output_gain } else { architecture.he_factor(index) };
            Ok::<_, std::convert::Infallible>(Variances { weight: gain / fan_in as f64, bias: 0.0 })
        };
        match Self::by_layer(architecture, distribution, rule) {
            Ok(initialisation) => initialisation,
            Err(never) => match never {},
        }
    }

    /// The same with another shape of the law of one layer's weights, the layer's position given; nothing changes for a layer without.
    #[must_use]
    pub fn with_distribution(mut self, index: usize, distribution: WeightDistribution) -> Self {
        if let Some(own) = &mut self.distributions[index] {
            *own = distribution;
        }
        self
    }

    /// The shape of the law of all weights; `None` where layers have different ones.
    pub fn distribution(&self) -> Option<WeightDistribution> {
        let mut all = self.distributions.iter().flatten().copied();
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// The variances of the layer at this position; zero for a layer without parameters.
    pub fn variances(&self, index: usize) -> Variances {
        self.variances[index]
    }

    /// The law of the same networks with value v held in units of 2^exponents\[v\], as their values are numbered: every standard
    /// deviation times a power of two, and every bit of what is drawn and computed the same. `None` where a variance, or a
    /// mean of biases, is no double in these units.
    pub fn in_units(&self, architecture: &Architecture, exponents: &[i64]) -> Option<Self> {
        if self.broken_hypotheses.bias_mean != 0.0 && exponents.iter().any(|&exponent| exponent != 0) {
            return None;
        }
        let nodes = architecture.nodes().iter().enumerate();
        let variances = nodes.zip(&self.variances).map(|((index, node), &Variances { weight, bias })| {
            let times = |variance: f64, power: i64| (Scaled::from(variance) * Scaled::power_of_two(2 * power)).to_f64();
            let own = exponents[index + 1];
            Some(Variances { weight: times(weight, exponents[node.source] - own)?, bias: times(bias, -own)? })
        });
        Some(Self { variances: variances.collect::<Option<_>>()?, ..self.clone() })
    }

    /// Draws the parameters of one network.
    pub fn draw<T: Real>(&self, architecture: &Architecture, rng: &mut impl Rng) -> Parameters<T> {
        let mut parameters = Parameters::new(architecture);
        self.draw_into(architecture, rng, &mut parameters, &Stop::default());
        parameters
    }

    /// Draws the parameters of one network over those of another of the same architecture; breaks off where it is asked to stop.
    pub fn draw_into<T: Real>(
        &self,
        architecture: &Architecture,
        rng: &mut impl Rng,
        parameters: &mut Parameters<T>,
        stop: &Stop,
    ) {
        for (index, node) in architecture.nodes().iter().enumerate() {
            for (place, tensor) in node.tensors.iter().enumerate() {
                let values = parameters.tensor_mut(node, place);
                match self.law_of(index, tensor.role) {
                    Some((distribution, std_dev)) => {
                        for values in values.chunks_mut(UNSTOPPED) {
                            if stop.is_asked() {
                                return;
                            }
                            values.fill_with(|| T::from_f64(std_dev * distribution.draw(rng)));
                        }
                    }
                    None => values.fill(T::from_f64(tensor.role.initial_value())),
                }
            }
        }
        self.depart(architecture, parameters, rng);
    }

    /// Whether all parameters are independent and biases have mean 0.
    pub fn is_independent(&self) -> bool {
        let orthogonal = Some(WeightDistribution::Orthogonal);
        self.broken_hypotheses == BrokenHypotheses::default() && !self.distributions.contains(&orthogonal)
    }

    /// Makes independently drawn parameters orthogonal where they are to be, and depart from the hypotheses.
    pub fn depart<T: Real>(&self, architecture: &Architecture, parameters: &mut Parameters<T>, rng: &mut impl Rng) {
        let BrokenHypotheses { unit_correlation, shared, bias_mean } = self.broken_hypotheses;
        let weighted = architecture.nodes().iter().enumerate().filter(|(_, node)| node.fan().is_some());
        for (index, node) in weighted.clone() {
            if self.distributions[index] == Some(WeightDistribution::Orthogonal) {
                let std_dev = self.variances[index].weight.sqrt();
                orthogonalise(parameters.tensor_mut(node, 0), node.tensors[0].sizes[0], std_dev);
            }
        }
        for (index, node) in weighted.clone().filter(|_| unit_correlation > 0.0) {
            let weights = parameters.tensor_mut(node, 0);
            let common = unit_correlation.sqrt() * self.variances[index].weight.sqrt();
            let own = T::from_f64((1.0 - unit_correlation).sqrt());
            let length = weights.len() / node.tensors[0].sizes[0];
            for unit in weights.chunks_exact_mut(length) {
                let shift = T::from_f64(common * WeightDistribution::Normal.draw(rng));
                unit.iter_mut().for_each(|weight| *weight = own * *weight + shift);
            }
        }
        for (index, node) in weighted.filter(|_| shared) {
            if let Some(first) = weight_twin(architecture, index) {
                let other = &architecture.nodes()[first];
                let scale = T::from_f64((self.variances[index].weight / self.variances[first].weight).sqrt());
                let weights = parameters.tensor(other, 0).to_vec();
                let own = parameters.tensor_mut(node, 0);
                own.iter_mut().zip(weights).for_each(|(weight, shared)| *weight = scale * shared);
            }
        }
        if bias_mean != 0.0 {
            let shift = T::from_f64(bias_mean);
            for node in architecture.nodes() {
                for (place, _) in node.tensors.iter().enumerate().filter(|(_, tensor)| tensor.role == Role::Bias) {
                    parameters.tensor_mut(node, place).iter_mut().for_each(|bias| *bias += shift);
                }
            }
        }
    }

    /// The law and the standard deviation of an array of a layer's parameters; `None` for one that is not drawn.
    pub fn law_of(&self, index: usize, role: Role) -> Option<(WeightDistribution, f64)> {
        let Variances { weight, bias } = self.variances[index];
        match role {
            Role::Weight(_) => self.distributions[index].map(|distribution| (distribution, weight.sqrt())),
            Role::Bias if bias > 0.0 => Some((WeightDistribution::Normal, bias.sqrt())),
            _ => None,
        }
    }
}

/// Makes a matrix of independent normals, row by row, one whose rows, or columns where there are fewer of them, are orthogonal and of one
/// length, with entries of the standard deviation that is given: by Gram and Schmidt, twice, which leaves the law of an orthogonal matrix
/// that is uniform.
fn orthogonalise<T: Real>(matrix: &mut [T], rows: usize, std_dev: f64) {
    let columns = matrix.len() / rows;
    let (count, length) = (rows.min(columns), rows.max(columns));
    // Where vector v has its i-th entry.
    let place =
        |vector: usize, entry: usize| if rows <= columns { vector * columns + entry } else { entry * columns + vector };
    let mut vectors: Vec<f64> = Vec::with_capacity(count * length);
    for vector in 0..count {
        let (done, mut own) = (vectors.len(), Vec::with_capacity(length));
        own.extend((0..length).map(|entry| matrix[place(vector, entry)].as_f64()));
        for _ in 0..2 {
            for other in vectors[..done].chunks_exact(length) {
                let along = dot::<LANES, f64>(&own, other);
                own.iter_mut().zip(other).for_each(|(value, unit)| *value -= along * unit);
            }
        }
        let norm = dot::<LANES, f64>(&own, &own).sqrt();
        vectors.extend(own.iter().map(|value| value / norm));
    }
    let scale = std_dev * (length as f64).sqrt();
    for (vector, values) in vectors.chunks_exact(length).enumerate() {
        for (entry, value) in values.iter().enumerate() {
            matrix[place(vector, entry)] = T::from_f64(scale * value);
        }
    }
}

/// Position of the first layer whose weights have the shape of those of the layer at `index`, before it.
pub fn weight_twin(architecture: &Architecture, index: usize) -> Option<usize> {
    let nodes = architecture.nodes();
    let weights = |node: &Node| node.fan().map(|_| node.tensors[0].sizes.clone());
    nodes[..index].iter().position(|other| other.fan().is_some() && weights(other) == weights(&nodes[index]))
}

/// Position of the last layer with weights, whose variance the output gain sets.
pub fn last_weighted(architecture: &Architecture) -> Option<usize> {
    architecture.nodes().iter().rposition(|node: &Node| node.fan().is_some())
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Relu, Shape};
    use super::*;
    use crate::statistics::Moments;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn network() -> Architecture {
        let layers = vec![Dense::new(40).into(), Relu.into(), Dense { units: 25, bias: true }.into()];
        Architecture::new(Shape::new([50]).unwrap(), layers).unwrap()
    }

    /// |z| < 4.5 for mean and variance of each law (false alarms below 5·10⁻⁵ in all).
    #[test]
    fn every_law_has_mean_zero_and_the_layers_variance() {
        use WeightDistribution::{Normal, Rademacher, Uniform};
        for distribution in [Normal, Uniform, Rademacher] {
            let initialisation = Initialisation::he(&network(), distribution, 1.0);
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let drawn: Vec<_> = (0..30).map(|_| initialisation.draw::<f64>(&network(), &mut rng)).collect();
            for (index, variance) in [(0, 2.0 / 50.0), (2, 1.0 / 40.0)] {
                let network = network();
                let node = &network.nodes()[index];
                let weights = || drawn.iter().flat_map(|one| one.tensor(node, 0).iter().copied());
                let mean: Moments = weights().collect();
                let square: Moments = weights().map(|weight| weight * weight).collect();
                assert!(mean.mean().abs() < 4.5 * mean.std_error(), "{distribution:?}");
                let slack = 4.5 * square.std_error() + 1e-12;
                assert!((square.mean() - variance).abs() < slack, "{distribution:?}: {}", square.mean() / variance);
            }
        }
    }

    /// |z| < 4.5 for the correlation within a unit (false alarms below 10⁻⁵).
    #[test]
    fn broken_hypotheses_correlate_share_and_shift_and_keep_the_variance() {
        let layers = vec![Dense::new(50).into(), Relu.into(), Dense { units: 50, bias: true }.into()];
        let network = Architecture::new(Shape::new([50]).unwrap(), layers).unwrap();
        let mut initialisation = Initialisation::he(&network, WeightDistribution::Normal, 2.0);
        initialisation.broken_hypotheses = BrokenHypotheses { unit_correlation: 0.3, shared: false, bias_mean: 1.5 };
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let (mut product, mut square) = (Moments::default(), Moments::default());
        for _ in 0..40 {
            let drawn = initialisation.draw::<f64>(&network, &mut rng);
            for row in drawn.tensor(&network.nodes()[0], 0).chunks_exact(50) {
                product.push(25.0 * row[0] * row[1]);
                square.push(25.0 * row[2] * row[2]);
            }
            assert_eq!(drawn.tensor(&network.nodes()[2], 1), [1.5; 50]);
        }
        assert!((product.mean() - 0.3).abs() < 4.5 * product.std_error(), "{}", product.mean());
        assert!((square.mean() - 1.0).abs() < 4.5 * square.std_error(), "{}", square.mean());

        let layers = vec![Dense::new(50).into(), Relu.into(), Dense::new(50).into()];
        let network = Architecture::new(Shape::new([50]).unwrap(), layers).unwrap();
        let mut initialisation = Initialisation::he(&network, WeightDistribution::Normal, 0.5);
        initialisation.broken_hypotheses.shared = true;
        let drawn = initialisation.draw::<f64>(&network, &mut rng);
        let [first, last] = [0, 2].map(|index| drawn.tensor(&network.nodes()[index], 0));
        assert!(first.iter().zip(last).all(|(a, b)| (a / 2.0 - b).abs() < 1e-15));
    }

    /// WWᵀ or WᵀW is a multiple of the identity; entries have the layer's variance and are uncorrelated: |z| < 4.5 for each of six numbers.
    #[test]
    fn orthogonal_weights_are_orthogonal_and_have_the_layers_variance() {
        let network = network();
        let initialisation = Initialisation::he(&network, WeightDistribution::Orthogonal, 1.0);
        assert!(!initialisation.is_independent());
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut moments = [Moments::default(); 6];
        for _ in 0..400 {
            let drawn = initialisation.draw::<f64>(&network, &mut rng);
            for (at, (index, columns, variance)) in [(0, 50, 2.0 / 50.0), (2, 40, 1.0 / 40.0)].into_iter().enumerate() {
                let weights = drawn.tensor(&network.nodes()[index], 0);
                // Both layers have fewer rows than columns.
                let rows: Vec<&[f64]> = weights.chunks_exact(columns).collect();
                for (first, second) in [(0, 0), (0, 1), (3, 7)] {
                    let product: f64 = rows[first].iter().zip(rows[second]).map(|(a, b)| a * b).sum();
                    let expected = if first == second { variance * columns as f64 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-13, "{product} {expected}");
                }
                moments[3 * at].push(weights[0] / variance.sqrt());
                moments[3 * at + 1].push(weights[1].powi(2) / variance - 1.0);
                moments[3 * at + 2].push(weights[2] * weights[columns + 2] / variance);
            }
        }
        assert!(moments.iter().all(|moment| moment.mean().abs() < 4.5 * moment.std_error()), "{moments:?}");
        // More rows than columns.
        let tall = Architecture::new(Shape::new([3]).unwrap(), vec![Dense::new(8).into()]).unwrap();
        let drawn = Initialisation::he(&tall, WeightDistribution::Orthogonal, 6.0).draw::<f32>(&tall, &mut rng);
        let weights = drawn.tensor(&tall.nodes()[0], 0);
        for (one, other, expected) in [(0, 0, 16.0), (1, 1, 16.0), (0, 2, 0.0)] {
            let product: f32 = weights.chunks_exact(3).map(|row| row[one] * row[other]).sum();
            assert!((product - expected).abs() < 1e-5, "{product} {expected}");
        }
    }

    #[test]
    fn a_layer_may_have_a_law_of_its_own() {
        let he = Initialisation::he(&network(), WeightDistribution::Normal, 1.0);
        assert_eq!(he.distribution(), Some(WeightDistribution::Normal));
        let mixed =
            he.with_distribution(2, WeightDistribution::Rademacher).with_distribution(1, WeightDistribution::Uniform);
        assert_eq!(mixed.distribution(), None);
        let drawn = mixed.draw::<f64>(&network(), &mut ChaCha8Rng::seed_from_u64(7));
        let [first, last] = [0, 2].map(|index| drawn.tensor(&network().nodes()[index], 0).to_vec());
        assert!(last.iter().all(|weight| (weight.abs() - 0.025f64.sqrt()).abs() < 1e-15));
        assert!(first.iter().any(|weight| weight.abs() > 0.25) && first.iter().any(|weight| weight.abs() < 0.1));
    }

    #[test]
    fn biases_start_at_zero_unless_given_a_variance() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let he = Initialisation::he(&network(), WeightDistribution::Normal, 1.0).draw::<f32>(&network(), &mut rng);
        assert!(he.tensor(&network().nodes()[2], 1).iter().all(|&bias| bias == 0.0));
        let rule = |_, _, _| Ok::<_, ()>(Variances { weight: 1.0, bias: 0.25 });
        let free = Initialisation::by_layer(&network(), WeightDistribution::Rademacher, rule).unwrap();
        let drawn = free.draw::<f32>(&network(), &mut rng);
        let [weights, biases] = [0, 1].map(|place| drawn.tensor(&network().nodes()[2], place).to_vec());
        assert!(weights.iter().all(|&weight| weight.abs() == 1.0));
        assert!(biases.iter().any(|&bias| bias != 0.0));
    }
}
