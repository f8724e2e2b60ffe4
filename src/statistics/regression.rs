//! Weighted least squares of point means: a straight line or a constant, with standard errors and a goodness-of-fit
//! test.
//!
//! On log-log axes the slope of the line is the exponent of a power law, and the constant is a ratio.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

use super::Reference;

/// Below this probability the scatter around the fit is not explained by the points' standard errors.
pub const POOR_FIT: f64 = 1e-3;

/// A point with the standard error of its ordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedPoint {
    /// Abscissa.
    pub x: f64,
    /// Ordinate.
    pub y: f64,
    /// Standard error of the ordinate, positive.
    pub std_error: f64,
    /// Degrees of freedom that the standard error was estimated with; infinite where it is known.
    pub degrees: f64,
}

/// A fitted parameter with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The slope, or the constant.
    pub estimate: f64,
    /// Ordinate of the line at x = 0; the constant itself for a constant.
    pub intercept: f64,
    /// Standard error of the estimate from the points' own errors, for weights that are themselves estimated (Meier 1953); widened
    /// by √(χ²/ν) where the fit is poor.
    pub std_error: f64,
    /// Degrees of freedom of that error by Welch and Satterthwaite, from those of the points' errors.
    error_degrees: f64,
    /// Weighted residual sum of squares χ².
    pub chi_squared: f64,
    /// Degrees of freedom ν = points − parameters.
    pub degrees: u64,
    /// P(χ²_ν ≥ χ²), by Welch's (1951) F law where the points' errors are estimated: small when the points do not lie on the
    /// fitted form; 1 when ν = 0.
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
        let influence = |point: &WeightedPoint| (point.x - x_mean).powi(2) / point.std_error.powi(2) / spread;
        let std_error = spread.sqrt().recip();
        Some(Self::assemble(points, influence, slope, y_mean - slope * x_mean, std_error, chi_squared, degrees))
    }

    /// Weighted mean of the ordinates with weights 1/σᵢ².
    ///
    /// `None` without points or with values that are not finite.
    pub fn constant(points: &[WeightedPoint]) -> Option<Self> {
        let (total, _, mean) = weighted_means(points)?;
        let chi_squared = points.iter().map(|point| ((point.y - mean) / point.std_error).powi(2)).sum();
        let influence = |point: &WeightedPoint| point.std_error.powi(-2) / total;
        let std_error = total.sqrt().recip();
        Some(Self::assemble(points, influence, mean, mean, std_error, chi_squared, points.len() as u64 - 1))
    }

    /// `influence` is a point's share of the estimate's variance; the shares add to 1.
    fn assemble(
        points: &[WeightedPoint],
        influence: impl Fn(&WeightedPoint) -> f64,
        estimate: f64,
        intercept: f64,
        std_error: f64,
        chi_squared: f64,
        degrees: u64,
    ) -> Self {
        let sum =
            |term: &dyn Fn(f64) -> f64| points.iter().map(|point| term(influence(point)) / point.degrees).sum::<f64>();
        let error_degrees = sum(&|share| share * share).recip();
        let noise_of_weights = 4.0 * sum(&|share| share * (1.0 - share));
        let std_error = std_error * (1.0 + noise_of_weights).sqrt();
        let goodness_of_fit = if degrees == 0 {
            1.0
        } else {
            scatter_p_value(chi_squared, degrees as f64, sum(&|share| (1.0 - share).powi(2)))
        };
        let mut fit = Self { estimate, intercept, std_error, error_degrees, chi_squared, degrees, goodness_of_fit };
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

    /// The law of (estimate − truth)/standard error: Student's t with the degrees of the points' errors, or with ν where the
    /// errors are those of the scatter.
    pub fn reference(&self) -> Reference {
        Reference::StudentT(if self.is_poor() { self.degrees as f64 } else { self.error_degrees })
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

/// Probability of a scatter χ² at least as large, of ν + 1 groups whose errors are estimated: Welch's (1951) F test, with
/// `noise` = Σ(1 − wᵢ)²/νᵢ for weights wᵢ that add to 1; the χ² law where it is 0.
pub(crate) fn scatter_p_value(chi_squared: f64, degrees: f64, noise: f64) -> f64 {
    let groups = degrees + 1.0;
    let scale = 1.0 + 2.0 * (groups - 2.0) / (groups * groups - 1.0) * noise;
    let others = (groups * groups - 1.0) / (3.0 * noise);
    // Of a million degrees and more the F law is the χ² law to six digits, and statrs is slow.
    if others < 1e6 {
        return FisherSnedecor::new(degrees, others).map_or(1.0, |law| law.sf(chi_squared / degrees / scale));
    }
    ChiSquared::new(degrees).map_or(1.0, |law| law.sf(chi_squared))
}

/// Neighbouring points, from the least abscissa to the largest, with the lines through them: the local slopes of a curve.
pub fn pieces(points: &[WeightedPoint]) -> impl Iterator<Item = ([WeightedPoint; 2], Fit)> + use<> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    let pairs: Vec<[WeightedPoint; 2]> = sorted.windows(2).map(|pair| [pair[0], pair[1]]).collect();
    pairs.into_iter().filter_map(|pair| Some((pair, Fit::line(&pair)?)))
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
    use super::super::Moments;
    use super::*;
    use ndarray_rand::rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn points(coordinates: &[(f64, f64, f64)]) -> Vec<WeightedPoint> {
        coordinates.iter().map(|&(x, y, std_error)| WeightedPoint { x, y, std_error, degrees: f64::INFINITY }).collect()
    }

    #[test]
    fn the_line_solves_the_normal_equations() {
        // Pearson's data with the y-weights of York (1966), regression of y on x.
        let (x, y) = ([0.0, 0.9, 1.8, 2.6, 3.3], [5.9, 5.4, 4.4, 4.6, 3.5]);
        let weights = [1.0, 1.8, 4.0, 8.0, 20.0];
        let data: Vec<_> = (0..5).map(|i| (x[i], y[i], f64::sqrt(1.0 / weights[i]))).collect();
        let data = points(&data);
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
        let slopes: Vec<f64> = pieces(&points(&curve)).map(|(_, piece)| piece.estimate).collect();
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

    /// Means of 20 normal draws at four points, errors estimated from them: 4 000 replications, coverage of 95 % intervals and
    /// share of poor fits within 4.5 binomial standard errors (false alarms below 2·10⁻⁵).
    #[test]
    fn estimated_errors_of_few_draws_keep_the_coverage() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let (replications, draws) = (4000, 20);
        let (mut covered, mut poor) = (0.0, 0.0);
        for _ in 0..replications {
            let point = |x: i32| {
                let scale = 1.0 + f64::from(x);
                let values: Moments = (0..draws).map(|_| scale * rng.sample::<f64, _>(StandardNormal)).collect();
                let (y, std_error) = (values.mean(), values.std_error());
                WeightedPoint { x: x.into(), y, std_error, degrees: f64::from(draws) - 1.0 }
            };
            let data: Vec<_> = (0..4).map(point).collect();
            let fit = Fit::line(&data).unwrap();
            let [low, high] = fit.reference().interval(fit.estimate, fit.std_error, 0.95);
            covered += f64::from(low <= 0.0 && 0.0 <= high);
            poor += f64::from(fit.is_poor());
        }
        let total = f64::from(replications);
        let spread = |share: f64| 4.5 * (share * (1.0 - share) * total).sqrt();
        assert!(covered > 0.95 * total - spread(0.95), "{covered} intervals of {replications} cover");
        assert!(covered < 0.97 * total + spread(0.97), "{covered} intervals of {replications} cover: too wide");
        assert!(poor <= POOR_FIT * total + spread(POOR_FIT), "{poor} of {replications} fits look poor");
    }
}
