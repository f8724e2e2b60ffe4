//! The two floating-point types that networks are computed in: `f32` for speed, `f64` for checks.

use ndarray::NdFloat;

use super::simd::Lanes;

/// `f32` or `f64`, with conversions that never fail.
pub trait Real: NdFloat + Default + Lanes {
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The same value in double precision.
    fn as_f64(self) -> f64;
}

impl Real for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn as_f64(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
    fn as_f64(self) -> f64 {
        self
    }
}
