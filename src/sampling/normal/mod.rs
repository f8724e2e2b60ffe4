//! Random numbers in bulk for the weights and inputs of sampled networks: sixteen generators side by side, whose
//! integers become normals, uniforms or signs in loops that the compiler turns into vector instructions.
//!
//! A matrix of weights need not be stored: [`multiply`](BulkGenerator::multiply) uses its rows as they are made, and a copy
//! of the generator makes a row again. All instruction sets give the same bits ([`InstructionSet`]).

mod lanes;
mod loops;

use ndarray_rand::rand::Rng;

use super::Stream;
use crate::network::{InstructionSet, WeightDistribution};
use lanes::{Normals, Signs, Source, State, Uniforms};
use loops::{AddRow, Fill, Multiply, PAIR};

/// Sixteen xoshiro128++ generators (Blackman and Vigna 2021), seeded from one draw's stream.
///
/// The states are 2048 bits of ChaCha output, so lanes and draws are independent starting points in cycles of length
/// 2¹²⁸ − 1; that any two of 10⁹ draws' lanes overlap within 2⁴⁰ numbers has probability below 10⁻⁵.
#[derive(Debug, Clone)]
pub struct BulkGenerator {
    state: State,
    instructions: InstructionSet,
}

/// The law of weights: its shape, and the standard deviation σ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightLaw {
    /// The shape.
    pub distribution: WeightDistribution,
    /// σ.
    pub std_dev: f64,
}

/// Does the same with the source of a law's numbers, whichever type it has.
macro_rules! with_source {
    ($law:expr, $source:ident => $run:expr) => {{
        let WeightLaw { distribution, std_dev } = $law;
        match distribution {
            // What orthogonal weights are made of.
            WeightDistribution::Normal | WeightDistribution::Orthogonal => {
                let $source = Normals { std_dev: std_dev as f32 };
                $run
            }
            WeightDistribution::Uniform => {
                let edge = (3f64.sqrt() * std_dev) as f32;
                let $source = Uniforms { low: -edge, width: 2.0 * edge };
                $run
            }
            WeightDistribution::Rademacher => {
                let $source = Signs::new(std_dev as f32);
                $run
            }
        }
    }};
}

impl BulkGenerator {
    /// Vectors that rows are multiplied with, or added to, have a multiple of so many values, and rows as well.
    pub const GRANULE: usize = PAIR;

    /// Seeds all lanes from the stream.
    pub fn new(stream: &mut Stream) -> Self {
        let mut state = [[0; lanes::LANES]; 4];
        stream.fill(state.as_flattened_mut());
        Self { state, instructions: InstructionSet::current() }
    }

    /// The same generator with these instructions; the numbers are the same.
    pub fn with_instructions(self, instructions: InstructionSet) -> Self {
        Self { instructions, ..self }
    }

    /// Fills with independent normals of mean 0 and the given standard deviation, by the Box–Muller transformation:
    /// √(−2 ln u)·(cos θ, sin θ) with u of 31 bits and θ of 32.
    ///
    /// Relative error of each value below 10⁻⁶; values reach ±6.66 standard deviations (probability beyond: 3·10⁻¹¹).
    pub fn fill_normal(&mut self, std_dev: f32, out: &mut [f32]) {
        self.fill_from(Normals { std_dev }, out);
    }

    /// Fills with independent uniforms on [low, high), of 24 bits.
    pub fn fill_uniform(&mut self, low: f32, high: f32, out: &mut [f32]) {
        self.fill_from(Uniforms { low, width: high - low }, out);
    }

    /// Fills with independent weights.
    pub fn fill(&mut self, law: WeightLaw, out: &mut [f32]) {
        with_source!(law, source => self.fill_from(source, out));
    }

    /// Makes a matrix of weights, one row for each product, each row as long as `vector`, and multiplies it with the
    /// vector; its first rows are kept in `kept`, as many as it holds whole.
    ///
    /// A product is the sum of sixteen partial sums, one for each lane, added pairwise; each of them takes up the two numbers that
    /// a lane makes at a time at once. Its bits depend on neither the instruction set nor what is kept.
    ///
    /// # Panics
    /// The vector does not consist of granules.
    pub fn multiply(&mut self, law: WeightLaw, vector: &[f32], products: &mut [f32], kept: &mut [f32]) {
        let vector = granules(vector);
        let (kept, _) = kept.as_chunks_mut::<PAIR>();
        if kept.is_empty() {
            with_source!(law, source => self.multiply_from::<_, false>(source, vector, products, kept));
        } else {
            with_source!(law, source => self.multiply_from::<_, true>(source, vector, products, kept));
        }
    }

    /// Makes a row of weights as long as `sums` and adds `factor` times the row to it.
    ///
    /// # Panics
    /// `sums` does not consist of granules.
    pub fn add_row(&mut self, law: WeightLaw, factor: f32, sums: &mut [f32]) {
        let (sums, rest) = sums.as_chunks_mut::<PAIR>();
        assert!(rest.is_empty(), "a row consists of granules");
        with_source!(law, source => self.add_row_from(source, factor, sums));
    }

    fn fill_from(&mut self, source: impl Source, out: &mut [f32]) {
        self.instructions.run(Fill { source, state: &mut self.state, out });
    }

    fn multiply_from<S: Source, const KEEP: bool>(
        &mut self,
        source: S,
        vector: &[[f32; PAIR]],
        products: &mut [f32],
        kept: &mut [[f32; PAIR]],
    ) {
        self.instructions.run(Multiply::<S, KEEP> { source, state: &mut self.state, vector, products, kept });
    }

    fn add_row_from(&mut self, source: impl Source, factor: f32, sums: &mut [[f32; PAIR]]) {
        self.instructions.run(AddRow { source, state: &mut self.state, factor, sums });
    }
}

fn granules(vector: &[f32]) -> &[[f32; PAIR]] {
    let (granules, rest) = vector.as_chunks();
    assert!(rest.is_empty(), "a vector consists of granules");
    granules
}

/// The twin of one product of [`BulkGenerator::multiply`], in plain loops: of a row that is stored, in the order that is documented.
#[cfg(test)]
pub(super) fn plain_product(row: &[f32], vector: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    for (w, x) in row.chunks_exact(32).zip(vector.chunks_exact(32)) {
        for lane in 0..16 {
            sums[lane] += w[16 + lane].mul_add(x[16 + lane], w[lane] * x[lane]);
        }
    }
    for half in [8, 4, 2, 1] {
        (0..half).for_each(|place| sums[place] += sums[half + place]);
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Moments;
    use crate::stream::StreamKey;

    const LAWS: [WeightDistribution; 3] =
        [WeightDistribution::Normal, WeightDistribution::Uniform, WeightDistribution::Rademacher];

    fn generator(index: u64) -> BulkGenerator {
        BulkGenerator::new(&mut StreamKey::new(3, &["bulk"]).draw(index))
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Everything that the generator can do, with these instructions.
    fn everything(distribution: WeightDistribution, instructions: InstructionSet) -> Vec<u32> {
        let law = WeightLaw { distribution, std_dev: 0.3 };
        let mut generator = generator(1).with_instructions(instructions);
        let (mut values, mut products, mut kept) = (vec![0.0f32; 10_007], [0.0; 5], [0.0; 128]);
        let (mut vector, mut sums) = ([0.0; 64], [1.0; 64]);
        generator.fill(law, &mut values);
        generator.fill_uniform(-1.0, 3.0, &mut vector);
        generator.multiply(law, &vector, &mut products, &mut kept);
        generator.add_row(law, 0.7, &mut sums);
        [&values[..], &products, &kept, &sums].into_iter().flat_map(bits).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for distribution in LAWS {
            let baseline = everything(distribution, InstructionSet::Baseline);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                assert_eq!(everything(distribution, set), baseline, "{set} {distribution:?}");
            }
        }
    }

    /// The twin fills a matrix, multiplies in plain loops, and adds a row that it stored.
    #[test]
    fn rows_used_as_they_are_made_are_those_that_fill_writes() {
        for distribution in LAWS {
            let law = WeightLaw { distribution, std_dev: 1.7 };
            let mut vector = vec![0.0; 96];
            generator(7).fill_normal(1.0, &mut vector);
            for rows_kept in [0, 2, 5] {
                let (mut products, mut kept) = ([0.0; 5], vec![0.0; rows_kept * 96]);
                let (mut fused, mut plain) = (generator(5), generator(5));
                fused.multiply(law, &vector, &mut products, &mut kept);
                for (index, product) in products.into_iter().enumerate() {
                    let mut row = [0.0f32; 96];
                    plain.fill(law, &mut row);
                    assert_eq!(product.to_bits(), plain_product(&row, &vector).to_bits());
                    if index < rows_kept {
                        assert_eq!(bits(&kept[index * 96..][..96]), bits(&row));
                    }
                }
                let (mut sums, mut row) = (vector.clone(), [0.0; 96]);
                fused.add_row(law, -0.3, &mut sums);
                plain.fill(law, &mut row);
                let expected: Vec<f32> = vector.iter().zip(row).map(|(x, w)| w.mul_add(-0.3, *x)).collect();
                assert_eq!(bits(&sums), bits(&expected));
                assert_eq!(fused.state, plain.state);
            }
        }
    }

    /// |z| < 4.5 (false alarms below 3·10⁻⁵ in all).
    #[test]
    fn uniforms_and_signs_have_their_means_and_ranges() {
        let mut values = vec![0.0; 1_000_001];
        let moments = |values: &[f32]| -> Moments { values.iter().map(|&value| f64::from(value)).collect() };
        generator(2).fill_uniform(0.0, 2.0, &mut values);
        assert!(values.iter().all(|value| (0.0..2.0).contains(value)));
        assert!((moments(&values).mean() - 1.0).abs() < 4.5 * moments(&values).std_error());
        generator(2).fill(WeightLaw { distribution: WeightDistribution::Rademacher, std_dev: 0.5 }, &mut values);
        assert!(values.iter().all(|value| value.abs() == 0.5));
        assert!(moments(&values).mean().abs() < 4.5 * moments(&values).std_error());
        // Signs of one integer, and of one place in neighbouring integers.
        for lag in [1, 16, 32, 512] {
            let products: Moments = values.windows(lag + 1).map(|run| f64::from(run[0] * run[lag])).collect();
            assert!(products.mean().abs() < 4.5 * products.std_error(), "lag {lag}");
        }
    }
}
