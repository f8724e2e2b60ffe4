//! The dense (fully connected) layer, z = W h + b.

use super::{LayerRule, NoVariancePass, ParameterCount, Real, Shape, Site};

/// z = W h + b with W of shape [units, inputs], row-major, followed in memory by b where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Number of output units.
    pub units: usize,
    /// Whether b is there.
    pub bias: bool,
}

/// Partial sums of a dot product: enough independent chains to fill the vector units.
const LANES: usize = 16;

impl Dense {
    /// A layer without bias.
    pub fn new(units: usize) -> Self {
        Self { units, bias: false }
    }
}

impl LayerRule for Dense {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.as_vector().is_none() {
            return Err(format!("takes a vector, not an input of shape {input}: put a flatten layer before it"));
        }
        Shape::new([self.units]).ok_or_else(|| "needs at least one unit".into())
    }

    fn parameters(&self, input: &Shape) -> Option<ParameterCount> {
        Some(ParameterCount {
            weights: self.units.saturating_mul(input.len()),
            biases: if self.bias { self.units } else { 0 },
            fan_in: input.len(),
            fan_out: self.units,
        })
    }

    fn forward<T: Real>(&self, _: Site<'_>, parameters: &[T], input: &[T], output: &mut [T], _: &mut Vec<T>) {
        let (weights, biases) = parameters.split_at(self.units * input.len());
        for (row, unit) in weights.chunks_exact(input.len()).zip(output.iter_mut()) {
            *unit = dot(row, input);
        }
        for (unit, &bias) in output.iter_mut().zip(biases) {
            *unit += bias;
        }
    }

    fn backward<T: Real>(
        &self,
        _: Site<'_>,
        parameters: &[T],
        _: &[T],
        _: &[T],
        upstream: &[T],
        downstream: &mut [T],
        _: &mut Vec<T>,
    ) {
        downstream.fill(T::zero());
        // Half of the upstream is zero after a ReLU: skipping its rows halves the work.
        for (row, &scale) in parameters.chunks_exact(downstream.len()).zip(upstream).filter(|(_, s)| !s.is_zero()) {
            for (sum, &weight) in downstream.iter_mut().zip(row) {
                *sum += scale * weight;
            }
        }
    }

    fn edges<T: Real>(
        &self,
        site: Site<'_>,
        parameters: &[T],
        _: &[T],
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) {
        let inputs = site.input.len();
        for (index, &weight) in parameters[..self.units * inputs].iter().enumerate() {
            visit(index % inputs, index / inputs, weight);
        }
    }

    fn variance_backward(
        &self,
        _: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoVariancePass> {
        downstream.fill(weight_variance * upstream.iter().sum::<f64>());
        Ok(())
    }
}

/// Σ aᵢ bᵢ in a fixed order of [`LANES`] partial sums, the same on every machine.
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).fold(T::zero(), |sum, (&x, &y)| sum + x * y);
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().fold(rest, |sum, &lane| sum + lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};
    use ndarray_rand::RandomExt;
    use ndarray_rand::rand::SeedableRng;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn site(shapes: &(Shape, Shape)) -> Site<'_> {
        Site { input: &shapes.0, output: &shapes.1 }
    }

    #[test]
    fn an_image_is_refused_with_advice() {
        let message = Dense::new(4).output_shape(&Shape::new([3, 8, 8]).unwrap()).unwrap_err();
        assert!(message.contains("[3, 8, 8]") && message.contains("flatten"), "{message}");
    }

    proptest! {
        #[test]
        fn both_passes_agree_with_the_matrix_products_of_ndarray(inputs in 1usize..70, units in 1usize..9, seed in 0u64..1000) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let weights: Array2<f64> = Array2::random_using((units, inputs), StandardNormal, &mut rng);
            let bias: Array1<f64> = Array1::random_using(units, StandardNormal, &mut rng);
            let input: Array1<f64> = Array1::random_using(inputs, StandardNormal, &mut rng);
            let upstream: Array1<f64> = Array1::random_using(units, StandardNormal, &mut rng);
            let parameters: Vec<f64> = weights.iter().chain(&bias).copied().collect();

            let layer = Dense { units, bias: true };
            let shapes = (Shape::new([inputs]).unwrap(), Shape::new([units]).unwrap());
            let (mut output, mut downstream) = (vec![0.0; units], vec![0.0; inputs]);
            layer.forward(site(&shapes), &parameters, input.as_slice().unwrap(), &mut output, &mut Vec::new());
            let slice = upstream.as_slice().unwrap();
            layer.backward(site(&shapes), &parameters, input.as_slice().unwrap(), &output, slice, &mut downstream, &mut Vec::new());

            let close = |a: &[f64], b: Array1<f64>| a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12 * (1.0 + y.abs()));
            prop_assert!(close(&output, weights.dot(&input) + &bias));
            prop_assert!(close(&downstream, weights.t().dot(&upstream)));
        }
    }
}
