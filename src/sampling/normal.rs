//! Random numbers in bulk for the weights and inputs of sampled networks: sixteen generators side by side, whose
//! integers become normals, uniforms or signs in loops that the compiler turns into vector instructions.
//!
//! Each loop is compiled for AVX-512, AVX2 and the baseline, and the best is chosen at run time. All give the same bits:
//! only additions, multiplications, square roots and integer operations in a fixed order are used, which are exactly
//! rounded everywhere; Rust fuses none of them by itself, and no function of the system's mathematics library is called.

use ndarray_rand::rand::RngCore;

use super::Stream;

/// Generators side by side.
const LANES: usize = 16;

type Words = [u32; LANES];
type Floats = [f32; LANES];

/// Sixteen xoshiro128++ generators (Blackman and Vigna 2021), seeded from one draw's stream.
///
/// The states are 2048 bits of ChaCha output, so lanes and draws are independent starting points in cycles of length
/// 2¹²⁸ − 1; that any two of 10⁹ draws' lanes overlap within 2⁴⁰ numbers has probability below 10⁻⁵.
#[derive(Debug, Clone)]
pub struct BulkGenerator {
    state: [Words; 4],
}

impl BulkGenerator {
    /// Seeds all lanes from the stream.
    pub fn new(stream: &mut Stream) -> Self {
        let mut state = [[0; LANES]; 4];
        state.iter_mut().flatten().for_each(|word| *word = stream.next_u32());
        Self { state }
    }

    /// Fills with independent normals of mean 0 and the given standard deviation, by the Box–Muller transformation:
    /// √(−2 ln u)·(cos θ, sin θ) with u of 31 bits and θ of 32.
    ///
    /// Relative error of each value below 10⁻⁶; values reach ±6.66 standard deviations (probability beyond: 3·10⁻¹¹).
    pub fn fill_normal(&mut self, std_dev: f32, out: &mut [f32]) {
        InstructionSet::detected().fill(Fill::Normal, &mut self.state, std_dev, out);
    }

    /// Fills with independent uniforms on [0, scale), of 24 bits.
    pub fn fill_uniform(&mut self, scale: f32, out: &mut [f32]) {
        InstructionSet::detected().fill(Fill::Uniform, &mut self.state, scale, out);
    }

    /// Fills with independent fair signs, ±scale.
    pub fn fill_signs(&mut self, scale: f32, out: &mut [f32]) {
        InstructionSet::detected().fill(Fill::Signs, &mut self.state, scale, out);
    }
}

/// What a bulk loop makes of its integers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fill {
    Normal,
    Uniform,
    Signs,
}

/// Instruction sets that the loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum InstructionSet {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    /// The best set of this processor; the standard library remembers the answer.
    fn detected() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    fn fill(self, what: Fill, state: &mut [Words; 4], scale: f32, out: &mut [f32]) {
        match self {
            Self::Baseline => fill(what, state, scale, out),
            // SAFETY: this value is made only by `detected`, or by a test that asked `detected` first, where the
            // processor has the instructions that these functions are compiled for; they are safe in every other way.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { fill_avx2(what, state, scale, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { fill_avx512(what, state, scale, out) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn fill_avx2(what: Fill, state: &mut [Words; 4], scale: f32, out: &mut [f32]) {
    fill(what, state, scale, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn fill_avx512(what: Fill, state: &mut [Words; 4], scale: f32, out: &mut [f32]) {
    fill(what, state, scale, out);
}

#[inline(always)]
fn fill(what: Fill, state: &mut [Words; 4], scale: f32, out: &mut [f32]) {
    match what {
        Fill::Normal => fill_by(state, out, |radius, angle| normal_pair(radius, angle, scale)),
        Fill::Uniform => fill_by(state, out, |one, two| (uniform(one, scale), uniform(two, scale))),
        Fill::Signs => fill_by(state, out, |one, two| (sign(one, scale), sign(two, scale))),
    }
}

/// Two steps of all lanes become two rows of sixteen values; what a last, shorter piece does not need is discarded.
#[inline(always)]
fn fill_by(state: &mut [Words; 4], out: &mut [f32], transform: impl Fn(Words, Words) -> (Floats, Floats)) {
    // A copy that lives in registers.
    let mut lanes = *state;
    let mut pieces = out.chunks_exact_mut(2 * LANES);
    for piece in &mut pieces {
        let (first, second) = transform(step(&mut lanes), step(&mut lanes));
        piece[..LANES].copy_from_slice(&first);
        piece[LANES..].copy_from_slice(&second);
    }
    let rest = pieces.into_remainder();
    if !rest.is_empty() {
        let (first, second) = transform(step(&mut lanes), step(&mut lanes));
        rest.iter_mut().zip(first.iter().chain(&second)).for_each(|(value, &drawn)| *value = drawn);
    }
    *state = lanes;
}

/// One number of every lane: xoshiro128++.
#[inline(always)]
fn step(state: &mut [Words; 4]) -> Words {
    let mut result = [0; LANES];
    let [s0, s1, s2, s3] = state;
    for lane in 0..LANES {
        result[lane] = s0[lane].wrapping_add(s3[lane]).rotate_left(7).wrapping_add(s0[lane]);
        let shifted = s1[lane] << 9;
        s2[lane] ^= s0[lane];
        s3[lane] ^= s1[lane];
        s1[lane] ^= s2[lane];
        s0[lane] ^= s3[lane];
        s2[lane] ^= shifted;
        s3[lane] = s3[lane].rotate_left(11);
    }
    result
}

/// Box–Muller for every lane.
#[inline(always)]
fn normal_pair(radius_bits: Words, angle_bits: Words, scale: f32) -> (Floats, Floats) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        let radius = scale * (-2.0 * ln_unit(radius_bits[lane])).sqrt();
        let (cosine, sine) = direction(angle_bits[lane]);
        first[lane] = radius * cosine;
        second[lane] = radius * sine;
    }
    (first, second)
}

/// ln u for u = (k + ½)/2³¹, k the upper 31 bits: u = m·2^e with m in [√½, √2), ln m = z − z²/2 + z³P(z), z = m − 1, and P
/// the Chebyshev interpolant of degree 7 on that interval (error of ln m below 2·10⁻⁸).
#[inline(always)]
#[allow(clippy::excessive_precision)]
fn ln_unit(bits: u32) -> f32 {
    let k = (bits >> 1).cast_signed() as f32 + 0.5;
    // Moving √½ to a power of two by an integer subtraction lets the exponent field round to the nearest octave.
    const SQRT_HALF: i32 = 0x3f35_04f3;
    const MANTISSA: i32 = 0x007f_ffff;
    let above = k.to_bits().cast_signed() - SQRT_HALF;
    let exponent = (above >> 23) - 31;
    let z = f32::from_bits(((above & MANTISSA) + SQRT_HALF).cast_unsigned()) - 1.0;
    let p = -0.079_027_437_72f32;
    let p = p * z + 0.126_223_198_5;
    let p = p * z - 0.129_981_837_6;
    let p = p * z + 0.142_144_959_2;
    let p = p * z - 0.166_412_814_6;
    let p = p * z + 0.200_010_450_9;
    let p = p * z - 0.250_003_064_2;
    let p = p * z + 0.333_333_307_3;
    let square = z * z;
    let mantissa_log = z + square * (p * z - 0.5);
    mantissa_log + exponent as f32 * std::f32::consts::LN_2
}

/// A uniform direction (cos θ, sin θ): an angle in [−π/4, π/4) from 30 bits, whose cosine takes a random sign and whose
/// cosine and sine are swapped by another random bit.
#[inline(always)]
#[allow(clippy::excessive_precision)]
fn direction(bits: u32) -> (f32, f32) {
    // In quarter turns, from −½ to ½.
    let quarter = ((bits & 0x3fff_ffff).cast_signed() - (1 << 29)) as f32 * (1.0 / (1u32 << 30) as f32);
    let square = quarter * quarter;
    let s = -0.004_602_149_213f32;
    let s = s * square + 0.079_680_217_65;
    let s = s * square - 0.645_963_477_7;
    let sine = quarter * (s * square + 1.570_796_322);
    let c = -0.020_408_158_39f32;
    let c = c * square + 0.253_598_571_3;
    let c = c * square - 1.233_697_007;
    let cosine = f32::from_bits((c * square + 0.999_999_972_3).to_bits() | (bits & 0x8000_0000));
    if bits & 0x4000_0000 == 0 { (cosine, sine) } else { (sine, cosine) }
}

#[inline(always)]
fn uniform(bits: Words, scale: f32) -> Floats {
    bits.map(|word| scale * ((word >> 8).cast_signed() as f32 * (1.0 / (1u32 << 24) as f32)))
}

#[inline(always)]
fn sign(bits: Words, scale: f32) -> Floats {
    bits.map(|word| f32::from_bits(scale.to_bits() ^ (word & 0x8000_0000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::StreamKey;
    use crate::statistics::{KolmogorovSmirnov, Moments};
    use ndarray_rand::rand::Rng;
    use rand_distr::StandardNormal;

    fn generator(index: u64) -> BulkGenerator {
        BulkGenerator::new(&mut StreamKey::new(3, &["bulk"]).draw(index))
    }

    fn normals(count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        generator(0).fill_normal(1.0, &mut values);
        values
    }

    #[test]
    fn each_lane_is_the_published_generator() {
        // First outputs of the reference implementation of xoshiro128++ from the state 1, 2, 3, 4.
        let mut state = [[1; LANES], [2; LANES], [3; LANES], [4; LANES]];
        let outputs: Vec<u32> = (0..5).map(|_| step(&mut state)[LANES - 1]).collect();
        assert_eq!(outputs, [641, 1_573_767, 3_222_811_527, 3_517_856_514, 836_907_274]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        #[cfg(target_arch = "x86_64")]
        for what in [Fill::Normal, Fill::Uniform, Fill::Signs] {
            let sets = [
                (is_x86_feature_detected!("avx2"), InstructionSet::Avx2),
                (InstructionSet::detected() == InstructionSet::Avx512, InstructionSet::Avx512),
            ];
            for (_, set) in sets.into_iter().filter(|(there, _)| *there) {
                let run = |set: InstructionSet| {
                    let (mut state, mut values) = (generator(1).state, vec![0.0f32; 10_007]);
                    set.fill(what, &mut state, 0.3, &mut values);
                    (state, values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
                };
                assert_eq!(run(set), run(InstructionSet::Baseline), "{set:?} {what:?}");
            }
        }
    }

    #[test]
    fn the_transformation_agrees_with_double_precision() {
        let worst = (0..200_000u32)
            .map(|i| i.wrapping_mul(2_654_435_761))
            .map(|bits| {
                let exact = ((f64::from(bits >> 1) + 0.5) / 2f64.powi(31)).ln();
                let (cosine, sine) = direction(bits);
                let circle = (f64::from(cosine).hypot(f64::from(sine)) - 1.0).abs();
                ((f64::from(ln_unit(bits)) - exact) / exact.abs().max(0.05)).abs().max(circle)
            })
            .fold(0.0, f64::max);
        assert!(worst < 1e-6, "{worst}");
        assert!((f64::from(ln_unit(0)) + 32.0 * 2f64.ln()).abs() < 1e-5, "the tail reaches 6.66");
    }

    /// 4·10⁶ values: raw moments 1 to 8 within 4.5 standard errors of 0, 1, 0, 3, 0, 15, 0, 105 (false alarms below
    /// 6·10⁻⁵ in all).
    #[test]
    fn normals_have_the_moments_of_normals() {
        let values = normals(4_000_000);
        for (order, expected) in (1..=8).zip([0.0, 1.0, 0.0, 3.0, 0.0, 15.0, 0.0, 105.0]) {
            let moments: Moments = values.iter().map(|&value| f64::from(value).powi(order)).collect();
            let z = (moments.mean() - expected) / moments.std_error();
            assert!(z.abs() < 4.5, "moment {order}: {} (z = {z})", moments.mean());
        }
    }

    /// Kolmogorov–Smirnov against the ziggurat of `rand_distr`, p above 10⁻⁴; a lane's two values and neighbouring
    /// lanes uncorrelated, |z| < 4.5 (false alarms below 2·10⁻⁴ in all).
    #[test]
    fn normals_have_the_law_of_the_scalar_sampler_and_no_correlation() {
        let values = normals(1_000_000);
        let mut stream = StreamKey::new(3, &["scalar"]).draw(0);
        let mut scalar: Vec<f64> = (0..values.len()).map(|_| stream.sample(StandardNormal)).collect();
        let mut bulk: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        let test = KolmogorovSmirnov::of_samples(&mut bulk, &mut scalar);
        assert!(test.p_value > 1e-4, "{test:?}");
        for lag in [1, LANES, 2 * LANES] {
            let products = values.windows(lag + 1).map(|pair| f64::from(pair[0]) * f64::from(pair[lag]));
            let moments: Moments = products.collect();
            assert!((moments.mean() / moments.std_error()).abs() < 4.5, "lag {lag}");
        }
    }

    /// |z| < 4.5 (false alarms below 2·10⁻⁵ in all).
    #[test]
    fn uniforms_and_signs_have_their_means_and_ranges() {
        let mut values = vec![0.0; 1_000_001];
        generator(2).fill_uniform(2.0, &mut values);
        assert!(values.iter().all(|value| (0.0..2.0).contains(value)));
        let moments: Moments = values.iter().map(|&value| f64::from(value)).collect();
        assert!((moments.mean() - 1.0).abs() < 4.5 * moments.std_error());
        generator(2).fill_signs(0.5, &mut values);
        assert!(values.iter().all(|value| value.abs() == 0.5));
        let moments: Moments = values.iter().map(|&value| f64::from(value)).collect();
        assert!(moments.mean().abs() < 4.5 * moments.std_error());
    }
}
