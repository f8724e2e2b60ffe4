//! The dense (fully connected) layer, z = W h + b.

use crate::network::batch::{Affine, OnBatches};
use crate::network::layer::keys::{Defaults, Key, Keyed, Kind, Refusal, Values};
use crate::network::layer::{Fan, LayerRule, NoPathTheory, Pass, Product, Real, Role, Scratch, Shape, Site, Tensor};
use crate::network::matrix::{Matrix, MatrixMut};
use crate::network::simd::dot;

/// z = W h + b with W of shape [units, inputs], row-major, followed in memory by b where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Number of output units.
    pub units: usize,
    /// Whether b is there.
    pub bias: bool,
}

/// Samples from which on a product of matrices is faster than one pass over the weights a sample.
const WORTH_A_PRODUCT: usize = 4;

impl Dense {
    /// A layer without bias.
    pub fn new(units: usize) -> Self {
        Self { units, bias: false }
    }
}

impl Keyed for Dense {
    const SUMMARY: &'static str = "W x + b, the biases only where `bias = true`";
    const KEYS: &'static [Key] =
        &[Key::required("units", Kind::Size), Key::optional("bias", Kind::Flag), Key::INIT, Key::WEIGHTS];

    fn from_values(values: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self { units: values.size("units"), bias: values.flag("bias") })
    }
}

impl LayerRule for Dense {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.as_vector().is_none() {
            return Err(format!("takes a vector, not an input of shape {input}: put a flatten layer before it"));
        }
        Shape::new([self.units]).ok_or_else(|| "needs at least one unit".into())
    }

    fn tensors(&self, input: &Shape) -> Vec<Tensor> {
        let fan = Fan { inputs: input.len(), outputs: self.units };
        let weights = Tensor::new("weight", [self.units, input.len()], Role::Weight(fan));
        std::iter::once(weights).chain(self.bias.then(|| Tensor::biases(self.units))).collect()
    }

    fn add_bias(&mut self) {
        self.bias = true;
    }

    /// A sum over weights of random sign.
    fn is_symmetric(&self, _: bool) -> bool {
        true
    }

    fn forward<T: Real>(&self, pass: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        let inputs = pass.site.input.len();
        let (weights, biases) = pass.parameters.split_at(self.units * inputs);
        if pass.batch >= WORTH_A_PRODUCT {
            let weights = Matrix::new(weights, self.units, inputs).transposed();
            let product = MatrixMut::new(output, pass.batch, self.units);
            Matrix::new(input, pass.batch, inputs).multiply(weights, product, false);
        } else {
            for (sample, units) in input.chunks_exact(inputs).zip(output.chunks_exact_mut(self.units)) {
                for (row, unit) in weights.chunks_exact(inputs).zip(units) {
                    *unit = dot::<16, _>(row, sample);
                }
            }
        }
        for units in output.chunks_exact_mut(self.units) {
            for (unit, &bias) in units.iter_mut().zip(biases) {
                *unit += bias;
            }
        }
    }

    fn backward<T: Real>(&self, pass: Pass<'_, T>, _: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
        let inputs = pass.site.input.len();
        let weights = &pass.parameters[..self.units * inputs];
        if pass.batch >= WORTH_A_PRODUCT {
            let weights = Matrix::new(weights, self.units, inputs);
            let product = MatrixMut::new(downstream, pass.batch, inputs);
            return Matrix::new(upstream, pass.batch, self.units).multiply(weights, product, false);
        }
        downstream.fill(T::zero());
        for (above, below) in upstream.chunks_exact(self.units).zip(downstream.chunks_exact_mut(inputs)) {
            // Half of the upstream is zero after a ReLU: skipping its rows halves the work.
            for (row, &scale) in weights.chunks_exact(inputs).zip(above).filter(|(_, s)| !s.is_zero()) {
                for (sum, &weight) in below.iter_mut().zip(row) {
                    *sum += scale * weight;
                }
            }
        }
    }

    fn product(&self, site: Site<'_>) -> Option<Product> {
        Some(Product { outputs: self.units, channels: site.input.len(), taps: 1, patches: 1 })
    }

    fn for_each_seen(&self, _: Site<'_>, mut visit: impl FnMut(usize, usize, usize)) {
        visit(0, 0, 0);
    }

    fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(Affine::dense(site.input.len(), self.units, self.bias))
    }

    fn edges<T: Real>(
        &self,
        pass: Pass<'_, T>,
        _: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        let inputs = pass.site.input.len();
        for (index, &weight) in pass.parameters[..self.units * inputs].iter().enumerate() {
            visit(index % inputs, index / inputs, weight);
        }
        Ok(())
    }

    fn connections(
        &self,
        site: Site<'_>,
        weight_variance: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        let units = 0..self.units;
        units.for_each(|unit| (0..site.input.len()).for_each(|input| visit(input, unit, weight_variance)));
        Ok(())
    }

    fn edge_count(&self, site: Site<'_>) -> usize {
        site.input.len().saturating_mul(self.units)
    }

    fn variance_backward(
        &self,
        _: Site<'_>,
        weight_variance: f64,
        upstream: &[f64],
        downstream: &mut [f64],
    ) -> Result<(), NoPathTheory> {
        downstream.fill(weight_variance * upstream.iter().sum::<f64>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use ndarray_rand::RandomExt;
    use ndarray_rand::rand::SeedableRng;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    #[test]
    fn an_image_is_refused_with_advice() {
        let message = Dense::new(4).output_shape(&Shape::new([3, 8, 8]).unwrap()).unwrap_err();
        assert!(message.contains("[3, 8, 8]") && message.contains("flatten"), "{message}");
    }

    proptest! {
        #[test]
        fn both_passes_agree_with_the_matrix_products_of_ndarray(
            inputs in 1usize..70, units in 1usize..9, batch in 1usize..7, seed in 0u64..1000,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut random = |shape| Array2::<f64>::random_using(shape, StandardNormal, &mut rng);
            let (weights, bias) = (random((units, inputs)), random((1, units)));
            let (input, upstream) = (random((batch, inputs)), random((batch, units)));
            let parameters: Vec<f64> = weights.iter().chain(&bias).copied().collect();

            let layer = Dense { units, bias: true };
            let shapes = (Shape::new([inputs]).unwrap(), Shape::new([units]).unwrap());
            let pass = Pass { site: Site { input: &shapes.0, output: &shapes.1 }, batch, parameters: &parameters };
            let (mut output, mut downstream) = (vec![0.0; batch * units], vec![0.0; batch * inputs]);
            let input_values = input.as_slice().unwrap();
            layer.forward(pass, input_values, &mut output, &mut Scratch::default());
            layer.backward(pass, input_values, upstream.as_slice().unwrap(), &mut downstream, &mut Scratch::default());

            let close = |a: &[f64], b: Array2<f64>| a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 1e-12 * (1.0 + y.abs()));
            prop_assert!(close(&output, input.dot(&weights.t()) + &bias));
            prop_assert!(close(&downstream, upstream.dot(&weights)));
        }
    }
}
