//! Weighted least squares of point means: a straight line or a constant, with standard errors and a goodness-of-fit
//! test.
//!
//! On log-log axes the slope of the line is the exponent of a power law, and the constant is a ratio.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::Reference;

/// Below this probability the scatter around the fit is not explained by the points' standard errors.
const POOR_FIT: f64 = 1e-3;

/// A point with the standard error of its ordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedPoint {
    /// Abscissa.
    pub x: f64,
    /// Ordinate.
    pub y: f64,
    /// Standard error of the ordinate, positive.
    pub std_error: f64,
}

/// A fitted parameter with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The slope, or the constant.
    pub estimate: f64,
    /// Ordinate of the line at x = 0; the constant itself for a constant.
    pub intercept: f64,
    /// Standard error of the estimate from the points' own errors, widened by √(χ²/ν) where the fit is poor.
    pub std_error: f64,
    /// Weighted residual sum of squares χ².
    pub chi_squared: f64,
    /// Degrees of freedom ν = points − parameters.
    pub degrees: u64,
    /// P(χ²_ν ≥ χ²): small when the points do not lie on the fitted form; 1 when ν = 0.
    pub goodness_of_fit: f64,
}

impl Fit {
    /// Weighted regression y = a + b·x with weights 1/σᵢ²: b = Σw(x − x̄)(y − ȳ)/Σw(x − x̄)², Var b = 1/Σw(x − x̄)².
    ///
    /// `None` for fewer than two distinct abscissae or values that are not finite.
    pub fn line(points: &[WeightedPoint]) -> Option<Self> {
        let (total, x_mean, y_mean) = weighted_means(points)?;
        let weighted = |term: &dyn Fn(&WeightedPoint) -> f64| {
            points.iter().map(|point| term(point) / point.std_error.powi(2)).sum::<f64>()
        };
        let spread = weighted(&|point| (point.x - x_mean).powi(2));
        if spread <= 1e-24 * total * (1.0 + x_mean * x_mean) {
            return None;
        }
        let slope = weighted(&|point| (point.x - x_mean) * (point.y - y_mean)) / spread;
        let chi_squared = weighted(&|point| (point.y - y_mean - slope * (point.x - x_mean)).powi(2));
        let degrees = points.len() as u64 - 2;
        Some(Self::assemble(slope, y_mean - slope * x_mean, spread.sqrt().recip(), chi_squared, degrees))
    }

    /// Weighted mean of the ordinates with weights 1/σᵢ².
    ///
    /// `None` without points or with values that are not finite.
    pub fn constant(points: &[WeightedPoint]) -> Option<Self> {
        let (total, _, mean) = weighted_means(points)?;
        let chi_squared = points.iter().map(|point| ((point.y - mean) / point.std_error).powi(2)).sum();
        Some(Self::assemble(mean, mean, total.sqrt().recip(), chi_squared, points.len() as u64 - 1))
    }

    fn assemble(estimate: f64, intercept: f64, std_error: f64, chi_squared: f64, degrees: u64) -> Self {
        let goodness_of_fit = match ChiSquared::new(degrees as f64) {
            Ok(distribution) if degrees > 0 => distribution.sf(chi_squared),
            _ => 1.0,
        };
        let mut fit = Self { estimate, intercept, std_error, chi_squared, degrees, goodness_of_fit };
        if fit.is_poor() {
            fit.std_error *= (chi_squared / degrees as f64).sqrt();
        }
        fit
    }

    /// Whether the goodness-of-fit test rejects the form at 10⁻³; the standard error is then that of the scatter
    /// around the fit (Birge's ratio), and [`reference`](Self::reference) is Student's t.
    pub fn is_poor(&self) -> bool {
        self.degrees > 0 && self.goodness_of_fit < POOR_FIT
    }

    /// The law of (estimate − truth)/standard error: normal, or Student's t with ν degrees where the errors are those
    /// of the scatter.
    pub fn reference(&self) -> Reference {
        if self.is_poor() { Reference::StudentT(self.degrees as f64) } else { Reference::Normal }
    }

    /// Standard error of the estimate from the scatter around the fit alone, whatever the points' own errors are; NaN where no
    /// degree of freedom is left.
    pub fn scatter_error(&self) -> f64 {
        let scatter = (self.chi_squared / self.degrees as f64).sqrt();
        if self.is_poor() { self.std_error } else { self.std_error * scatter }
    }

    /// The fitted line at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.estimate * x
    }
}

/// The lines through neighbouring points, from the least abscissa to the largest: the local slopes of a curve.
pub fn pieces(points: &[WeightedPoint]) -> impl Iterator<Item = Fit> + use<> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    let pairs: Vec<[WeightedPoint; 2]> = sorted.windows(2).map(|pair| [pair[0], pair[1]]).collect();
    pairs.into_iter().filter_map(|pair| Fit::line(&pair))
}

fn weighted_means(points: &[WeightedPoint]) -> Option<(f64, f64, f64)> {
    let usable = |point: &WeightedPoint| {
        point.x.is_finite() && point.y.is_finite() && point.std_error.is_finite() && point.std_error > 0.0
    };
    if points.is_empty() || !points.iter().all(usable) {
        return None;
    }
    let weight = |point: &WeightedPoint| point.std_error.powi(-2);
    let total: f64 = points.iter().map(weight).sum();
    let x_mean = points.iter().map(|point| weight(point) * point.x).sum::<f64>() / total;
    let y_mean = points.iter().map(|point| weight(point) * point.y).sum::<f64>() / total;
    Some((total, x_mean, y_mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_rand::rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn points(coordinates: &[(f64, f64, f64)]) -> Vec<WeightedPoint> {
        coordinates.iter().map(|&(x, y, std_error)| WeightedPoint { x, y, std_error }).collect()
    }

    #[test]
    fn the_line_solves_the_normal_equations() {
        // Pearson's data with the y-weights of York (1966), regression of y on x.
        let (x, y) = ([0.0, 0.9, 1.8, 2.6, 3.3], [5.9, 5.4, 4.4, 4.6, 3.5]);
        let weights = [1.0, 1.8, 4.0, 8.0, 20.0];
        let data: Vec<_> =
            (0..5).map(|i| WeightedPoint { x: x[i], y: y[i], std_error: f64::sqrt(1.0 / weights[i]) }).collect();
        let fit = Fit::line(&data).unwrap();
        let sums = |f: &dyn Fn(usize) -> f64| (0..5).map(|i| weights[i] * f(i)).sum::<f64>();
        let (s, sx, sy) = (sums(&|_| 1.0), sums(&|i| x[i]), sums(&|i| y[i]));
        let (sxx, sxy) = (sums(&|i| x[i] * x[i]), sums(&|i| x[i] * y[i]));
        let slope = (s * sxy - sx * sy) / (s * sxx - sx * sx);
        assert!((fit.estimate - slope).abs() < 1e-12);
        assert!((fit.intercept - (sy - slope * sx) / s).abs() < 1e-12);
        assert!((fit.std_error - (s / (s * sxx - sx * sx)).sqrt()).abs() < 1e-12);
        assert!(!fit.is_poor());
    }

    #[test]
    fn a_curve_widens_the_error_and_takes_students_t() {
        let curve: Vec<_> = (0..6).map(|i| (f64::from(i), f64::from(i * i), 0.01)).collect();
        let fit = Fit::line(&points(&curve)).unwrap();
        assert!(fit.is_poor() && fit.std_error > 0.1);
        assert_eq!(fit.reference(), Reference::StudentT(4.0));
    }

    #[test]
    fn the_pieces_of_a_curve_have_its_local_slopes() {
        let curve: Vec<_> = [2.0, 0.0, 1.0].map(|x| (x, x * x, 0.1)).to_vec();
        let slopes: Vec<f64> = pieces(&points(&curve)).map(|piece| piece.estimate).collect();
        assert!((slopes[0] - 1.0).abs() < 1e-12 && (slopes[1] - 3.0).abs() < 1e-12 && slopes.len() == 2);
    }

    #[test]
    fn what_cannot_be_fitted_is_none() {
        assert!(Fit::line(&points(&[(1.0, 2.0, 0.1), (1.0, 3.0, 0.1)])).is_none());
        assert!(Fit::line(&points(&[(1.0, f64::NAN, 0.1), (2.0, 3.0, 0.1)])).is_none());
        assert!(Fit::constant(&[]).is_none());
    }

    /// 2 000 replications: the mean slope within 4.5 standard errors, the coverage of 95 % intervals within 4.5
    /// binomial standard errors (false alarms below 2·10⁻⁵).
    #[test]
    fn intervals_cover_the_true_slope_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let replications = 2000;
        let covered = (0..replications)
            .filter(|_| {
                let data: Vec<_> = (0..7)
                    .map(|i| {
                        let (x, std_error) = (f64::from(i), 0.05 + 0.02 * f64::from(i));
                        let noise: f64 = rng.sample(StandardNormal);
                        (x, 0.3 + 0.5 * x + std_error * noise, std_error)
                    })
                    .collect();
                let fit = Fit::line(&points(&data)).unwrap();
                (fit.estimate - 0.5).abs() < 1.959964 * fit.std_error
            })
            .count() as f64;
        let (expected, spread) = (0.95 * f64::from(replications), (0.95 * 0.05 * f64::from(replications)).sqrt());
        assert!((covered - expected).abs() < 4.5 * spread, "{covered} intervals of {replications} cover");
    }
}
