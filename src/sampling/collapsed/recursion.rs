//! The recursions of the collapsed sampler: squared lengths forward, the gradient's scale back, a few scalars a layer.

use std::ops::Range;

use ndarray_rand::rand::{Rng, RngCore};
use rand_distr::{Binomial, ChiSquared, Distribution, StandardNormal};

use super::CollapsedSampler;
use crate::network::{DenseChain, Norm, loss};
use crate::sampling::Stream;
use crate::scaled::{Magnitude, Scaled};

/// From 2⁻⁶⁴ to 2⁶⁴: where the squared length of the input and the scale of the gradient are so, single precision has room for
/// all coordinates and their products.
pub(super) const SINGLE: Range<f64> = 5.421_010_862_427_522e-20..1.844_674_407_370_955_2e19;

/// What the recursions compute with.
pub(super) trait Length: Magnitude {
    /// `None` where it has no room in the products to come.
    fn from_scaled(value: Scaled) -> Option<Self>;
    fn scalars(gradient: LossGradient<Self>) -> Scalars;
}

impl Length for f64 {
    fn from_scaled(value: Scaled) -> Option<Self> {
        Some(value.nearest()).filter(|value| *value >= SINGLE.start)
    }

    fn scalars(gradient: LossGradient<Self>) -> Scalars {
        Scalars::Ordinary(gradient)
    }
}

impl Length for Scaled {
    fn from_scaled(value: Scaled) -> Option<Self> {
        Some(value)
    }

    fn scalars(gradient: LossGradient<Self>) -> Scalars {
        Scalars::OfAnySize(gradient)
    }
}

/// Most layers, and the largest magnitude of the logarithm (to base 2) of a product of variances over neighbouring ones, for which doubles
/// have room: the draws' own scatter, the squares of what they give, and inputs of a size within [`SINGLE`] are far from filling it.
const ORDINARY: (usize, f64) = (64, 100.0);

/// σ₁²…σ²_{D+1}, where the recursions need no more range than doubles have.
pub(super) fn ordinary(chain: &DenseChain) -> Option<Vec<f64>> {
    let fan_ins = std::iter::once(&chain.dimension).chain(&chain.widths);
    let steepest = std::iter::once(1.0).chain(chain.slopes.iter().map(|slope| slope.abs().max(1.0)));
    let factors = fan_ins.zip(&chain.std_devs).zip(steepest);
    let factors =
        factors.map(|((&fan_in, std_dev), slope)| (fan_in as f64).log2() + 2.0 * (std_dev.log2() + slope.log2()));
    let (mut sum, mut least, mut most) = (0.0f64, 0.0f64, 0.0f64);
    for factor in factors {
        sum += factor;
        (least, most) = (least.min(sum), most.max(sum));
    }
    let (layers, reach) = ORDINARY;
    let fits = chain.std_devs.len() <= layers && most - least <= reach && chain.dimension as f64 <= reach.exp2().sqrt();
    fits.then(|| chain.std_devs.iter().map(|std_dev| std_dev * std_dev).collect())
}

/// σ₁² Π σ²_{l+1} S_l.
pub(super) fn product_of_layers<L: Length>(variances: &[L], units: &[Units], stream: &mut Stream) -> L {
    let mut square = variances[0];
    for (units, &variance) in units.iter().zip(&variances[1..]) {
        let open = units.coins.heads(stream);
        square = square * (variance * units.passed(open, stream).sum.into());
    }
    square
}

/// The units of a hidden layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    count: u64,
    coins: FairCoins,
    /// The square of the activation's slope below zero.
    square: f64,
}

/// What a layer passes of n standard normals: S = χ²_K + a² χ²_{n − K}.
struct Passed {
    sum: f64,
    /// The share of the open units, those above zero.
    share: f64,
}

impl Units {
    pub fn new(width: usize, slope: f64) -> Self {
        Self { count: width as u64, coins: FairCoins::new(width as u64), square: slope * slope }
    }

    fn passed(&self, open: u64, stream: &mut Stream) -> Passed {
        let above = chi_squared(open, stream);
        if self.square == 0.0 {
            return Passed { sum: above, share: 1.0 };
        }
        let sum = above + self.square * chi_squared(self.count - open, stream);
        Passed { sum, share: above / sum }
    }

    /// ‖D(c h + τ P ξ)‖², D the activation's slopes, P the projection orthogonal to h: from u = |c|‖h‖ (its square) and τ² with the share ρ of
    /// the open units in ‖h‖².
    ///
    /// Within the open units and within the others ξ has a part along h and one across. Of the two along, the projection leaves one normal
    /// w, of which the open units have √(1 − ρ) and the others −√ρ: A = (u√ρ + τ w√(1 − ρ))² + τ² χ²_{K−1} + a² ((u√(1 − ρ) − τ w√ρ)² + τ²
    /// χ²_{n−K−1}). Where all units are on one side there is no w.
    fn back<L: Length>(&self, open: u64, share: f64, along: L, across: L, stream: &mut Stream) -> L {
        if self.square == 0.0 {
            return along + across * chi_squared(open - 1, stream).into();
        }
        if open == 0 || open == self.count {
            let slope = if open == 0 { self.square } else { 1.0 };
            return L::from(slope) * (along + across * chi_squared(self.count - 1, stream).into());
        }
        let (rest, w): (f64, f64) = (1.0 - share, stream.sample(StandardNormal));
        let others = chi_squared(open - 1, stream) + self.square * chi_squared(self.count - open - 1, stream);
        let mixed = 2.0 * w * (share * rest).sqrt() * (1.0 - self.square);
        let of_along = share + self.square * rest;
        let of_across = w * w * (rest + self.square * share) + others;
        along * of_along.into() + across * of_across.into() + (along * across).root() * mixed.into()
    }
}

/// ∂ₓL = along·x + across·P ξ, with P the projection orthogonal to x.
#[derive(Debug, Clone, Copy)]
pub(super) struct LossGradient<M> {
    /// s = f·∂L/∂f.
    pub homogeneity: M,
    /// σ₁ √A₁.
    pub across: M,
}

/// What the recursions give.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalars {
    /// The gradient is zero.
    Zero,
    Ordinary(LossGradient<f64>),
    OfAnySize(LossGradient<Scaled>),
}

/// The memory of one pass forward and back.
pub(super) struct Recursion<'a> {
    pub sampler: &'a CollapsedSampler,
    /// K_l, the units above zero, and their share of ‖h_l‖².
    pub active: &'a mut [u64],
    pub shares: &'a mut [f64],
    pub logits: &'a mut [f64],
    pub logit_gradient: &'a mut [f64],
    pub label: usize,
}

impl Recursion<'_> {
    /// `lengths` takes ‖h_l‖².
    pub fn run<L: Length>(
        &mut self,
        variances: &[L],
        input_square: L,
        lengths: &mut [L],
        stream: &mut Stream,
    ) -> Scalars {
        let CollapsedSampler { chain: DenseChain { std_devs, widths, .. }, units, .. } = self.sampler;
        let (mut square, mut closed) = (input_square, false);
        for (layer, (units, &variance)) in units.iter().zip(variances).enumerate() {
            let open = units.coins.heads(stream);
            let Passed { sum, share } = units.passed(open, stream);
            closed |= open == 0 && units.square == 0.0;
            square = square * (variance * sum.into());
            (self.active[layer], self.shares[layer], lengths[layer]) = (open, share, square);
        }
        if closed || (!widths.is_empty() && square.is_zero()) {
            return Scalars::Zero;
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
            return Scalars::OfAnySize(LossGradient { homogeneity: homogeneity.into(), across });
        };
        let across = self.back(variances, start, homogeneity, lengths, stream);
        L::scalars(LossGradient { homogeneity, across })
    }

    /// σ₁ √A₁, from A_{D+1} = ‖∂L/∂f‖².
    fn back<L: Length>(&self, variances: &[L], mut square: L, homogeneity: L, lengths: &[L], stream: &mut Stream) -> L {
        let of_homogeneity = homogeneity * homogeneity;
        for layer in (0..lengths.len()).rev() {
            let (along, across) = (of_homogeneity / lengths[layer], variances[layer + 1] * square);
            square = self.sampler.units[layer].back(self.active[layer], self.shares[layer], along, across, stream);
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
pub(super) fn chi_squared(degrees: u64, stream: &mut Stream) -> f64 {
    // Positive degrees always have a distribution.
    ChiSquared::new(degrees as f64).map_or(0.0, |distribution| distribution.sample(stream))
}

/// Number of heads among fair coins, K ~ Binomial(n, ½).
#[derive(Debug, Clone, Copy)]
pub(super) enum FairCoins {
    /// Few enough to count the set bits of n random bits, which is many times faster than the general method.
    Bits {
        words: u64,
        last: u64,
    },
    Many(Binomial),
}

impl FairCoins {
    pub fn new(count: u64) -> Self {
        let bits = Self::Bits { words: count / 64, last: (1 << (count % 64)) - 1 };
        if count <= 2048 { bits } else { Binomial::new(count, 0.5).map_or(bits, Self::Many) }
    }

    pub fn heads(&self, stream: &mut Stream) -> u64 {
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
