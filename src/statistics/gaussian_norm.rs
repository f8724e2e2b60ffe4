//! The quadratures behind [`gaussian`](super::gaussian): mean ℓ_q norms and the mean maximum of
//! independent normals, by trapezoidal rules on analytic integrands of positive terms.

use std::f64::consts::{FRAC_2_PI, PI, SQRT_2, TAU};

use statrs::function::gamma::gamma;

/// Terms below this part of their sum are left out; the sums run over unimodal sequences.
pub(super) const RELATIVE_CUTOFF: f64 = 1e-18;

/// Step of the trapezoidal rules, in the variable in which the integrand is analytic in the
/// strip |Im| < π/2: the error of the rule is about e^(−2π·(π/2)/0.2) = e^(−49).
const UNIT_STEP: f64 = 0.2;

/// E max_i |ξ_i| for d independent standard normals; 0 for d = 0.
///
/// With F(s) = P(|ξ| < s), it is ∫ s·d·F(s)^(d−1) F′(s) ds, taken by the trapezoidal rule in
/// ln s, whose error is exponentially small. Every term is positive and F^(d−1) comes from
/// ln(1 − P(|ξ| > s)) with the tail at full relative accuracy, so nothing cancels. Relative
/// error below 1e-14 for d up to 1e12 (checked).
pub fn expected_maximum(dimension: u64) -> f64 {
    expected_maximum_power(dimension, 1)
}

/// E (max_i |ξ_i|)^order by the same rule, for small orders.
pub fn expected_maximum_power(dimension: u64, order: i32) -> f64 {
    if dimension == 0 {
        return 0.0;
    }
    let count = dimension as f64;
    let step = UNIT_STEP / maximum_sharpness(count);
    step * two_sided_sum(norm_scale(count, f64::INFINITY), step, |level| {
        let split = HalfNormal::at(level);
        let others_below = ((count - 1.0) * log_of_split(split.inside, split.outside)).exp();
        level.powi(order + 1) * count * split.density * others_below
    })
}

/// The formula that [`expected_norm`](super::gaussian::expected_norm) states, for `count` = d
/// coordinates, with t = s^(−q), by the trapezoidal rule in ln s. The steps are divided by
/// `refinement`: 1, or more to check that they are short enough.
pub(super) fn expected_norm_by_quadrature(count: f64, q: f64, refinement: f64) -> f64 {
    let coordinates = CoordinateLaw::new(q, refinement);
    // The kernel of S alone is analytic enough for a step of 0.2/q; when q is far above
    // 2 ln d, the law of the maximum smooths the integrand on a longer scale.
    let step = UNIT_STEP / q.min(maximum_sharpness(count)) / refinement;
    let sum = two_sided_sum(norm_scale(count, q), step, |level| {
        let transform = coordinates.transform(level);
        let log_inside = log_of_split(transform.inside, transform.outside);
        let others_inside = ((count - 2.0) * log_inside).exp();
        let same = transform.inside * transform.second;
        let distinct = (count - 1.0) * transform.first * transform.first / q;
        level * count * others_inside * (same + distinct)
    });
    step * sum / gamma(2.0 - 1.0 / q)
}

/// How sharp the law of the maximum of d half-normals is in the logarithm of its level: its
/// integrands are analytic in the strip |Im ln s| < π/2 divided by this number.
fn maximum_sharpness(count: f64) -> f64 {
    2.0 * count.ln() + 2.0
}

/// A value near E ‖ξ‖_q, where to begin a sum over levels: (d E|ξ|^p)^(1/p) with p = q, or with
/// the p near 2 ln d beyond which the ℓ_p norms hardly differ from the maximum.
fn norm_scale(count: f64, q: f64) -> f64 {
    let power = q.min(maximum_sharpness(count));
    let moment = 2_f64.powf(power / 2.0) * gamma((power + 1.0) / 2.0) / PI.sqrt();
    (count * moment).powf(1.0 / power)
}

/// Sum of a unimodal sequence of positive terms over the levels start·e^(n·step), n any integer.
fn two_sided_sum(start: f64, step: f64, term: impl Fn(f64) -> f64) -> f64 {
    let mut sum = term(start);
    for direction in [step, -step] {
        for index in 1.. {
            let value = term(start * (direction * f64::from(index)).exp());
            sum += value;
            if value <= RELATIVE_CUTOFF * sum || sum.is_nan() {
                break;
            }
        }
    }
    sum
}

/// The law of one coordinate against a soft threshold: with X = (|ξ|/s)^q, the Laplace
/// transform E e^(−X) and its derivatives, for one q and any level s.
struct CoordinateLaw {
    nodes: Vec<KernelNode>,
}

/// A node y of the trapezoidal rule in ln X.
struct KernelNode {
    /// |ξ|/s = e^(y/q).
    ratio: f64,
    /// h·X e^(−X), h the step in y.
    first: f64,
    /// h·X² e^(−X).
    second: f64,
}

/// What [`CoordinateLaw::transform`] returns.
#[derive(Default)]
struct Transform {
    /// φ = E e^(−X).
    inside: f64,
    /// 1 − φ, computed by itself.
    outside: f64,
    /// q·E[X e^(−X)].
    first: f64,
    /// q·E[X² e^(−X)].
    second: f64,
}

impl CoordinateLaw {
    /// The kernels are analytic in |Im y| < π/2 and the Gaussian in |Im y/q| < π/4, whence the
    /// step. They underflow above y = ln 745; the lower end, far below any term that counts for
    /// d up to 1e12, leaves [`Self::transform`] to stop by its own rule.
    fn new(q: f64, refinement: f64) -> Self {
        let step = UNIT_STEP.min(UNIT_STEP * q / 2.0) / refinement;
        let count = (170.0 / step) as u32;
        let node = |index: u32| {
            let log_power = 745_f64.ln() - step * f64::from(index);
            let power = log_power.exp();
            let first = step * power * (-power).exp();
            KernelNode { ratio: (log_power / q).exp(), first, second: power * first }
        };
        Self { nodes: (0..count).map(node).collect() }
    }

    /// φ = ∫ P(|ξ| < s e^(y/q)) X e^(−X) dy, X = e^y, by parts, and likewise 1 − φ with the
    /// tail of |ξ|: the same short range of y serves all four values, however large q is, and
    /// each is a sum of positive, log-concave terms.
    fn transform(&self, level: f64) -> Transform {
        let mut sums = Transform::default();
        for node in &self.nodes {
            let magnitude = level * node.ratio;
            let split = HalfNormal::at(magnitude);
            let inside = split.inside * node.first;
            let outside = split.outside * node.first;
            let weight = split.density * magnitude;
            let first = weight * node.first;
            sums.inside += inside;
            sums.outside += outside;
            sums.first += first;
            sums.second += weight * node.second;
            // The terms of `second` fall before those of `first`.
            if inside < RELATIVE_CUTOFF * sums.inside
                && outside < RELATIVE_CUTOFF * sums.outside
                && first < RELATIVE_CUTOFF * sums.first
            {
                break;
            }
        }
        sums
    }
}

/// ln `inside`, where `inside` + `outside` = 1, accurate also when `inside` is near 1.
fn log_of_split(inside: f64, outside: f64) -> f64 {
    if outside < 0.5 { (-outside).ln_1p() } else { inside.ln() }
}

/// The law of |ξ| at one point, ξ standard normal.
struct HalfNormal {
    /// √(2/π) e^(−x²/2).
    density: f64,
    /// P(|ξ| < x) = erf(x/√2).
    inside: f64,
    /// P(|ξ| > x) = erfc(x/√2).
    outside: f64,
}

impl HalfNormal {
    /// Both probabilities to a relative error of about 1e-15 (1e-14 beyond x = 8), which the
    /// error functions of statrs (1e-10 near x/√2 = 0.5) do not reach.
    ///
    /// Below 0.7, the series erf(x/√2) = √(2/π) e^(−x²/2) Σ x^(2k+1)/(2k+1)‼. Above, with
    /// z = x/√2, erfc z = (2z/π) e^(−z²) ∫_0^∞ e^(−t²)/(z²+t²) dt by the midpoint rule with
    /// h = ½, of error e^(−(π/h)²) = 7e-18 once the residue 2/(1+e^(2πz/h)) of the pole at
    /// t = iz is added, which is to be done for z < π/h only. All terms are positive.
    fn at(point: f64) -> Self {
        let square = point * point;
        let density = FRAC_2_PI.sqrt() * (-square / 2.0).exp();
        if point < 0.7 {
            let inside = density * point * polynomial(&ODD_FACTORIALS, square);
            return Self { density, inside, outside: 1.0 - inside };
        }
        let sum: f64 = MIDPOINTS.iter().map(|(node, weight)| weight / (square + node)).sum();
        let mut outside = density * point * sum;
        if point < TAU * SQRT_2 {
            outside += 2.0 / (1.0 + (TAU * SQRT_2 * point).exp());
        }
        Self { density, inside: 1.0 - outside, outside }
    }
}

/// 1/(2k+1)‼.
const ODD_FACTORIALS: [f64; 11] = [
    1.0,
    1.0 / 3.0,
    1.0 / 15.0,
    1.0 / 105.0,
    1.0 / 945.0,
    1.0 / 10_395.0,
    1.0 / 135_135.0,
    1.0 / 2_027_025.0,
    1.0 / 34_459_425.0,
    1.0 / 654_729_075.0,
    1.0 / 13_749_310_575.0,
];

/// (2t², e^(−t²)/√π) at the midpoints t = (2k+1)/4; the weights come from mpmath.
const MIDPOINTS: [(f64, f64); 13] = [
    (0.125, 0.530_007_064_688_057_1),
    (1.125, 0.321_465_534_597_603_7),
    (3.125, 0.118_260_561_223_645_4),
    (6.125, 0.026_387_497_965_075_186),
    (10.125, 0.003_571_159_511_008_991_6),
    (15.125, 0.000_293_138_623_546_896_16),
    (21.125, 1.459_451_269_179_085e-5),
    (28.125, 4.407_160_956_159_019_7e-7),
    (36.125, 8.071_996_859_753_706e-9),
    (45.125, 8.967_178_517_170_668e-11),
    (55.125, 6.042_037_358_003_377e-13),
    (66.125, 2.469_242_570_482_109_4e-15),
    (78.125, 6.120_640_396_299_763e-18),
];

/// Σ c_k x^k.
pub(super) fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_2_SQRT_PI;

    use super::super::gaussian::chi_mean;
    use super::*;

    fn assert_close(value: f64, reference: f64, tolerance: f64, what: &str) {
        let error = (value / reference - 1.0).abs();
        assert!(error < tolerance, "{what}: {value} against {reference}, {error:e}");
    }

    #[test]
    fn half_normal_probabilities_match_high_precision() {
        // mpmath, 30 digits: erf(x/sqrt(2)) and erfc(x/sqrt(2)), on both sides of the seams.
        let references = [
            (0.1, 0.079_655_674_554_057_97, 0.920_344_325_445_942),
            (0.6875, 0.508_232_299_239_477_1, 0.491_767_700_760_522_9),
            (0.71875, 0.527_705_030_054_291_1, 0.472_294_969_945_708_9),
            (2.5, 0.987_580_669_348_447_7, 0.012_419_330_651_552_27),
            (8.875, 1.0, 6.993_341_396_427_802e-19),
            (8.9375, 1.0, 3.980_737_050_617_008_5e-19),
            (20.0, 1.0, 5.507_248_237_212_467e-89),
        ];
        for (point, inside, outside) in references {
            let split = HalfNormal::at(point);
            assert_close(split.inside, inside, 3e-15, &format!("inside {point}"));
            assert_close(split.outside, outside, 1e-14, &format!("outside {point}"));
        }
    }

    #[test]
    fn expected_maximum_matches_high_precision() {
        // mpmath, 40 digits: quad of -expm1(d log1p(-erfc(t/sqrt(2)))) over t from 0 to 30 by
        // Gauss-Legendre in pieces of 1/2.
        let references = [
            (1, 0.797_884_560_802_865_4),
            (2, FRAC_2_SQRT_PI),
            (10, 1.880_715_693_821_160_5),
            (1000, 3.435_410_190_807_709),
            (1_000_000, 4.998_561_418_452_992),
            (1_000_000_000, 6.197_846_093_369_072),
            (1_000_000_000_000, 7.207_534_600_826_596),
        ];
        for (dimension, reference) in references {
            let what = format!("d = {dimension}");
            assert_close(expected_maximum(dimension), reference, 1e-14, &what);
        }
    }

    #[test]
    fn quadrature_matches_high_precision() {
        // mpmath, 36 digits, by the other formula: r/gamma(1-r) times the integral of
        // (1 - phi(t)^d) e^(-ru) over u = ln t, r = 1/q, by Gauss-Legendre with 26 nodes in
        // unit pieces and closed-form tails; phi by a sum over ln |xi|.
        let references = [
            (1.05, 7.0, 5.152_247_788_226_433),
            (1.05, 1e3, 582.311_241_086_750_8),
            (1.05, 1e6, 419_086.943_336_436_2),
            (1.05, 1e9, 301_610_873.096_925_6),
            (1.5, 7.0, 3.248_600_246_790_944_3),
            (1.5, 1e3, 90.425_289_472_957_1),
            (1.5, 1e6, 9_043.690_827_336_946),
            (1.5, 1e9, 904_369.198_920_317_6),
            (3.0, 7.0, 2.082_999_964_926_534_7),
            (3.0, 1e3, 11.679_411_181_248_453),
            (3.0, 1e6, 116.857_461_997_430_26),
            (3.0, 1e9, 1_168.575_254_327_476_6),
            (4.7, 7.0, 1.865_884_081_135_188_4),
            (4.7, 1e3, 6.122_961_519_847_926),
            (4.7, 1e6, 26.662_405_197_585_96),
            (4.7, 1e9, 115.930_536_539_293_03),
            (20.0, 7.0, 1.730_911_294_589_030_1),
            (20.0, 1e3, 3.528_350_522_556_739),
            (20.0, 1e6, 5.481_909_107_234_808),
            (20.0, 1e9, 7.776_707_632_070_204),
        ];
        for (q, count, reference) in references {
            let norm = expected_norm_by_quadrature(count, q, 1.0);
            assert_close(norm, reference, 1e-14, &format!("q = {q}, d = {count}"));
        }
    }

    #[test]
    fn quadrature_meets_the_closed_forms() {
        for dimension in [1, 2, 7, 1000, 1_000_000, 1_000_000_000] {
            let count = dimension as f64;
            let what = format!("d = {count}");
            let euclidean = expected_norm_by_quadrature(count, 2.0, 1.0);
            assert_close(euclidean, chi_mean(dimension), 1e-14, &what);
            let sum = expected_norm_by_quadrature(count, 1.0, 1.0);
            assert_close(sum, count * FRAC_2_PI.sqrt(), 1e-14, &what);
            let maximum = expected_norm_by_quadrature(count, 1e100, 1.0);
            assert_close(maximum, expected_maximum(dimension), 1e-14, &what);
        }
        for q in [1.0001, 1.3, 2.7, 20.0, 1000.0] {
            let single = expected_norm_by_quadrature(1.0, q, 1.0);
            assert_close(single, FRAC_2_PI.sqrt(), 1e-14, &format!("q = {q}"));
        }
    }

    #[test]
    fn shorter_steps_change_nothing() {
        for q in [1.0001, 1.7, 2.6, 40.0, 200.0, 1000.0] {
            for count in [2.0, 1e4, 1e12] {
                let chosen = expected_norm_by_quadrature(count, q, 1.0);
                let finer = expected_norm_by_quadrature(count, q, 1.7);
                assert_close(chosen, finer, 1e-14, &format!("q = {q}, d = {count}"));
            }
        }
    }
}
