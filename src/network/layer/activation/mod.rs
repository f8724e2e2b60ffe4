//! What an activation is, a function of each unit by itself: its values and derivatives, and what theory and samplers know of it. One
//! notion for all of them.

mod exponential;
mod moments;

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use libm::{erf, erfc};

use exponential::{exp, exp_m1, logistic, tanh, tanh_slope};

use crate::network::Real;
use crate::network::simd::vectorized;

/// An activation h = φ(z), by its formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// max(z, 0).
    Relu,
    /// z for z > 0, slope · z otherwise (Maas et al. 2013).
    LeakyRelu {
        /// The slope below zero.
        slope: f64,
    },
    /// |z|.
    Abs,
    /// z.
    Identity,
    /// tanh z.
    Tanh,
    /// 1/(1 + e^(−z)).
    Sigmoid,
    /// The error function, 2/√π ∫₀ᶻ e^(−t²) dt.
    Erf,
    /// z Φ(z) with the normal distribution function Φ (Hendrycks and Gimpel, arXiv 1606.08415), not its approximation by tanh.
    Gelu,
    /// z/(1 + e^(−z)).
    Silu,
    /// z for z > 0, e^z − 1 otherwise (Clevert et al., arXiv 1511.07289).
    Elu,
    /// ln(1 + e^z).
    Softplus,
    /// z, cut off at −1 and 1.
    HardTanh,
}

/// The standard normal density.
#[inline(always)]
fn density(z: f64) -> f64 {
    FRAC_1_SQRT_2 * FRAC_2_SQRT_PI / 2.0 * exp(-z * z / 2.0)
}

/// The standard normal distribution function, exact to rounding in its lower tail too.
fn distribution(z: f64) -> f64 {
    erfc(-z / SQRT_2) / 2.0
}

impl Activation {
    /// Its name, as specs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Abs => "abs",
            Self::Identity => "identity",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Erf => "erf",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Elu => "elu",
            Self::Softplus => "softplus",
            Self::HardTanh => "hard-tanh",
        }
    }

    /// φ(z).
    pub fn value(self, z: f64) -> f64 {
        match self {
            Self::Relu => piece(z, z, 0.0),
            Self::LeakyRelu { slope } => piece(z, z, slope * z),
            Self::Abs => z.abs(),
            Self::Identity => z,
            Self::Tanh => tanh(z),
            Self::Sigmoid => logistic(z),
            Self::Erf => erf(z),
            Self::Gelu => z * distribution(z),
            Self::Silu => z * logistic(z),
            Self::Elu => piece(z, z, exp_m1(z)),
            Self::Softplus => z.max(0.0) + exp(-z.abs()).ln_1p(),
            Self::HardTanh => z.clamp(-1.0, 1.0),
        }
    }

    /// φ′(z); from the left at a kink, as in PyTorch, and 0 for |z| at zero.
    pub fn slope(self, z: f64) -> f64 {
        match self {
            Self::Relu => piece(z, 1.0, 0.0),
            Self::LeakyRelu { slope } => piece(z, 1.0, slope),
            Self::Abs => sign(z),
            Self::Identity => 1.0,
            Self::Tanh => tanh_slope(z),
            Self::Sigmoid => logistic(z) * logistic(-z),
            Self::Erf => FRAC_2_SQRT_PI * exp(-z * z),
            Self::Gelu => distribution(z) + z * density(z),
            Self::Silu => logistic(z) * (1.0 + z * logistic(-z)),
            Self::Elu => piece(z, 1.0, exp(z)),
            Self::Softplus => logistic(z),
            Self::HardTanh => inside(z),
        }
    }

    /// φ″(z), away from kinks.
    pub fn curvature(self, z: f64) -> f64 {
        match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Abs | Self::Identity | Self::HardTanh => 0.0,
            Self::Tanh => -2.0 * tanh(z) * tanh_slope(z),
            Self::Sigmoid => self.slope(z) * (logistic(-z) - logistic(z)),
            Self::Erf => -2.0 * z * self.slope(z),
            Self::Gelu => density(z) * (2.0 - z * z),
            Self::Silu => Self::Sigmoid.slope(z) * (2.0 + z * (logistic(-z) - logistic(z))),
            Self::Elu => piece(z, 0.0, exp(z)),
            Self::Softplus => Self::Sigmoid.slope(z),
        }
    }

    /// Whether φ″ is not zero almost everywhere, so that gradients of penalties have a term with it.
    pub fn is_curved(self) -> bool {
        match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Abs | Self::Identity | Self::HardTanh => false,
            Self::Tanh | Self::Sigmoid | Self::Erf | Self::Gelu | Self::Silu | Self::Elu | Self::Softplus => true,
        }
    }

    /// The slope a below zero of a positively homogeneous activation, φ(z) = z for z > 0 and az below: φ(αz) = αφ(z) for all
    /// α > 0. `None` for one that is not.
    pub fn slope_below(self) -> Option<f64> {
        match self {
            Self::Relu => Some(0.0),
            Self::LeakyRelu { slope } => Some(slope),
            Self::Abs => Some(-1.0),
            Self::Identity => Some(1.0),
            Self::Tanh
            | Self::Sigmoid
            | Self::Erf
            | Self::Gelu
            | Self::Silu
            | Self::Elu
            | Self::Softplus
            | Self::HardTanh => None,
        }
    }

    /// Whether φ(−z) = −φ(z).
    pub fn is_odd(self) -> bool {
        match self {
            Self::Identity | Self::Tanh | Self::Erf | Self::HardTanh => true,
            Self::LeakyRelu { slope } => slope == 1.0,
            Self::Relu | Self::Abs | Self::Sigmoid | Self::Gelu | Self::Silu | Self::Elu | Self::Softplus => false,
        }
    }

    /// Whether a unit is let through as it is or not at all, so that the activation is a mask of zeros and ones.
    pub fn is_mask(self) -> bool {
        self == Self::Relu
    }

    /// Whether path theory needs inputs whose law is symmetric in sign, for units that are open half of the time.
    pub fn needs_symmetry(self) -> bool {
        self.slope_below().is_some_and(|slope| slope.abs() != 1.0)
    }

    /// h = φ(z) for each unit.
    pub(super) fn apply<T: Real>(self, inputs: &[T], outputs: &mut [T]) {
        let each = outputs.iter_mut().zip(inputs);
        match self {
            Self::Relu => vectorized(|| each.for_each(|(h, &z)| *h = piece(z, z, T::zero()))),
            Self::LeakyRelu { slope } => {
                let slope = T::from_f64(slope);
                vectorized(|| each.for_each(|(h, &z)| *h = piece(z, z, slope * z)));
            }
            Self::Abs => vectorized(|| each.for_each(|(h, &z)| *h = z.abs())),
            Self::Identity => outputs.copy_from_slice(inputs),
            Self::HardTanh => {
                let one = T::one();
                vectorized(|| {
                    each.for_each(|(h, &z)| {
                        *h = if z > one {
                            one
                        } else if z < -one {
                            -one
                        } else {
                            z
                        }
                    })
                });
            }
            Self::Tanh => each_unit(each, tanh),
            Self::Sigmoid => each_unit(each, logistic),
            Self::Silu => each_unit(each, |z| z * logistic(z)),
            Self::Elu => each_unit(each, |z| piece(z, z, exp_m1(z))),
            Self::Erf | Self::Gelu | Self::Softplus => {
                each.for_each(|(h, &z)| *h = T::from_f64(self.value(z.as_f64())));
            }
        }
    }

    /// φ′(z) · u for each unit.
    pub(super) fn apply_slope<T: Real>(self, inputs: &[T], factors: &[T], outputs: &mut [T]) {
        let each = outputs.iter_mut().zip(inputs).zip(factors);
        match self {
            Self::Relu => vectorized(|| each.for_each(|((out, &z), &u)| *out = piece(z, u, T::zero()))),
            Self::LeakyRelu { slope } => {
                let slope = T::from_f64(slope);
                vectorized(|| each.for_each(|((out, &z), &u)| *out = piece(z, u, slope * u)));
            }
            Self::Abs => vectorized(|| each.for_each(|((out, &z), &u)| *out = sign(z) * u)),
            Self::Identity => outputs.copy_from_slice(factors),
            Self::HardTanh => vectorized(|| each.for_each(|((out, &z), &u)| *out = inside(z) * u)),
            Self::Tanh => each_factor(each, tanh_slope),
            Self::Sigmoid => each_factor(each, |z| logistic(z) * logistic(-z)),
            Self::Silu => each_factor(each, |z| logistic(z) * (1.0 + z * logistic(-z))),
            Self::Elu => each_factor(each, |z| piece(z, 1.0, exp(z))),
            Self::Softplus => each_factor(each, logistic),
            Self::Erf => each_factor(each, |z| FRAC_2_SQRT_PI * exp(-z * z)),
            Self::Gelu => each.for_each(|((out, &z), &u)| *out = T::from_f64(self.slope(z.as_f64())) * u),
        }
    }
}

/// h = φ(z), computed in double precision in vector instructions.
#[inline]
fn each_unit<'a, T: Real>(each: impl Iterator<Item = (&'a mut T, &'a T)>, function: impl Fn(f64) -> f64) {
    vectorized(
        #[inline(always)]
        || each.for_each(|(h, z)| *h = T::from_f64(function(z.as_f64()))),
    );
}

/// φ′(z) · u in the same way.
#[inline]
fn each_factor<'a, T: Real>(each: impl Iterator<Item = ((&'a mut T, &'a T), &'a T)>, slope: impl Fn(f64) -> f64) {
    vectorized(
        #[inline(always)]
        || each.for_each(|((out, z), &u)| *out = T::from_f64(slope(z.as_f64())) * u),
    );
}

/// What holds above zero or else below; a NaN, which compares false, is passed on by what holds above.
#[inline(always)]
fn piece<T: Real>(z: T, above: T, below: T) -> T {
    if z <= T::zero() { below } else { above }
}

/// −1, 0 or 1.
#[inline(always)]
fn sign<T: Real>(z: T) -> T {
    if z > T::zero() {
        T::one()
    } else if z < T::zero() {
        -T::one()
    } else {
        T::zero()
    }
}

/// 1 where |z| < 1, 0 otherwise.
#[inline(always)]
fn inside<T: Real>(z: T) -> T {
    if z.abs() >= T::one() { T::zero() } else { T::one() }
}

/// All of them, with a slope for the one that has any.
#[cfg(test)]
pub(in crate::network) const ALL: [Activation; 12] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Abs,
    Activation::Identity,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Erf,
    Activation::Gelu,
    Activation::Silu,
    Activation::Elu,
    Activation::Softplus,
    Activation::HardTanh,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_slopes_are_those_of_the_formulas_elsewhere() {
        for (activation, z, value, slope) in [
            (Activation::LeakyRelu { slope: 0.2 }, -1.5, -0.3, 0.2),
            (Activation::Abs, -1.5, 1.5, -1.0),
            (Activation::Tanh, 0.7, 0.604_367_777_117_163_6, 0.634_739_589_982_458_4),
            (Activation::Sigmoid, -1.3, 0.214_165_016_957_441_4, 0.168_298_362_469_060_24),
            (Activation::Erf, 0.4, 0.428_392_355_046_668_45, 0.961_541_298_839_307_8),
            (Activation::Gelu, -0.8, -0.169_484_318_866_717_36, -0.019_897_843_625_789_502),
            (Activation::Silu, -2.0, -0.238_405_844_044_235_1, -0.090_784_248_784_895_44),
            (Activation::Elu, -0.6, -0.451_188_363_905_973_6, 0.548_811_636_094_026_4),
            (Activation::Softplus, 0.9, 1.241_153_874_732_087_8, 0.710_949_502_625_003_9),
            (Activation::HardTanh, 1.0, 1.0, 0.0),
        ] {
            assert!((activation.value(z) - value).abs() < 1e-11, "{activation:?} {}", activation.value(z));
            assert!((activation.slope(z) - slope).abs() < 1e-11, "{activation:?} {}", activation.slope(z));
        }
    }

    #[test]
    fn slopes_and_curvatures_are_differences_of_values() {
        let step = 1e-5;
        for activation in ALL {
            for z in [-9.3, -2.1, -0.7, -0.2, 0.3, 0.8, 2.6, 7.5] {
                let difference = |f: &dyn Fn(f64) -> f64| (f(z + step) - f(z - step)) / (2.0 * step);
                let slope = difference(&|z| activation.value(z));
                assert!((activation.slope(z) - slope).abs() < 1e-9, "{activation:?} at {z}: {slope}");
                let curvature = difference(&|z| activation.slope(z));
                assert!((activation.curvature(z) - curvature).abs() < 1e-9, "{activation:?} at {z}: {curvature}");
                assert!(activation.is_curved() || activation.curvature(z) == 0.0);
                assert!(!activation.is_odd() || (activation.value(-z) + activation.value(z)).abs() < 1e-15);
                if let Some(below) = activation.slope_below() {
                    assert_eq!(activation.value(z), if z > 0.0 { z } else { below * z }, "{activation:?}");
                }
            }
        }
    }

    #[test]
    fn whole_layers_are_their_units_in_both_precisions_and_a_nan_is_not_hidden() {
        let inputs = [-3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 4.0, f64::NAN];
        let factors = [2.0; 8];
        for activation in ALL {
            let (mut values, mut slopes) = ([0.0; 8], [0.0; 8]);
            activation.apply(&inputs, &mut values);
            activation.apply_slope(&inputs, &factors, &mut slopes);
            let (mut single, mut single_slopes) = ([0.0f32; 8], [0.0f32; 8]);
            activation.apply(&inputs.map(|z| z as f32), &mut single);
            activation.apply_slope(&inputs.map(|z| z as f32), &[2.0; 8], &mut single_slopes);
            for unit in 0..7 {
                assert_eq!(values[unit], activation.value(inputs[unit]), "{activation:?}");
                assert_eq!(slopes[unit], 2.0 * activation.slope(inputs[unit]), "{activation:?}");
                assert!((f64::from(single[unit]) - values[unit]).abs() < 1e-6, "{activation:?}");
                assert!((f64::from(single_slopes[unit]) - slopes[unit]).abs() < 1e-6, "{activation:?}");
            }
            assert!(values[7].is_nan() && single[7].is_nan(), "{activation:?}");
        }
    }
}
