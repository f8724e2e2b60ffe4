//! The quality of the bulk generator's normals: moments, distribution, tails, and independence of lanes and streams.
//!
//! Each check runs at two sizes: a short one in the suite, and one of 10⁹ numbers that takes some minutes:
//! `cargo test --release --test suite generator:: -- --ignored`. Seeds are fixed; each check states how often it would fail by
//! chance if the seed were drawn anew.

use gradlaw::sampling::StreamKey;
use gradlaw::sampling::normal::BulkGenerator;
use gradlaw::statistics::Moments;
use rayon::prelude::*;
use statrs::function::erf::erfc;
use statrs::function::gamma::gamma_ur;

const SHORT: u64 = 4_000_000;
const LONG: u64 = 1_000_000_000;

/// Numbers of one stream.
const PART: u64 = 1_000_000;

/// Bins of equal probability.
const BINS: usize = 1 << 16;

/// Distances at which numbers of one generator are correlated: within a lane's pair, between neighbouring lanes and lanes
/// at other distances, and between a lane's successive numbers.
const LAGS: [usize; 12] = [1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 48, 64];

fn normals(stream: u64) -> Vec<f32> {
    let mut values = vec![0.0; PART as usize];
    BulkGenerator::new(&mut StreamKey::new(11, &["quality"]).draw(stream)).fill_normal(1.0, &mut values);
    values
}

/// What the tests need of a part, merged in the order of parts.
#[derive(Default, Clone)]
struct Sums {
    /// Of the powers 1 to 8.
    powers: [Moments; 8],
    bins: Vec<u64>,
    /// Numbers beyond 4, 4.5, 5, 5.5 and 6 standard deviations.
    tails: [u64; 5],
    largest: f32,
    /// Products of numbers at each lag, and of their squares less one.
    lags: [[Moments; 2]; LAGS.len()],
    /// The same of numbers in one place of neighbouring streams.
    streams: [Moments; 2],
}

const BEYOND: [f64; 5] = [4.0, 4.5, 5.0, 5.5, 6.0];

/// Φ(x), with small relative error in the lower tail.
fn normal_distribution(x: f64) -> f64 {
    erfc(-x * std::f64::consts::FRAC_1_SQRT_2) / 2.0
}

fn sums_of_part(part: u64) -> Sums {
    let (values, next) = (normals(part), normals(part + 1));
    let mut sums = Sums { bins: vec![0; BINS], ..Sums::default() };
    let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
    let squares = |a: f32, b: f32| (f64::from(a).powi(2) - 1.0) * (f64::from(b).powi(2) - 1.0);
    for (&value, &other) in values.iter().zip(&next) {
        let x = f64::from(value);
        let mut power = 1.0;
        for moments in &mut sums.powers {
            power *= x;
            moments.push(power);
        }
        sums.bins[((normal_distribution(x) * BINS as f64) as usize).min(BINS - 1)] += 1;
        for (count, limit) in sums.tails.iter_mut().zip(BEYOND) {
            *count += u64::from(x.abs() > limit);
        }
        sums.largest = sums.largest.max(value.abs());
        sums.streams[0].push(product(value, other));
        sums.streams[1].push(squares(value, other));
    }
    for (lag, [products, of_squares]) in LAGS.into_iter().zip(&mut sums.lags) {
        for (&a, &b) in values.iter().zip(&values[lag..]) {
            products.push(product(a, b));
            of_squares.push(squares(a, b));
        }
    }
    sums
}

fn merge(mut all: Sums, part: &Sums) -> Sums {
    let merge = |all: &mut [Moments], part: &[Moments]| all.iter_mut().zip(part).for_each(|(a, b)| a.merge(b));
    merge(&mut all.powers, &part.powers);
    merge(&mut all.streams, &part.streams);
    merge(all.lags.as_flattened_mut(), part.lags.as_flattened());
    all.bins.iter_mut().zip(&part.bins).for_each(|(a, b)| *a += b);
    all.tails.iter_mut().zip(&part.tails).for_each(|(a, b)| *a += b);
    all.largest = all.largest.max(part.largest);
    all
}

fn sums(count: u64) -> Sums {
    // In waves, so that no more than a few parts are held.
    let waves: Vec<u64> = (0..count / PART).collect();
    waves.chunks(64).fold(Sums { bins: vec![0; BINS], ..Sums::default() }, |all, wave| {
        let parts: Vec<Sums> = wave.par_iter().map(|&part| sums_of_part(part)).collect();
        parts.iter().fold(all, merge)
    })
}

/// All checks; with 48 of |z| < 5 (two-sided probability 6·10⁻⁷ each), three of distribution and five of tails below
/// 10⁻⁵, false alarms have probability below 2·10⁻⁴.
fn check(count: u64) {
    let sums = sums(count);
    for (order, (moments, expected)) in (1..).zip(sums.powers.iter().zip([0.0, 1.0, 0.0, 3.0, 0.0, 15.0, 0.0, 105.0])) {
        assert_z(&format!("moment {order}"), moments, expected);
    }
    for (lag, [products, squares]) in LAGS.into_iter().zip(&sums.lags) {
        assert_z(&format!("lag {lag}"), products, 0.0);
        assert_z(&format!("squares at lag {lag}"), squares, 0.0);
    }
    assert_z("neighbouring streams", &sums.streams[0], 0.0);
    assert_z("squares of neighbouring streams", &sums.streams[1], 0.0);

    let Distribution { distance, anderson_darling, chi_squared_p } = distribution(&sums.bins, count);
    // Kolmogorov's Q(2.5) = 7·10⁻⁶; the statistic of Anderson and Darling passes 10.5 with probability below 10⁻⁵.
    assert!(distance * (count as f64).sqrt() < 2.5, "Kolmogorov–Smirnov distance {distance}");
    assert!(anderson_darling < 10.5, "Anderson–Darling {anderson_darling}");
    assert!(chi_squared_p > 1e-5, "χ² over {BINS} bins: p = {chi_squared_p}");

    for (&seen, limit) in sums.tails.iter().zip(BEYOND) {
        let expected = 2.0 * normal_distribution(-limit) * count as f64;
        assert!(poisson_p(seen, expected) > 1e-5, "{seen} beyond {limit} where {expected} are expected");
    }
    if count >= LONG {
        assert!(sums.largest > 5.7, "the largest of 10⁹ is below {} with probability 6·10⁻⁶ only", sums.largest);
    }
}

fn assert_z(what: &str, moments: &Moments, expected: f64) {
    let z = (moments.mean() - expected) / moments.std_error();
    assert!(z.abs() < 5.0, "{what}: {} where {expected} is expected, z = {z}", moments.mean());
}

struct Distribution {
    /// sup |F_n − Φ| over the edges of bins.
    distance: f64,
    /// n ∫ (F_n − Φ)²/(Φ(1 − Φ)) dΦ, by the sum over edges.
    anderson_darling: f64,
    chi_squared_p: f64,
}

fn distribution(bins: &[u64], count: u64) -> Distribution {
    let (n, size) = (count as f64, bins.len() as f64);
    let (mut below, mut distance, mut integral, mut chi_squared) = (0, 0f64, 0.0, 0.0);
    for (index, &seen) in bins.iter().enumerate() {
        let expected = n / size;
        chi_squared += (seen as f64 - expected).powi(2) / expected;
        below += seen;
        let u = (index + 1) as f64 / size;
        if u < 1.0 {
            let difference = below as f64 / n - u;
            distance = distance.max(difference.abs());
            integral += difference * difference / (u * (1.0 - u)) / size;
        }
    }
    let chi_squared_p = gamma_ur((size - 1.0) / 2.0, chi_squared / 2.0);
    Distribution { distance, anderson_darling: n * integral, chi_squared_p }
}

/// Two-sided tail probability of a Poisson count.
fn poisson_p(seen: u64, expected: f64) -> f64 {
    let at_least = if seen == 0 { 1.0 } else { 1.0 - gamma_ur(seen as f64, expected) };
    let at_most = gamma_ur(seen as f64 + 1.0, expected);
    (2.0 * at_least.min(at_most)).min(1.0)
}

#[test]
fn normals_pass_the_tests_at_four_million() {
    check(SHORT);
}

#[test]
#[ignore = "10⁹ numbers take some minutes"]
fn normals_pass_the_tests_at_a_billion() {
    check(LONG);
}

/// The tests see what they are to see: a shift of a thousandth, and a tail cut at 5.
#[test]
fn the_tests_have_power() {
    let bins: Vec<u64> = (0..BINS).map(|bin| if bin < BINS / 2 { 1001 } else { 999 }).collect();
    let shifted = distribution(&bins, bins.iter().sum());
    assert!(shifted.anderson_darling > 10.5 && shifted.distance * (1000.0 * BINS as f64).sqrt() > 2.5);
    assert!(poisson_p(0, 2.0 * normal_distribution(-5.0) * 1e9) < 1e-5);
}
