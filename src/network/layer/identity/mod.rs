//! Layers that pass every value on as it is: flattening, and the end of a residual block.

mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Key, Keyed, Kind, Refusal, Values};
use crate::network::layer::{LayerRule, NoPathTheory, Pass, Real, Scratch, Shape, Site};

/// The vector of all elements, in row-major order; a vector stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Flatten;

/// The end of a residual block (He et al., arXiv 1512.03385): the branch passes through, and the network adds the value of
/// the block's other arm, the node's `addend`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum;

macro_rules! identities {
    ($($layer:ident, $summary:literal, $keys:expr, $shape:expr, $on_batches:expr;)*) => {$(
        impl Keyed for $layer {
            const SUMMARY: &'static str = $summary;
            const KEYS: &'static [Key] = $keys;

            fn from_values(_: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
                Ok(Self)
            }
        }

        impl LayerRule for $layer {
            fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
                Ok($shape(input))
            }

            fn forward<T: Real>(&self, _: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
                output.copy_from_slice(input);
            }

            fn backward<T: Real>(&self, _: Pass<'_, T>, _: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
                downstream.copy_from_slice(upstream);
            }

            fn on_batches<T: Real>(&self, site: Site<'_>) -> OnBatches<T> {
                OnBatches::of_samples($on_batches(site))
            }

            fn edges<T: Real>(
                &self,
                pass: Pass<'_, T>,
                _: &[T],
                mut visit: impl FnMut(usize, usize, T),
            ) -> Result<(), NoPathTheory> {
                (0..pass.site.input.len()).for_each(|unit| visit(unit, unit, T::one()));
                Ok(())
            }

            fn connections(
                &self,
                site: Site<'_>,
                _: f64,
                mut visit: impl FnMut(usize, usize, f64),
            ) -> Result<(), NoPathTheory> {
                (0..site.input.len()).for_each(|unit| visit(unit, unit, 1.0));
                Ok(())
            }
        }
    )*};
}

identities! {
    Flatten, "the vector of all values", &[], Shape::flattened, |site: Site<'_>| batch::Transpose(site.input.clone());
    Sum, "a residual block: layers(x) + projection(x), or + x without one", &[Key::required("layers", Kind::Layers), Key::optional("projection", Kind::Layers)], Shape::clone, |_| batch::Pass;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_a_vector_and_a_sum_keeps_its_shape() {
        let image = Shape::new([3, 4, 5]).unwrap();
        assert_eq!(Flatten.output_shape(&image).unwrap().as_vector(), Some(60));
        assert_eq!(Sum.output_shape(&image).unwrap(), image);
    }
}
