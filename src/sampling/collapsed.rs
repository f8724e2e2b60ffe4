//! The collapsed sampler: gradients of bias-free dense ReLU networks with Gaussian weights, exactly in law, from O(depth)
//! scalars a draw whatever the widths.
//!
//! Forward, ‖h_l‖² = σ_l²‖h_{l−1}‖² χ²_{K_l} with K_l ~ Binomial(n_l, ½), and the logits are f ~ N(0, σ²_{D+1}‖h_D‖² I). With
//! δ = softmax(f) − onehot(y) and s = f·δ, homogeneity gives z_l·∂L/∂z_l = s at every layer; conditioning each W_l on
//! W_l h_{l−1} then gives, with A_{D+1} = ‖δ‖²,
//!
//! - A_l = ‖∂L/∂z_l‖² = s²/‖h_l‖² + σ²_{l+1} A_{l+1} χ²_{K_l − 1} for l = D…1,
//! - ∂ₓL = x s/‖x‖² + σ₁ √A₁ (I − x xᵀ/‖x‖²) ξ with ξ ~ N(0, I_d),
//!
//! and a layer with K_l = 0 makes the gradient zero. The logit's gradient is ∂ₓf₀ = σ₁ √A ξ, A = Π σ²_{l+1} χ²_{K_l}. Both
//! laws are exact for each gradient; where a spec asks for both, each draw takes two independent networks.
//!
//! For Gaussian inputs ∂ₓL is isotropic, so ‖∂ₓL‖₂ (which needs no coordinate) and one Gaussian direction give every
//! norm. Other inputs are read twice, in blocks, so that no more than a block of coordinates is held.
//!
//! Lengths are products over layers, and [`Scaled`] numbers: a network of any depth and variance is drawn as it is, and only
//! an observable that is itself beyond double precision is infinite, or the smallest number above zero.

use std::ops::{Add, Div, Mul, Range};

use ndarray_rand::rand::{Rng, RngCore};
use rand_distr::{Binomial, ChiSquared, Distribution, StandardNormal};
use statrs::function::erf::erf;

use super::Stream;
use super::input::{ChosenInput, InputLaw, LabelRule};
use super::monte_carlo::{Sampler, Worker};
use super::normal::BulkGenerator;
use super::observable::{Gradient, GradientObservable, Observable, Statistic};
use crate::network::norm::NormSums;
use crate::network::{Architecture, DenseChain, Initialisation, Norm, NotADenseChain, WeightDistribution, loss};
use crate::scaled::Scaled;
use crate::statistics::gaussian::expected_sphere_norm;
use crate::stop::Stop;

/// Coordinates held at a time.
const BLOCK_OF_COORDINATES: usize = 4096;

/// From 2⁻⁶⁴ to 2⁶⁴: where the squared length of the input and the scale of the gradient are so, single precision has room for
/// all coordinates and their products.
const SINGLE: Range<f64> = 5.421_010_862_427_522e-20..1.844_674_407_370_955_2e19;

/// Draws gradients of a dense chain without drawing its weights.
#[derive(Debug, Clone)]
pub struct CollapsedSampler {
    chain: DenseChain,
    input: InputLaw,
    label: LabelRule,
    observables: Vec<GradientObservable>,
    masks: Vec<FairCoins>,
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
    /// Says why the collapsed law is not exact: other layers than alternating dense and ReLU, biases, weights that are not
    /// Gaussian, or observables of other things than a gradient.
    pub fn new(
        architecture: &Architecture,
        initialisation: &Initialisation,
        input: InputLaw,
        label: LabelRule,
        observables: Vec<Observable>,
    ) -> Result<Self, NotADenseChain> {
        let chain = DenseChain::new(architecture, initialisation)?;
        if initialisation.distribution != WeightDistribution::Normal {
            return Err(NotADenseChain("the weights are not Gaussian".into()));
        }
        let gradients: Option<Vec<GradientObservable>> = observables.iter().map(|o| o.of_gradient().copied()).collect();
        let observables = gradients.ok_or_else(|| NotADenseChain("an observable needs the network itself".into()))?;
        let masks = chain.widths.iter().map(|&width| FairCoins::new(width as u64)).collect();
        let direction_l1 = expected_sphere_norm(chain.dimension as u64, 1.0);
        let variances = chain.std_devs.iter().map(|&std_dev| Scaled::from(std_dev).power(2)).collect();
        let ordinary = ordinary(&chain);
        Ok(Self { chain, input, label, observables, masks, variances, ordinary, direction_l1 })
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

/// Most layers, and the largest magnitude of the logarithm (to base 2) of a product of variances over neighbouring ones, for which doubles
/// have room: the draws' own scatter, the squares of what they give, and inputs of a size within [`SINGLE`] are far from filling it.
const ORDINARY: (usize, f64) = (64, 100.0);

/// σ₁²…σ²_{D+1}, where the recursions need no more range than doubles have.
fn ordinary(chain: &DenseChain) -> Option<Vec<f64>> {
    let fan_ins = std::iter::once(&chain.dimension).chain(&chain.widths);
    let factors = fan_ins.zip(&chain.std_devs).map(|(&fan_in, std_dev)| (fan_in as f64).log2() + 2.0 * std_dev.log2());
    let (mut sum, mut least, mut most) = (0.0f64, 0.0f64, 0.0f64);
    for factor in factors {
        sum += factor;
        (least, most) = (least.min(sum), most.max(sum));
    }
    let (layers, reach) = ORDINARY;
    let fits = chain.std_devs.len() <= layers && most - least <= reach && chain.dimension as f64 <= reach.exp2().sqrt();
    fits.then(|| chain.std_devs.iter().map(|std_dev| std_dev * std_dev).collect())
}

/// What the recursions over layers compute with: doubles where their range will do, [`Scaled`] numbers elsewhere, to the same bits.
trait Length: Copy + From<f64> + Into<Scaled> + Mul<Output = Self> + Div<Output = Self> + Add<Output = Self> {
    fn is_zero(self) -> bool;
    fn root(self) -> Self;
    /// See [`Scaled::clamped`].
    fn clamped(self) -> (f64, Self);
    /// `None` where it has no room in the products to come.
    fn from_scaled(value: Scaled) -> Option<Self>;
}

impl Length for f64 {
    fn is_zero(self) -> bool {
        self == 0.0
    }

    fn root(self) -> Self {
        self.sqrt()
    }

    fn clamped(self) -> (f64, Self) {
        (self, 1.0)
    }

    fn from_scaled(value: Scaled) -> Option<Self> {
        Some(value.nearest()).filter(|value| *value >= SINGLE.start)
    }
}

impl Length for Scaled {
    fn is_zero(self) -> bool {
        Scaled::is_zero(self)
    }

    fn root(self) -> Self {
        self.sqrt()
    }

    fn clamped(self) -> (f64, Self) {
        Scaled::clamped(self)
    }

    fn from_scaled(value: Scaled) -> Option<Self> {
        Some(value)
    }
}

/// σ₁² Π σ²_{l+1} χ²_{K_l}.
fn product_of_layers<L: Length>(variances: &[L], masks: &[FairCoins], stream: &mut Stream) -> L {
    let mut square = variances[0];
    for (mask, &variance) in masks.iter().zip(&variances[1..]) {
        square = square * (variance * chi_squared(mask.heads(stream), stream).into());
    }
    square
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
    /// K_l, units that a draw's ReLUs let through.
    active: Vec<u64>,
    /// ‖h_l‖².
    lengths: Vec<Scaled>,
    ordinary_lengths: Vec<f64>,
    /// Looked at before each block of coordinates.
    stop: Stop,
}

/// ∂ₓL = along·x + across·P ξ, with P the projection orthogonal to x.
#[derive(Debug, Clone, Copy)]
struct LossGradient {
    /// s = f·∂L/∂f.
    homogeneity: Scaled,
    /// σ₁ √A₁.
    across: Scaled,
}

/// What a draw knows of a gradient: ‖g‖₂, the sums over coordinates if they were drawn, the conditional mean of ‖g‖₁.
struct Measured<'a> {
    length: Scaled,
    /// Sums over coordinates that are to be multiplied by the factor.
    sums: Option<(&'a NormSums, Scaled)>,
    conditional_mean: Scaled,
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
            let gradient = self.draw_scalars(square, label, stream);
            self.measure_isotropic(gradient, square, stream, values);
        } else {
            let (input, label) = sampler.input.choose(sampler.label, sampler.chain.outputs, stream);
            let square = self.squared_length(input.clone());
            let gradient = self.draw_scalars(square, label, stream);
            self.measure_given_input(gradient, square, input, stream, values);
        }
    }

    /// The recursions forward and back; `None` where the gradient is zero.
    fn draw_scalars(&mut self, input_square: f64, label: usize, stream: &mut Stream) -> Option<LossGradient> {
        let Self { sampler, active, lengths, ordinary_lengths, logits, logit_gradient, .. } = self;
        let mut recursion = Recursion { sampler, active, logits, logit_gradient, label };
        match &sampler.ordinary {
            Some(variances) if SINGLE.contains(&input_square) => {
                recursion.run(variances, input_square, ordinary_lengths, stream)
            }
            _ => recursion.run(&sampler.variances, input_square.into(), lengths, stream),
        }
    }

    /// Gaussian inputs: the direction of the gradient is uniform on the sphere, whatever its length.
    fn measure_isotropic(
        &mut self,
        gradient: Option<LossGradient>,
        input_square: f64,
        stream: &mut Stream,
        values: &mut [f64],
    ) {
        let dimension = self.sampler.chain.dimension as u64;
        let length = gradient.map_or(Scaled::ZERO, |LossGradient { homogeneity, across }| {
            let along = homogeneity * homogeneity / input_square.into();
            (along + across * across * chi_squared(dimension - 1, stream).into()).sqrt()
        });
        let mut factor = Scaled::ZERO;
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
        gradient: Option<LossGradient>,
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
        let CollapsedSampler { chain, variances, ordinary, masks, .. } = self.sampler;
        let scale = match ordinary {
            Some(variances) => product_of_layers(variances, masks, stream).sqrt().into(),
            None => product_of_layers(variances, masks, stream).sqrt(),
        };
        let length = if self.logit.coordinates {
            self.sum_normals(stream);
            scale * self.sums.norm(Norm::TWO).into()
        } else {
            self.sums.clear();
            scale * chi_squared(chain.dimension as u64, stream).sqrt().into()
        };
        let conditional_mean = scale * (chain.dimension as f64).into() * std::f64::consts::FRAC_2_PI.sqrt().into();
        self.report(Gradient::Logit, Measured { length, sums: Some((&self.sums, scale)), conditional_mean }, values);
    }

    fn report(&self, gradient: Gradient, measured: Measured<'_>, values: &mut [f64]) {
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

/// The memory of one pass forward and back.
struct Recursion<'a> {
    sampler: &'a CollapsedSampler,
    active: &'a mut [u64],
    logits: &'a mut [f64],
    logit_gradient: &'a mut [f64],
    label: usize,
}

impl Recursion<'_> {
    /// `lengths` takes ‖h_l‖²; `None` where the gradient is zero.
    fn run<L: Length>(
        &mut self,
        variances: &[L],
        input_square: L,
        lengths: &mut [L],
        stream: &mut Stream,
    ) -> Option<LossGradient> {
        let CollapsedSampler { chain: DenseChain { std_devs, widths, .. }, masks, .. } = self.sampler;
        let (mut square, mut closed) = (input_square, false);
        for (layer, (mask, &variance)) in masks.iter().zip(variances).enumerate() {
            self.active[layer] = mask.heads(stream);
            closed |= self.active[layer] == 0;
            square = square * (variance * chi_squared(self.active[layer], stream).into());
            lengths[layer] = square;
        }
        if closed || (!widths.is_empty() && square.is_zero()) {
            return None;
        }
        // The chain has one more standard deviation than hidden layers. Logits of a size beyond double precision have the softmax
        // of any that are huge, or tiny.
        let (scale, unit) = (L::from(std_devs[widths.len()]) * square.root()).clamped();
        self.logits.fill_with(|| scale * stream.sample::<f64, _>(StandardNormal));
        loss::cross_entropy_gradient(self.logits, self.label, self.logit_gradient);
        let product: f64 = self.logits.iter().zip(&*self.logit_gradient).map(|(f, delta)| f * delta).sum();
        let homogeneity = unit * product.into();
        // Squares that doubles do not hold are those of a softmax that is all but sure.
        let of_logits = squared_length(self.logit_gradient);
        let Some(start) = L::from_scaled(of_logits) else {
            let lengths: Vec<Scaled> = lengths.iter().map(|&length| length.into()).collect();
            let across = self.back(&self.sampler.variances, of_logits, homogeneity.into(), &lengths, stream);
            return Some(LossGradient { homogeneity: homogeneity.into(), across });
        };
        let across = self.back(variances, start, homogeneity, lengths, stream).into();
        Some(LossGradient { homogeneity: homogeneity.into(), across })
    }

    /// σ₁ √A₁, from A_{D+1} = ‖∂L/∂f‖².
    fn back<L: Length>(&self, variances: &[L], mut square: L, homogeneity: L, lengths: &[L], stream: &mut Stream) -> L {
        let of_homogeneity = homogeneity * homogeneity;
        for layer in (0..lengths.len()).rev() {
            let across = variances[layer + 1] * square * chi_squared(self.active[layer] - 1, stream).into();
            square = of_homogeneity / lengths[layer] + across;
        }
        L::from(self.sampler.chain.std_devs[0]) * square.root()
    }
}

/// ‖v‖² of any size.
fn squared_length(vector: &[f64]) -> Scaled {
    let plain: f64 = vector.iter().map(|value| value * value).sum();
    // Sums of squares that underflow have lost digits.
    if plain > f64::MIN_POSITIVE / f64::EPSILON { plain.into() } else { Scaled::from(Norm::TWO.of(vector)).power(2) }
}

/// χ² with these degrees of freedom; 0 for none.
fn chi_squared(degrees: u64, stream: &mut Stream) -> f64 {
    // Positive degrees always have a distribution.
    ChiSquared::new(degrees as f64).map_or(0.0, |distribution| distribution.sample(stream))
}

/// Number of heads among fair coins, K ~ Binomial(n, ½).
#[derive(Debug, Clone, Copy)]
enum FairCoins {
    /// Few enough to count the set bits of n random bits, which is many times faster than the general method.
    Bits {
        words: u64,
        last: u64,
    },
    Many(Binomial),
}

impl FairCoins {
    fn new(count: u64) -> Self {
        let bits = Self::Bits { words: count / 64, last: (1 << (count % 64)) - 1 };
        if count <= 2048 { bits } else { Binomial::new(count, 0.5).map_or(bits, Self::Many) }
    }

    fn heads(&self, stream: &mut Stream) -> u64 {
        match self {
            Self::Bits { words, last } => {
                let whole: u64 = (0..*words).map(|_| u64::from(stream.next_u64().count_ones())).sum();
                let part = if *last == 0 { 0 } else { stream.next_u64() & last };
                whole + u64::from(part.count_ones())
            }
            Self::Many(binomial) => binomial.sample(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Dense, Relu, Shape, Variances};
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
        let sampler =
            CollapsedSampler::new(&network, &initialisation, input, LabelRule::Fixed(1), observables).unwrap();
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
        let hidden = (0..4).flat_map(|_| [Dense::new(5).into(), Relu.into()]);
        let layers = hidden.chain([Dense::new(3).into()]).collect();
        let network = Architecture::new(Shape::new([30]).unwrap(), layers).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let observables: Vec<Observable> = NAMES.iter().map(|name| name.parse().unwrap()).collect();
        for input in inputs() {
            let mut sampler =
                CollapsedSampler::new(&network, &initialisation, input, LabelRule::Random, observables.clone())
                    .unwrap();
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
}
