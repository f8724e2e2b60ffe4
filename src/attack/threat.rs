//! What an attack may do: the ball around the input and the box of allowed values that a perturbed input stays in.

use crate::network::{Norm, Real};

/// The values that a coordinate may take: low ≤ xᵢ ≤ high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    /// 0 to 1, the values of an image.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// Values from low to high; `None` unless both are finite and low < high.
    pub fn new(low: f64, high: f64) -> Option<Self> {
        (low.is_finite() && high.is_finite() && low < high).then_some(Self { low, high })
    }

    /// The bounds, low and high.
    pub fn ends(self) -> [f64; 2] {
        [self.low, self.high]
    }

    /// high − low.
    pub fn width(self) -> f64 {
        self.high - self.low
    }

    /// Moves every coordinate that is outside to the nearest bound; NaN stays. Bounds are rounded to `T` first.
    pub fn clip<T: Real>(self, point: &mut [T]) {
        let [low, high] = self.ends().map(T::from_f64);
        point.iter_mut().for_each(|value| *value = clamped(*value, low, high));
    }

    /// The first coordinate that is outside or NaN, bounds rounded to `T`.
    pub fn outside<T: Real>(self, point: &[T]) -> Option<usize> {
        let [low, high] = self.ends().map(T::from_f64);
        point.iter().position(|&value| !(low <= value && value <= high))
    }
}

/// How far an input may be moved, and where it has to stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threat {
    /// The largest ‖δ‖ₚ of a perturbation, in the attack's norm.
    pub size: f64,
    /// The box, where there is one. An input is attacked from inside it.
    pub bounds: Option<Bounds>,
}

impl Threat {
    /// Moves of this size, with no box.
    pub fn unbounded(size: f64) -> Self {
        Self { size, bounds: None }
    }

    /// Clips a point to the box. Where the input is in the box, no coordinate of the perturbation grows, so that a
    /// point of the ball stays in the ball.
    pub fn clip<T: Real>(&self, point: &mut [T]) {
        if let Some(bounds) = self.bounds {
            bounds.clip(point);
        }
    }

    /// Moves a point into the ball around `input`, to the nearest point of it, and then into the box. `norm` is 2 or ∞.
    pub fn project<T: Real>(&self, norm: Norm, input: &[T], point: &mut [T]) {
        if norm == Norm::INFINITY {
            let size = T::from_f64(self.size);
            for (value, &x) in point.iter_mut().zip(input) {
                *value = clamped(*value, x - size, x + size);
            }
        } else {
            let squares = point.iter().zip(input).map(|(&value, &x)| (value - x).as_f64().powi(2));
            let length = squares.sum::<f64>().sqrt();
            if length > self.size {
                let factor = T::from_f64(self.size / length);
                point.iter_mut().zip(input).for_each(|(value, &x)| *value = x + factor * (*value - x));
            }
        }
        self.clip(point);
    }
}

/// The nearest value in [low, high]. A NaN compares false and stays.
fn clamped<T: Real>(value: T, low: T, high: T) -> T {
    if value < low {
        low
    } else if value > high {
        high
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_finite_and_in_order() {
        for (low, high) in [(1.0, 1.0), (1.0, 0.0), (0.0, f64::INFINITY), (f64::NAN, 1.0)] {
            assert_eq!(Bounds::new(low, high), None);
        }
        assert_eq!(Bounds::new(0.0, 1.0), Some(Bounds::UNIT));
        assert_eq!(Bounds::UNIT.outside(&[0.0f32, 1.0, 1.1]), Some(2));
        assert_eq!(Bounds::UNIT.outside(&[f64::NAN]), Some(0));
        // 0.1 in single precision is a little above 0.1.
        assert_eq!(Bounds::new(-1.0, 0.1).unwrap().outside(&[0.1f32]), None);
    }

    proptest! {
        #[test]
        fn projected_points_are_in_the_ball_and_the_box_and_stay(
            pairs in prop::collection::vec((0.0f64..1.0, -3.0f64..3.0), 1..20),
            size in 1e-3f64..3.0,
            flat in any::<bool>(),
        ) {
            let norm = if flat { Norm::INFINITY } else { Norm::TWO };
            let (input, mut point): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let threat = Threat { size, bounds: Some(Bounds::UNIT) };
            threat.project(norm, &input, &mut point);
            let delta: Vec<f64> = point.iter().zip(&input).map(|(moved, x)| moved - x).collect();
            prop_assert!(norm.of(&delta) <= size * (1.0 + 1e-12));
            prop_assert_eq!(Bounds::UNIT.outside(&point), None);
            let before = point.clone();
            threat.project(norm, &input, &mut point);
            prop_assert!(point.iter().zip(&before).all(|(one, other)| (one - other).abs() < 1e-12));
        }
    }
}
