//! Weighted least squares of a formula with free constants (Levenberg 1944, Marquardt 1963).

/// A formula's best constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Constants {
    /// The constants.
    pub values: Vec<f64>,
    /// Their covariance (Jᵀ W J)⁻¹, of points whose errors are known.
    pub covariance: Vec<Vec<f64>>,
    /// χ² = Σ (y − f)²/σ².
    pub chi_squared: f64,
}

/// Most steps from one start.
const STEPS: usize = 300;

/// A step that lowers χ² by less than this share of it is the last.
const ENOUGH: f64 = 1e-14;

/// The constants that make χ² = Σ ((y − f(constants, i))/σ)² least over points of (y, σ), from the best of several starts: every
/// constant begins at each of `starts`.
///
/// `None` where the formula is nowhere finite, or its constants cannot be told apart by these points.
pub fn fit(
    points: &[(f64, f64)],
    constants: usize,
    starts: &[f64],
    formula: impl Fn(&[f64], usize) -> f64,
) -> Option<Constants> {
    let combinations = starts.len().pow(constants as u32);
    let start = |mut index: usize| -> Vec<f64> {
        let mut next = || {
            let value = starts[index % starts.len()];
            index /= starts.len();
            value
        };
        (0..constants).map(|_| next()).collect()
    };
    let problem = Problem { points, formula: &formula };
    let best =
        (0..combinations).filter_map(|index| problem.descend(start(index))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (values, chi_squared) = best;
    let covariance = inverse(problem.normal(&values)?.0)?;
    let are_told_apart = covariance.iter().enumerate().all(|(index, row)| row[index] > 0.0 && row[index].is_finite());
    are_told_apart.then_some(Constants { values, covariance, chi_squared })
}

struct Problem<'a, F> {
    points: &'a [(f64, f64)],
    formula: &'a F,
}

impl<F: Fn(&[f64], usize) -> f64> Problem<'_, F> {
    /// (y − f)/σ at each point.
    fn residuals(&self, constants: &[f64]) -> Vec<f64> {
        let residual = |(index, (y, sigma)): (usize, &(f64, f64))| (y - (self.formula)(constants, index)) / sigma;
        self.points.iter().enumerate().map(residual).collect()
    }

    fn chi_squared(&self, constants: &[f64]) -> f64 {
        let sum: f64 = self.residuals(constants).iter().map(|residual| residual * residual).sum();
        if sum.is_nan() { f64::INFINITY } else { sum }
    }

    /// Jᵀ W J and Jᵀ W (y − f), with J by central differences.
    fn normal(&self, constants: &[f64]) -> Option<(Vec<Vec<f64>>, Vec<f64>)> {
        let residuals = self.residuals(constants);
        let columns: Vec<Vec<f64>> = (0..constants.len())
            .map(|index| {
                let step = 1e-6 * constants[index].abs().max(1e-3);
                let moved = |by: f64| {
                    let mut constants = constants.to_vec();
                    constants[index] += by;
                    self.residuals(&constants)
                };
                let difference = |(low, high): (f64, f64)| (low - high) / (2.0 * step);
                moved(-step).into_iter().zip(moved(step)).map(difference).collect()
            })
            .collect();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let matrix: Vec<Vec<f64>> = columns.iter().map(|a| columns.iter().map(|b| product(a, b)).collect()).collect();
        let gradient: Vec<f64> = columns.iter().map(|column| product(column, &residuals)).collect();
        let finite = matrix.iter().flatten().chain(&gradient).all(|value| value.is_finite());
        finite.then_some((matrix, gradient))
    }

    fn descend(&self, mut constants: Vec<f64>) -> Option<(Vec<f64>, f64)> {
        let mut chi_squared = self.chi_squared(&constants);
        let mut damping = 1e-3;
        for _ in 0..STEPS {
            if !chi_squared.is_finite() {
                return None;
            }
            let (matrix, gradient) = self.normal(&constants)?;
            let mut damped = matrix.clone();
            for (index, row) in damped.iter_mut().enumerate() {
                row[index] += damping * matrix[index][index].max(f64::MIN_POSITIVE);
            }
            let Some(inverse) = inverse(damped) else { return Some((constants, chi_squared)) };
            let step = inverse.iter().map(|row| row.iter().zip(&gradient).map(|(a, b)| a * b).sum::<f64>());
            let moved: Vec<f64> = constants.iter().zip(step).map(|(constant, step)| constant + step).collect();
            let lower = self.chi_squared(&moved);
            if lower <= chi_squared {
                let gained = chi_squared - lower;
                (constants, damping) = (moved, damping / 5.0);
                let is_last = gained <= ENOUGH * chi_squared;
                chi_squared = lower;
                if is_last {
                    break;
                }
            } else {
                damping *= 4.0;
                if damping > 1e12 {
                    break;
                }
            }
        }
        Some((constants, chi_squared))
    }
}

/// The inverse of a symmetric positive definite matrix, scaled to a unit diagonal first; `None` where it is singular.
fn inverse(matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let scale: Vec<f64> = (0..size).map(|index| matrix[index][index].sqrt()).collect();
    if scale.iter().any(|scale| *scale <= 0.0 || !scale.is_finite()) {
        return None;
    }
    // Cholesky's factor L, and then the columns of (L Lᵀ)⁻¹.
    let mut lower = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let product: f64 = (0..column).map(|inner| lower[row][inner] * lower[column][inner]).sum();
            let entry = matrix[row][column] / (scale[row] * scale[column]) - product;
            if row == column {
                if entry <= 1e-13 {
                    return None;
                }
                lower[row][row] = entry.sqrt();
            } else {
                lower[row][column] = entry / lower[column][column];
            }
        }
    }
    let column = |unit: usize| {
        let mut solution = vec![0.0; size];
        for row in 0..size {
            let known: f64 = (0..row).map(|inner| lower[row][inner] * solution[inner]).sum();
            solution[row] = (f64::from(u8::from(row == unit)) - known) / lower[row][row];
        }
        for row in (0..size).rev() {
            let known: f64 = (row + 1..size).map(|inner| lower[inner][row] * solution[inner]).sum();
            solution[row] = (solution[row] - known) / lower[row][row];
        }
        solution
    };
    let unscaled = |unit: usize| -> Vec<f64> {
        column(unit).into_iter().enumerate().map(|(row, value)| value / (scale[row] * scale[unit])).collect()
    };
    Some((0..size).map(unscaled).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTS: [f64; 3] = [1.0, 0.1, -0.5];

    #[test]
    fn a_line_has_the_constants_and_errors_of_the_normal_equations() {
        let points: Vec<(f64, f64)> = [1.0, 2.9, 5.2, 7.1].iter().map(|y| (*y, 0.1)).collect();
        let fit = fit(&points, 2, &STARTS, |constants, index| constants[0] + constants[1] * index as f64).unwrap();
        // Σx = 6, Σx² = 14, Σy = 16.2, Σxy = 34.6.
        let (slope, intercept) = ((4.0 * 34.6 - 6.0 * 16.2) / 20.0, (14.0 * 16.2 - 6.0 * 34.6) / 20.0);
        assert!((fit.values[1] - slope).abs() < 1e-8 && (fit.values[0] - intercept).abs() < 1e-8, "{:?}", fit.values);
        assert!((fit.covariance[1][1] - 0.01 / 5.0).abs() < 1e-8);
        assert!((fit.covariance[0][1] + 0.01 * 6.0 / 20.0).abs() < 1e-8);
    }

    #[test]
    fn a_power_with_a_correction_is_found_from_afar() {
        let x = |index: usize| 2f64.powi(index as i32 + 2);
        let law = |constants: &[f64], index: usize| {
            constants[0] * x(index).powf(constants[1]) * (1.0 + constants[2] / x(index))
        };
        let points: Vec<(f64, f64)> = (0..8).map(|index| law(&[3.7, 0.5, 2.0], index)).map(|y| (y, 0.01 * y)).collect();
        let fit = fit(&points, 3, &STARTS, law).unwrap();
        let near = fit.values.iter().zip([3.7, 0.5, 2.0]).all(|(found, true_value)| (found - true_value).abs() < 1e-5);
        assert!(near && fit.chi_squared < 1e-9, "{fit:?}");
    }

    #[test]
    fn constants_that_cannot_be_told_apart_are_refused() {
        let points = [(1.0, 0.1), (2.0, 0.1), (3.0, 0.1)];
        assert_eq!(fit(&points, 2, &STARTS, |constants, index| constants[0] * constants[1] * index as f64), None);
        assert_eq!(fit(&points, 1, &STARTS, |constants, _| (-constants[0].abs()).ln()), None);
    }
}
