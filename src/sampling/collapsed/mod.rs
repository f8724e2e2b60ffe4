//! The collapsed sampler: gradients of bias-free dense networks with Gaussian weights and homogeneous activations, exactly in law, from
//! O(depth) scalars a draw whatever the widths.
//!
//! Forward, ‖h_l‖² = σ_l²‖h_{l−1}‖² χ²_{K_l} with K_l ~ Binomial(n_l, ½), and the logits are f ~ N(0, σ²_{D+1}‖h_D‖² I). With
//! δ = softmax(f) − onehot(y) and s = f·δ, homogeneity gives z_l·∂L/∂z_l = s at every layer; conditioning each W_l on
//! W_l h_{l−1} then gives, with A_{D+1} = ‖δ‖²,
//!
//! - A_l = ‖∂L/∂z_l‖² = s²/‖h_l‖² + σ²_{l+1} A_{l+1} χ²_{K_l − 1} for l = D…1,
//! - ∂ₓL = x s/‖x‖² + σ₁ √A₁ (I − x xᵀ/‖x‖²) ξ with ξ ~ N(0, I_d),
//!
//! and a layer with K_l = 0 makes the gradient zero. Those are the formulas of ReLUs; an activation with the slope a below zero adds a² χ²_{n −
//! K} to χ²_K on the way forward, and has more terms on the way back (`Units::back`). The logit's gradient is ∂ₓf₀ = σ₁ √A ξ, A = Π σ²_{l+1} χ²_{K_l}. Both
//! laws are exact for each gradient; where a spec asks for both, each draw takes two independent networks.
//!
//! For Gaussian inputs ∂ₓL is isotropic, so ‖∂ₓL‖₂ (which needs no coordinate) and one Gaussian direction give every
//! norm. Other inputs are read twice, in blocks, so that no more than a block of coordinates is held.
//!
//! Lengths are products over layers, and [`Scaled`] numbers: a network of any depth and variance is drawn as it is, and only
//! an observable that is itself beyond double precision is infinite, or the smallest number above zero.

mod recursion;
#[cfg(test)]
mod tests;

use statrs::function::erf::erf;

use super::Stream;
use super::input::{ChosenInput, InputLaw, LabelRule};
use super::monte_carlo::{Sampler, Worker};
use super::normal::BulkGenerator;
use crate::network::norm::NormSums;
use crate::network::{Architecture, DenseChain, Initialisation, Norm, NotADenseChain, WeightDistribution};
use crate::observable::{Gradient, GradientObservable, Observable, Statistic};
use crate::scaled::{Magnitude, Scaled};
use crate::statistics::gaussian::expected_sphere_norm;
use crate::stop::Stop;
use recursion::{LossGradient, Recursion, SINGLE, Scalars, Units, chi_squared, ordinary, product_of_layers};

/// Coordinates held at a time.
const BLOCK_OF_COORDINATES: usize = 4096;

/// Draws gradients of a dense chain without drawing its weights.
#[derive(Debug, Clone)]
pub struct CollapsedSampler {
    chain: DenseChain,
    input: InputLaw,
    label: LabelRule,
    observables: Vec<GradientObservable>,
    units: Vec<Units>,
    /// σ₁²…σ²_{D+1}.
    variances: Vec<Scaled>,
    /// The same as doubles, where no product over neighbouring layers comes near the ends of their range.
    ordinary: Option<Vec<f64>>,
    /// E‖u‖₁ of a uniform direction u.
    direction_l1: f64,
}

impl CollapsedSampler {
    /// A sampler for this network.
    ///
    /// # Errors
    /// Says why the collapsed law is not exact: other layers than dense ones and homogeneous activations in turn, biases, weights that are
    /// not Gaussian, or observables of other things than a gradient.
    pub fn new(
        architecture: &Architecture,
        initialisation: &Initialisation,
        input: InputLaw,
        label: LabelRule,
        observables: Vec<Observable>,
    ) -> Result<Self, NotADenseChain> {
        let chain = DenseChain::new(architecture, initialisation)?;
        if initialisation.distribution() != Some(WeightDistribution::Normal) {
            return Err(NotADenseChain("the weights are not Gaussian".into()));
        }
        let gradients: Option<Vec<GradientObservable>> = observables.iter().map(|o| o.of_gradient().copied()).collect();
        let observables = gradients.ok_or_else(|| NotADenseChain("an observable needs the network itself".into()))?;
        let units = chain.widths.iter().zip(&chain.slopes).map(|(&width, &slope)| Units::new(width, slope)).collect();
        let direction_l1 = expected_sphere_norm(chain.dimension as u64, 1.0);
        let variances = chain.std_devs.iter().map(|&std_dev| Scaled::from(std_dev).power(2)).collect();
        let ordinary = ordinary(&chain);
        Ok(Self { chain, input, label, observables, units, variances, ordinary, direction_l1 })
    }

    /// Coordinates that a worker holds at a time: a sample is held whole.
    fn held(&self) -> usize {
        match self.input {
            InputLaw::Samples(_) => self.chain.dimension,
            _ => BLOCK_OF_COORDINATES.min(self.chain.dimension),
        }
    }

    fn wants(&self, gradient: Gradient) -> Wanted {
        let of = || self.observables.iter().filter(move |observable| observable.gradient == gradient);
        Wanted {
            any: of().next().is_some(),
            coordinates: of().any(|observable| observable.norm().is_some() && !observable.needs_length_only()),
            conditional_mean: of().any(|observable| observable.statistic == Statistic::RaoBlackwell),
        }
    }
}

/// What the observables need of one gradient.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    any: bool,
    coordinates: bool,
    conditional_mean: bool,
}

impl Sampler for CollapsedSampler {
    fn observables(&self) -> usize {
        self.observables.len()
    }

    fn bytes_per_worker(&self) -> u64 {
        let held = (self.held() as u64).saturating_mul(2 * size_of::<f32>() as u64);
        let scalars = (self.chain.outputs as u64).saturating_mul(2).saturating_add(2 * self.chain.widths.len() as u64);
        held.saturating_add(scalars.saturating_mul(size_of::<f64>() as u64))
    }

    fn cost(&self) -> f64 {
        // A coordinate is drawn, and taken up by the sums; with a given input it is read and drawn twice.
        let passes = if self.input.is_gaussian() { 1.0 } else { 2.0 };
        let coordinates = |wanted: Wanted, passes: f64| if wanted.coordinates { 8.0 * passes } else { 0.0 };
        let each = coordinates(self.wants(Gradient::Loss), passes) + coordinates(self.wants(Gradient::Logit), 1.0);
        let scalars = 100.0 * (1 + self.chain.widths.len()) as f64 + 20.0 * self.chain.outputs as f64;
        scalars + each * self.chain.dimension as f64
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        let norms: Vec<Norm> = self.observables.iter().filter_map(GradientObservable::norm).collect();
        let held = self.held();
        Box::new(CollapsedWorker {
            sampler: self,
            loss: self.wants(Gradient::Loss),
            logit: self.wants(Gradient::Logit),
            sums: NormSums::new(&norms),
            input: vec![0.0; if self.input.is_gaussian() { 0 } else { held }],
            normals: vec![0.0; held],
            logits: vec![0.0; self.chain.outputs],
            logit_gradient: vec![0.0; self.chain.outputs],
            active: vec![0; self.chain.widths.len()],
            shares: vec![1.0; self.chain.widths.len()],
            lengths: vec![Scaled::ZERO; self.chain.widths.len()],
            ordinary_lengths: vec![0.0; self.chain.widths.len()],
            stop: Stop::default(),
        })
    }
}

struct CollapsedWorker<'a> {
    sampler: &'a CollapsedSampler,
    loss: Wanted,
    logit: Wanted,
    sums: NormSums,
    input: Vec<f32>,
    normals: Vec<f32>,
    logits: Vec<f64>,
    logit_gradient: Vec<f64>,
    /// K_l, units of a draw that are above zero, and their share of ‖h_l‖².
    active: Vec<u64>,
    shares: Vec<f64>,
    /// ‖h_l‖².
    lengths: Vec<Scaled>,
    ordinary_lengths: Vec<f64>,
    /// Looked at before each block of coordinates.
    stop: Stop,
}

/// What a draw knows of a gradient: ‖g‖₂, the sums over coordinates if they were drawn, the conditional mean of ‖g‖₁.
struct Measured<'a, M> {
    length: M,
    /// Sums over coordinates that are to be multiplied by the factor.
    sums: Option<(&'a NormSums, M)>,
    conditional_mean: M,
}

impl Worker for CollapsedWorker<'_> {
    fn stop_at(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        if self.loss.any {
            self.draw_loss(&mut stream, values);
        }
        if self.logit.any {
            self.draw_logit(&mut stream, values);
        }
    }
}

impl CollapsedWorker<'_> {
    fn draw_loss(&mut self, stream: &mut Stream, values: &mut [f64]) {
        let sampler = self.sampler;
        if sampler.input.is_gaussian() {
            let label = sampler.label.choose(sampler.chain.outputs, stream);
            let square = chi_squared(sampler.chain.dimension as u64, stream);
            match self.draw_scalars(square, label, stream) {
                Scalars::Zero => self.measure_isotropic::<f64>(None, square, stream, values),
                Scalars::Ordinary(gradient) => self.measure_isotropic(Some(gradient), square, stream, values),
                Scalars::OfAnySize(gradient) => self.measure_isotropic(Some(gradient), square, stream, values),
            }
        } else {
            let (input, label) = sampler.input.choose(sampler.label, sampler.chain.outputs, stream);
            let square = self.squared_length(input.clone());
            let gradient = match self.draw_scalars(square, label, stream) {
                Scalars::Zero => None,
                Scalars::Ordinary(LossGradient { homogeneity, across }) => {
                    Some(LossGradient { homogeneity: homogeneity.into(), across: across.into() })
                }
                Scalars::OfAnySize(gradient) => Some(gradient),
            };
            self.measure_given_input(gradient, square, input, stream, values);
        }
    }

    /// The recursions forward and back.
    fn draw_scalars(&mut self, input_square: f64, label: usize, stream: &mut Stream) -> Scalars {
        let Self { sampler, active, shares, lengths, ordinary_lengths, logits, logit_gradient, .. } = self;
        let mut recursion = Recursion { sampler, active, shares, logits, logit_gradient, label };
        match &sampler.ordinary {
            Some(variances) if SINGLE.contains(&input_square) => {
                recursion.run(variances, input_square, ordinary_lengths, stream)
            }
            _ => recursion.run(&sampler.variances, input_square.into(), lengths, stream),
        }
    }

    /// Gaussian inputs: the direction of the gradient is uniform on the sphere, whatever its length.
    fn measure_isotropic<M: Magnitude>(
        &mut self,
        gradient: Option<LossGradient<M>>,
        input_square: f64,
        stream: &mut Stream,
        values: &mut [f64],
    ) {
        let dimension = self.sampler.chain.dimension as u64;
        let zero = M::from(0.0);
        let length = gradient.map_or(zero, |LossGradient { homogeneity, across }| {
            let along = homogeneity * homogeneity / input_square.into();
            (along + across * across * chi_squared(dimension - 1, stream).into()).root()
        });
        let mut factor = zero;
        if self.loss.coordinates && !length.is_zero() {
            self.sum_normals(stream);
            factor = length / self.sums.norm(Norm::TWO).into();
        } else {
            self.sums.clear();
        }
        let conditional_mean = length * self.sampler.direction_l1.into();
        self.report(Gradient::Loss, Measured { length, sums: Some((&self.sums, factor)), conditional_mean }, values);
    }

    /// Inputs of any law: one pass for x·ξ, one for the coordinates.
    fn measure_given_input(
        &mut self,
        gradient: Option<LossGradient<Scaled>>,
        input_square: f64,
        input: ChosenInput<'_>,
        stream: &mut Stream,
        values: &mut [f64],
    ) {
        self.sums.clear();
        let Some(LossGradient { homogeneity, across }) = gradient else {
            let (length, conditional_mean) = (Scaled::ZERO, Scaled::ZERO);
            let zero = Measured { length, sums: Some((&self.sums, Scaled::ZERO)), conditional_mean };
            return self.report(Gradient::Loss, zero, values);
        };
        // What is along x is no more than √χ² of what is across, which so tells the size of both.
        let in_single = (input_square == 0.0 || SINGLE.contains(&input_square)) && SINGLE.contains(&across.nearest());
        let unit = if in_single || across.is_zero() { Scaled::ONE } else { across.power_below() };
        let along = if input_square == 0.0 { 0.0 } else { (homogeneity / input_square.into() / unit).nearest() };
        let across = (across / unit).nearest();
        let conditional_mean = if self.loss.conditional_mean {
            unit * self.conditional_mean(input.clone(), input_square, along, across).into()
        } else {
            Scaled::ZERO
        };
        if !self.loss.coordinates {
            let free = self.sampler.chain.dimension as u64 - u64::from(input_square != 0.0);
            let square = along * along * input_square + across * across * chi_squared(free, stream);
            let measured = Measured { length: unit * square.sqrt().into(), sums: None, conditional_mean };
            return self.report(Gradient::Loss, measured, values);
        }
        let generator = BulkGenerator::new(stream);
        let mut product = 0.0;
        self.for_each_block(input.clone(), generator.clone(), |input, normals, _| {
            let pairs = input.iter().zip(&*normals);
            product += if in_single {
                pairs.map(|(x, xi)| f64::from(x * xi)).sum::<f64>()
            } else {
                pairs.map(|(&x, &xi)| f64::from(x) * f64::from(xi)).sum::<f64>()
            };
        });
        let projected = if input_square == 0.0 { 0.0 } else { across * product / input_square };
        let parallel = along - projected;
        self.for_each_block(input, generator, |input, normals, sums| {
            let pairs = normals.iter_mut().zip(input);
            if in_single {
                let (parallel, across) = (parallel as f32, across as f32);
                pairs.for_each(|(normal, x)| *normal = parallel * x + across * *normal);
            } else {
                let coordinate = |x: f32, xi: f32| parallel * f64::from(x) + across * f64::from(xi);
                pairs.for_each(|(normal, &x)| *normal = coordinate(x, *normal) as f32);
            }
            sums.add(normals);
        });
        let length = unit * self.sums.norm(Norm::TWO).into();
        self.report(Gradient::Loss, Measured { length, sums: Some((&self.sums, unit)), conditional_mean }, values);
    }

    /// ∂ₓf₀ = σ₁ √A ξ, of a network of its own.
    fn draw_logit(&mut self, stream: &mut Stream, values: &mut [f64]) {
        let CollapsedSampler { variances, ordinary, units, .. } = self.sampler;
        match ordinary {
            Some(variances) => {
                let scale = product_of_layers(variances, units, stream).root();
                self.measure_logit(scale, stream, values);
            }
            None => {
                let scale = product_of_layers(variances, units, stream).root();
                self.measure_logit(scale, stream, values);
            }
        }
    }

    fn measure_logit<M: Magnitude>(&mut self, scale: M, stream: &mut Stream, values: &mut [f64]) {
        let dimension = self.sampler.chain.dimension;
        let length = if self.logit.coordinates {
            self.sum_normals(stream);
            scale * self.sums.norm(Norm::TWO).into()
        } else {
            self.sums.clear();
            scale * chi_squared(dimension as u64, stream).sqrt().into()
        };
        let conditional_mean = scale * (dimension as f64).into() * std::f64::consts::FRAC_2_PI.sqrt().into();
        self.report(Gradient::Logit, Measured { length, sums: Some((&self.sums, scale)), conditional_mean }, values);
    }

    fn report<M: Magnitude>(&self, gradient: Gradient, measured: Measured<'_, M>, values: &mut [f64]) {
        let observables = &self.sampler.observables;
        for (value, observable) in values.iter_mut().zip(observables).filter(|(_, o)| o.gradient == gradient) {
            let number = match (observable.norm(), measured.sums) {
                (None, _) => measured.conditional_mean,
                (Some(Norm::TWO), _) | (_, None) => measured.length,
                (Some(norm), Some((sums, factor))) => factor * sums.norm(norm).into(),
            };
            *value = observable.value(number, self.sampler.chain.dimension).nearest();
        }
    }

    /// Sums over d fresh normals, block by block.
    fn sum_normals(&mut self, stream: &mut Stream) {
        let mut generator = BulkGenerator::new(stream);
        self.sums.clear();
        let mut left = self.sampler.chain.dimension;
        while left > 0 && !self.stop.is_asked() {
            let block = &mut self.normals[..left.min(BLOCK_OF_COORDINATES)];
            generator.fill_normal(1.0, block);
            self.sums.add(block);
            left -= block.len();
        }
    }

    fn squared_length(&mut self, input: ChosenInput<'_>) -> f64 {
        let mut square = 0.0;
        self.for_each_input_block(input, |block| {
            square += block.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        });
        square
    }

    /// E(‖∂ₓL‖₁ | x, s, A₁) = Σᵢ E|N(mᵢ, vᵢ)| with mᵢ = s xᵢ/‖x‖² and vᵢ = σ₁²A₁(1 − xᵢ²/‖x‖²).
    fn conditional_mean(&mut self, input: ChosenInput<'_>, input_square: f64, along: f64, across: f64) -> f64 {
        let mut total = 0.0;
        self.for_each_input_block(input, |block| {
            for &x in block {
                let x = f64::from(x);
                let share = if input_square == 0.0 { 0.0 } else { x * x / input_square };
                total += folded_normal_mean(along * x, across * (1.0 - share).max(0.0).sqrt());
            }
        });
        total
    }

    /// Visits the input's coordinates in order.
    fn for_each_input_block(&mut self, mut input: ChosenInput<'_>, mut visit: impl FnMut(&[f32])) {
        let held = self.input.len();
        for first in (0..self.sampler.chain.dimension).step_by(held) {
            if self.stop.is_asked() {
                return;
            }
            let block = &mut self.input[..held.min(self.sampler.chain.dimension - first)];
            input.next_block(block);
            visit(block);
        }
    }

    /// Visits the coordinates of the input and of ξ together; the visitor may write over ξ and add to the sums.
    fn for_each_block(
        &mut self,
        mut input: ChosenInput<'_>,
        mut generator: BulkGenerator,
        mut visit: impl FnMut(&[f32], &mut [f32], &mut NormSums),
    ) {
        let held = self.input.len();
        for first in (0..self.sampler.chain.dimension).step_by(held) {
            if self.stop.is_asked() {
                return;
            }
            let size = held.min(self.sampler.chain.dimension - first);
            input.next_block(&mut self.input[..size]);
            generator.fill_normal(1.0, &mut self.normals[..size]);
            visit(&self.input[..size], &mut self.normals[..size], &mut self.sums);
        }
    }
}

/// E|N(m, σ²)| = σ√(2/π) exp(−m²/2σ²) + m erf(m/(σ√2)).
fn folded_normal_mean(mean: f64, std_dev: f64) -> f64 {
    if std_dev == 0.0 {
        return mean.abs();
    }
    let ratio = mean / std_dev;
    std_dev * std::f64::consts::FRAC_2_PI.sqrt() * (-ratio * ratio / 2.0).exp()
        + mean * erf(ratio * std::f64::consts::FRAC_1_SQRT_2)
}
