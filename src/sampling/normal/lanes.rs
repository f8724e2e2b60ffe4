//! Sixteen xoshiro128++ generators side by side, and what becomes of their integers: normals by the Box–Muller
//! transformation, uniforms, signs.
//!
//! Everything here is inlined into loops that are compiled for each instruction set. Only additions, multiplications, fused
//! multiply-adds, square roots and integer operations in a fixed order are used, which are exactly rounded everywhere. Which
//! additions are fused with a multiplication is written down, and so the same for all. A processor without the fused operation
//! has it from a function that is exact too, and slow.

/// Generators side by side.
pub(super) const LANES: usize = 16;

pub(super) type Words = [u32; LANES];
pub(super) type Floats = [f32; LANES];
pub(super) type State = [Words; 4];

/// Makes numbers of one law, 2 × [`LANES`] at a time. A copy starts afresh: it holds no integers that are left over.
pub(super) trait Source: Copy {
    /// The next numbers.
    fn next(&mut self, lanes: &mut State) -> (Floats, Floats);
}

/// Normals of mean 0.
#[derive(Clone, Copy)]
pub(super) struct Normals {
    pub std_dev: f32,
}

/// Uniforms on [low, low + width), of 24 bits.
#[derive(Clone, Copy)]
pub(super) struct Uniforms {
    pub low: f32,
    pub width: f32,
}

/// Fair signs, ±size, one for each bit of the integers.
#[derive(Clone, Copy)]
pub(super) struct Signs {
    size: f32,
    bits: Words,
    /// Pairs of bits that are left in every lane.
    left: u32,
}

impl Signs {
    pub(super) fn new(size: f32) -> Self {
        Self { size, bits: [0; LANES], left: 0 }
    }
}

impl Source for Normals {
    #[inline(always)]
    fn next(&mut self, lanes: &mut State) -> (Floats, Floats) {
        normal_pair(step(lanes), step(lanes), self.std_dev)
    }
}

impl Source for Uniforms {
    #[inline(always)]
    fn next(&mut self, lanes: &mut State) -> (Floats, Floats) {
        let Self { low, width } = *self;
        let uniform = |word: u32| ((word >> 8).cast_signed() as f32 * (1.0 / (1u32 << 24) as f32)).mul_add(width, low);
        (step(lanes).map(uniform), step(lanes).map(uniform))
    }
}

impl Source for Signs {
    #[inline(always)]
    fn next(&mut self, lanes: &mut State) -> (Floats, Floats) {
        if self.left == 0 {
            (self.bits, self.left) = (step(lanes), u32::BITS / 2);
        }
        let size = self.size.to_bits();
        let sign = |word: u32| f32::from_bits(size ^ (word & 0x8000_0000));
        let pair = (self.bits.map(sign), self.bits.map(|word| sign(word << 1)));
        self.bits = self.bits.map(|word| word << 2);
        self.left -= 1;
        pair
    }
}

/// One number of every lane: xoshiro128++.
#[inline(always)]
fn step(state: &mut State) -> Words {
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
    let p = p.mul_add(z, 0.126_223_198_5);
    let p = p.mul_add(z, -0.129_981_837_6);
    let p = p.mul_add(z, 0.142_144_959_2);
    let p = p.mul_add(z, -0.166_412_814_6);
    let p = p.mul_add(z, 0.200_010_450_9);
    let p = p.mul_add(z, -0.250_003_064_2);
    let p = p.mul_add(z, 0.333_333_307_3);
    let mantissa_log = (z * z).mul_add(p.mul_add(z, -0.5), z);
    (exponent as f32).mul_add(std::f32::consts::LN_2, mantissa_log)
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
    let s = s.mul_add(square, 0.079_680_217_65);
    let s = s.mul_add(square, -0.645_963_477_7);
    let sine = quarter * s.mul_add(square, 1.570_796_322);
    let c = -0.020_408_158_39f32;
    let c = c.mul_add(square, 0.253_598_571_3);
    let c = c.mul_add(square, -1.233_697_007);
    let cosine = f32::from_bits(c.mul_add(square, 0.999_999_972_3).to_bits() | (bits & 0x8000_0000));
    if bits & 0x4000_0000 == 0 { (cosine, sine) } else { (sine, cosine) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the reference implementation of xoshiro128++ (Blackman and Vigna,
    /// <https://prng.di.unimi.it/xoshiro128plusplus.c>) from the state 1, 2, 3, 4.
    #[test]
    fn each_lane_is_the_published_generator() {
        let mut state = [[1; LANES], [2; LANES], [3; LANES], [4; LANES]];
        let outputs: Vec<Words> = (0..5).map(|_| step(&mut state)).collect();
        for lane in 0..LANES {
            let of_lane: Vec<u32> = outputs.iter().map(|words| words[lane]).collect();
            assert_eq!(of_lane, [641, 1_573_767, 3_222_811_527, 3_517_856_514, 836_907_274]);
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
}
