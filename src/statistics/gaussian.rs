//! Exact expectations of norms of Gaussian vectors: the constants of every law for the input
//! gradient of a network with Gaussian weights (means of chi variables, of chi variables with a
//! halved number of degrees of freedom, and of ℓ_q norms). They are computed, not approximated
//! by their limits for large widths, so that a simulation can be held against them to any
//! precision that it can reach.

use std::f64::consts::FRAC_2_PI;

use super::gaussian_norm::{RELATIVE_CUTOFF, expected_norm_by_quadrature, polynomial};
pub use super::gaussian_norm::{expected_maximum, expected_maximum_power};

/// Mean E χ_k = √2 Γ((k+1)/2)/Γ(k/2) of the norm of k independent standard normals; χ_0 = 0.
///
/// For k ≥ 24, the asymptotic series √(k−½)·(1 + y/64 − 19y²/8192 + …), y = 4/(k−½)², whose
/// first omitted term is below 3e-17; for smaller k, the exact relation
/// E χ_k = E χ_{k+2}·k/(k+1) leads there. No logarithms of Γ are subtracted, so no digits are
/// lost at large k. Relative error below 1e-15 for every k up to 1e15.
pub fn chi_mean(degrees: u64) -> f64 {
    /// Coefficients of Γ(w+3/4)/(Γ(w+1/4)√w) in powers of 1/w², w = (k−½)/2. They follow from
    /// r(k)·r(k+1) = k/2 for r(k) = Γ((k+1)/2)/Γ(k/2).
    const SERIES: [f64; 7] = [
        1.0,
        1.0 / 64.0,
        -19.0 / 8192.0,
        631.0 / 524_288.0,
        -174_317.0 / 134_217_728.0,
        20_491_783.0 / 8_589_934_592.0,
        -7_334_801_895.0 / 1_099_511_627_776.0,
    ];
    if degrees == 0 {
        return 0.0;
    }
    let mut shifted = degrees as f64;
    let mut factor = 1.0;
    while shifted < 24.0 {
        factor *= shifted / (shifted + 1.0);
        shifted += 2.0;
    }
    let squared = shifted - 0.5;
    factor * squared.sqrt() * polynomial(&SERIES, 4.0 / (squared * squared))
}

/// m(n) = E χ_K for K ~ Binomial(n, ½), χ_0 = 0: the mean norm of n standard normals of which a
/// ReLU keeps each with probability ½.
///
/// The weights go by their recurrence from the mode outwards until they fall below 1e-18 of
/// their sum, about nine standard deviations or O(√n) terms, and are normalised by that sum.
/// What is averaged is the deviation of E χ_K from its value at the mode: a rounding error in a
/// weight or in a sum only counts by that small deviation. Relative error below 1e-15, checked
/// with high precision for n up to 1e6, and by the expansion in 1/n at 1e10 and 1e12 (which
/// takes some 0.1 s).
pub fn halved_chi_mean(width: u64) -> f64 {
    let mode = width / 2;
    let centre = chi_mean(mode);
    let mut weights = 1.0;
    let mut deviations = 0.0;
    let mut weight = 1.0;
    for kept in mode..width {
        weight *= (width - kept) as f64 / (kept + 1) as f64;
        weights += weight;
        deviations += weight * (chi_mean(kept + 1) - centre);
        if weight < RELATIVE_CUTOFF * weights {
            break;
        }
    }
    weight = 1.0;
    for kept in (1..=mode).rev() {
        weight *= kept as f64 / (width - kept + 1) as f64;
        weights += weight;
        deviations += weight * (chi_mean(kept - 1) - centre);
        if weight < RELATIVE_CUTOFF * weights {
            break;
        }
    }
    centre + deviations / weights
}

/// E √S with S = χ²_K + a² χ²_{n − K}, K ~ Binomial(n, ½): the mean norm of n standard normals that an activation with the slope a below
/// zero has passed. Relative error below 1e-13, checked against [`halved_chi_mean`] at a = 0 and E χ_n at a = ±1.
pub fn gated_chi_mean(width: u64, slope: f64) -> f64 {
    if slope == 0.0 {
        halved_chi_mean(width)
    } else if slope.abs() == 1.0 {
        chi_mean(width)
    } else {
        gated_chi_moments(width, slope)[0]
    }
}

/// Step and reach of the sums below, in the logarithm of a frequency. Their integrands are analytic for |Im v| < π/4 at least and fall like
/// e^(−|v|): the sum over equal steps is the integral but for e^(−39), and for what lies beyond.
const LOGARITHMIC_STEP: f64 = 0.125;
const LOGARITHMIC_REACH: i32 = 320;

/// E √S, E S and E S^(3/2) for the S of [`gated_chi_mean`], a sum of n independent terms.
///
/// From √S = π^(−½) ∫ (1 − e^(−u²S)) u⁻² du with u = e^v, and S times it, by the Laplace transform of a term, ℓ(t) = ½ (1 + 2t)^(−½) + ½ (1 +
/// 2a²t)^(−½).
pub fn gated_chi_moments(width: u64, slope: f64) -> [f64; 3] {
    let (n, square) = (width as f64, slope * slope);
    let first = (1.0 + square) / 2.0;
    let centre = -0.5 * (n * first).ln();
    let (mut root, mut three_halves) = (0.0, 0.0);
    for step in -LOGARITHMIC_REACH..=LOGARITHMIC_REACH {
        let v = centre + LOGARITHMIC_STEP * f64::from(step);
        let t = (2.0 * v).exp();
        let (of_one, of_other) = ((2.0 * t).ln_1p(), (2.0 * square * t).ln_1p());
        let below = 0.5 * ((-0.5 * of_one).exp_m1() + (-0.5 * of_other).exp_m1());
        // Near 0, where −1 has left it no digits, the transform itself.
        let itself = || (0.5 * ((-0.5 * of_one).exp() + (-0.5 * of_other).exp())).ln();
        let transform = if below > -0.5 { below.ln_1p() } else { itself() };
        // −ℓ'(t) over its value at 0.
        let slope_below = 0.5 * ((-1.5 * of_one).exp_m1() + square * (-1.5 * of_other).exp_m1()) / first;
        let weight = (-v).exp();
        root -= (n * transform).exp_m1() * weight;
        three_halves -= ((n - 1.0) * transform + slope_below.ln_1p()).exp_m1() * weight;
    }
    let scale = LOGARITHMIC_STEP / std::f64::consts::PI.sqrt();
    [scale * root, n * first, scale * n * first * three_halves]
}

/// E χ_k^p for p ≥ 1, by E χ_k^p = (k + p − 2) E χ_k^(p−2) from [`chi_mean`] or 1; 0 for k = 0.
pub fn chi_moment(degrees: u64, power: i32) -> f64 {
    if degrees == 0 {
        return 0.0;
    }
    let (start, first) = if power % 2 == 1 { (chi_mean(degrees), 3) } else { (1.0, 2) };
    (first..=power).step_by(2).map(|p| degrees as f64 + f64::from(p - 2)).fold(start, |moment, factor| moment * factor)
}

/// E χ_K^p, E χ_K^(2p) and E χ_K^(3p) for K ~ Binomial(n, ½), by their sums: for n up to 1000, where 2⁻ⁿ is a number.
pub fn halved_chi_moments(width: u64, power: i32) -> [f64; 3] {
    let mut weight = 0.5f64.powi(width as i32);
    let mut moments = [0.0; 3];
    for kept in 0..=width {
        for (moment, order) in moments.iter_mut().zip(1..) {
            *moment += weight * chi_moment(kept, order * power);
        }
        weight *= (width - kept) as f64 / (kept + 1) as f64;
    }
    moments
}

/// E ‖ξ‖_q for ξ ~ N(0, I_d) and any real q ≥ 1 or q = ∞; NaN for q < 1, 0 for d = 0.
///
/// d√(2/π) at q = 1, [`chi_mean`] at q = 2, [`expected_maximum`] at q = ∞. Otherwise, with
/// S = Σ|ξ_i|^q, r = 1/q and φ(t) = E e^(−t|ξ|^q), from S^r = S²·S^(r−2):
///
/// E S^r = 1/Γ(2−r) ∫ E[S² e^(−tS)] t^(1−r) dt,  E[S² e^(−tS)] = (φ^d)″.
///
/// The second derivative is a sum of positive terms, so nothing cancels, and the integrand
/// decays exponentially in ln t at both ends for every q ≥ 1, which the integrand of the more
/// common formula, 1 − φ^d, does not near q = 1. The trapezoidal rule of step h in ln t has the
/// relative error 2|Γ(2−r+2πi/h)|/Γ(2−r) for each value of S, hence for any law of S: below
/// 1e-18. Only where q is well above 2 ln d is h wider, by the smoothness of the law of the
/// maximum. φ and its derivatives are trapezoidal sums too.
///
/// Relative error below 1e-14, checked for q from 1.05 to 20 and d up to 1e9 against the formula
/// with 1 − φ^d at 36 digits, and for q from 1 + 1e-7 to 1e300 and d up to 1e12 by halving all
/// steps. About 1 ms for q ≥ 2 and 10 ms near q = 1, at any d.
pub fn expected_norm(dimension: u64, q: f64) -> f64 {
    if q.is_nan() || q < 1.0 {
        f64::NAN
    } else if dimension <= 1 || q == 1.0 {
        dimension as f64 * FRAC_2_PI.sqrt()
    } else if q == 2.0 {
        chi_mean(dimension)
    } else if q == f64::INFINITY {
        expected_maximum(dimension)
    } else {
        expected_norm_by_quadrature(dimension as f64, q, 1.0)
    }
}

/// E ‖u‖_q for u uniform on the unit sphere of R^d: [`expected_norm`] / [`chi_mean`], because
/// the direction and the length of a Gaussian vector are independent. NaN for d = 0 or q < 1;
/// accurate as [`expected_norm`].
pub fn expected_sphere_norm(dimension: u64, q: f64) -> f64 {
    expected_norm(dimension, q) / chi_mean(dimension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(value: f64, reference: f64, tolerance: f64, what: &str) {
        let error = (value / reference - 1.0).abs();
        assert!(error < tolerance, "{what}: {value} against {reference}, {error:e}");
    }

    #[test]
    fn chi_mean_matches_high_precision() {
        // mpmath, 40 digits: sqrt(2) gamma((k+1)/2)/gamma(k/2).
        let references = [
            (1, 0.797_884_560_802_865_4),
            (2, 1.253_314_137_315_500_3),
            (3, 1.595_769_121_605_730_7),
            (10, 3.084_327_759_799_864),
            (20, 4.416_605_124_547_244),
            (31, 5.523_051_320_430_52),
            (99, 9.924_780_549_814_449),
            (1000, 31.614_871_896_980_08),
            (1_000_000, 999.999_750_000_031_3),
            (1_000_000_000, 31_622.776_593_778_1),
            (1_000_000_000_000_000, 31_622_776.601_683_784),
        ];
        for (degrees, reference) in references {
            let what = format!("k = {degrees}");
            assert_close(chi_mean(degrees), reference, 2e-15, &what);
        }
        assert_eq!(chi_mean(0), 0.0);
    }

    #[test]
    fn chi_means_of_successive_degrees_multiply_to_the_lower_degree() {
        for degrees in 1..200 {
            let product = chi_mean(degrees) * chi_mean(degrees + 1);
            assert_close(product, degrees as f64, 4e-15, &format!("k = {degrees}"));
        }
    }

    #[test]
    fn halved_chi_mean_matches_high_precision() {
        // mpmath, 40 digits: sum of binomial(n, k) 2^-n sqrt(2) gamma((k+1)/2)/gamma(k/2) over
        // k = 1..n, for the two largest n over 16 standard deviations.
        let references = [
            (1, 0.398_942_280_401_432_7),
            (2, 0.712_270_814_730_307_7),
            (16, 2.715_890_749_728_098),
            (257, 11.308_185_579_246_912),
            (10_000, 70.706_258_574_207_53),
            (1_000_000, 707.106_339_244_682_2),
        ];
        for (width, reference) in references {
            let what = format!("n = {width}");
            assert_close(halved_chi_mean(width), reference, 2e-15, &what);
        }
        assert_eq!(halved_chi_mean(0), 0.0);
    }

    #[test]
    fn powers_have_their_closed_forms() {
        for n in [1u64, 7, 300] {
            let x = n as f64;
            let [first, second, third] = halved_chi_moments(n, 2);
            assert_close(first, x / 2.0, 1e-13, "E χ²");
            assert_close(second, x * (x + 5.0) / 4.0, 1e-13, "E χ⁴");
            assert_close(third, (x.powi(3) + 15.0 * x * x + 44.0 * x) / 8.0, 1e-13, "E χ⁶");
            assert_close(halved_chi_moments(n, 1)[0], halved_chi_mean(n), 1e-13, "E χ");
        }
        // E|ξ|³ = 2√(2/π), E max(|ξ₁|, |ξ₂|)² = 1 + 2/π.
        assert_close(chi_moment(1, 3), 2.0 * FRAC_2_PI.sqrt(), 1e-14, "E|ξ|³");
        assert_close(expected_maximum_power(2, 2), 1.0 + FRAC_2_PI, 1e-13, "E max²");
    }

    #[test]
    fn halved_chi_mean_of_a_huge_width_meets_its_expansion() {
        // E √K (1 − 1/(4K) + …) = √(n/2) (1 − 5/(8n) + O(1/n²)), and 1/n² is below rounding.
        let width = 10_000_000_000_u64;
        let expansion = (width as f64 / 2.0).sqrt() * (1.0 - 0.625 / width as f64);
        assert_close(halved_chi_mean(width), expansion, 2e-15, "n = 1e10");
    }

    #[test]
    fn special_norms() {
        assert_eq!(expected_norm(100, 1.0), 100.0 * FRAC_2_PI.sqrt());
        assert_eq!(expected_norm(100, 2.0), chi_mean(100));
        assert_eq!(expected_norm(100, f64::INFINITY), expected_maximum(100));
        assert_eq!(expected_norm(0, 3.0), 0.0);
        assert!(expected_norm(3, 0.5).is_nan());
        assert!(expected_norm(3, f64::NAN).is_nan());
        for q in [1.0, 1.3, 2.0, 77.0, f64::INFINITY] {
            let norm = expected_norm(1, q);
            assert_close(norm, FRAC_2_PI.sqrt(), 1e-14, &format!("q = {q}"));
        }
    }

    #[test]
    fn norms_fall_as_q_grows_without_a_jump_at_the_special_values() {
        let orders = [
            1.0,
            1.0 + 1e-9,
            1.0001,
            1.5,
            2.0 - 1e-9,
            2.0,
            2.0 + 1e-9,
            3.0,
            10.0,
            30.0,
            100.0,
            1000.0,
            1e6,
            f64::INFINITY,
        ];
        for dimension in [2, 10, 3072, 1_000_000_000] {
            let norms = orders.map(|q| expected_norm(dimension, q));
            assert!(norms.is_sorted_by(|a, b| a > b), "{dimension}: {norms:?}");
            for (left, right) in [(0, 1), (4, 5), (5, 6)] {
                assert_close(norms[left], norms[right], 4e-8, &dimension.to_string());
            }
        }
    }

    #[test]
    fn sphere_norms() {
        assert_eq!(expected_sphere_norm(3072, 2.0), 1.0);
        assert!(expected_sphere_norm(0, 2.0).is_nan());
        // On the circle, the mean of |cos a| + |sin a| is 4/π, and that of the larger one
        // 2√2/π.
        let pi = std::f64::consts::PI;
        let largest = 8_f64.sqrt() / pi;
        assert_close(expected_sphere_norm(2, 1.0), 4.0 / pi, 1e-14, "sum");
        let maximum = expected_sphere_norm(2, f64::INFINITY);
        assert_close(maximum, largest, 1e-14, "maximum");
    }

    #[test]
    fn mean_gradient_norm_of_a_small_network() {
        // 100 inputs, three hidden ReLU layers of 16 with He weights, one output of variance
        // 1/16: the mean ℓ1 norm of the gradient is a product of these expectations.
        let input = expected_norm(100, 1.0) * (2.0_f64 / 100.0).sqrt();
        let hidden = (2.0_f64 / 16.0).sqrt() * halved_chi_mean(16);
        let output = (1.0_f64 / 16.0).sqrt() * halved_chi_mean(16);
        let norm = input * hidden * hidden * output;
        assert!((norm - 7.0639).abs() < 5e-5, "{norm}");
    }

    /// Of a = 0 the sums over the binomial law, of a = ±1 χ; and between them the moments of a simulated mixture of two terms.
    #[test]
    fn gated_moments_are_those_of_the_laws_that_are_known() {
        for width in [1, 2, 3, 10, 100, 1000] {
            let near =
                |found: f64, exact: f64| assert!((found / exact - 1.0).abs() < 1e-13, "{width}: {found} {exact}");
            let relu = halved_chi_moments(width, 1);
            let linear = [1, 2, 3].map(|power| chi_moment(width, power));
            gated_chi_moments(width, 0.0).into_iter().zip(relu).for_each(|(found, exact)| near(found, exact));
            gated_chi_moments(width, -1.0).into_iter().zip(linear).for_each(|(found, exact)| near(found, exact));
        }
        for width in [1_000_000, 1_000_000_000] {
            let found = gated_chi_moments(width, 0.0)[0];
            assert!((found / halved_chi_mean(width) - 1.0).abs() < 1e-12, "{width}: {found}");
        }
        // Of one unit √S is |z| or |az|.
        assert!((gated_chi_mean(1, 0.3) - 0.65 * chi_mean(1)).abs() < 1e-14);
        assert!((gated_chi_moments(1, 7.0)[2] - 172.0 * chi_moment(1, 3)).abs() < 1e-10);
        // Of two of them, both, one or none is steep: E √(z₁² + a²z₂²) = √(2/π) E(1 − a²) with the complete elliptic integral, 1.118428 at
        // a = ½.
        let elliptic = 1.211_056_027_568_459_5 * (2.0 / std::f64::consts::PI).sqrt();
        let exact = 0.25 * (1.0 + 0.5) * chi_mean(2) + 0.5 * elliptic;
        assert!((gated_chi_mean(2, 0.5) - exact).abs() < 1e-13, "{} {exact}", gated_chi_mean(2, 0.5));
    }
}
