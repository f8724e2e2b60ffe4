//! Central differences: gradients from values of the network alone, an independent way to the number that backpropagation
//! gives.

use super::architecture::{Architecture, Parameters};
use super::gradient::Tape;

/// The step, relative to the largest coordinate of the input: small enough that few units open or close within it, large
/// enough that rounding costs no more than ten digits.
const STEP: f64 = 1.0 / (1 << 20) as f64;

/// The least step: values this small are still normal numbers, of full precision.
const LEAST_STEP: f64 = 1e-300;

/// (g(f(x + hᵢeᵢ)) − g(f(x − hᵢeᵢ)))/2hᵢ for every input i and each of M functions g of the logits f.
///
/// One step h = 2⁻²⁰·max|xⱼ| (2⁻²⁰ at x = 0) serves all inputs. The error is about 10⁻¹⁰ of the functions' values over the
/// size of the input; it is larger only where a unit opens or closes within a step, and there the result lies between the
/// slopes of both sides.
pub fn central_differences<const M: usize>(
    architecture: &Architecture,
    parameters: &Parameters<f64>,
    tape: &mut Tape<f64>,
    input: &[f64],
    functions: impl Fn(&[f64]) -> [f64; M],
) -> [Vec<f64>; M] {
    let largest = input.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let step = if largest > 0.0 { (STEP * largest).max(LEAST_STEP) } else { STEP };
    let mut gradients = std::array::from_fn(|_| vec![0.0; input.len()]);
    let mut moved = input.to_vec();
    for (at, &value) in input.iter().enumerate() {
        let (above, below) = (value + step, value - step);
        let mut at_input = |changed| {
            moved[at] = changed;
            functions(tape.forward(architecture, parameters, &moved))
        };
        let (high, low) = (at_input(above), at_input(below));
        moved[at] = value;
        for (gradient, (high, low)) in gradients.iter_mut().zip(high.into_iter().zip(low)) {
            // What the sums were rounded to, not what they were meant to be.
            gradient[at] = (high - low) / (above - below);
        }
    }
    gradients
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Shape};
    use super::*;

    #[test]
    fn a_linear_network_and_a_square_have_their_slopes() {
        let network = Architecture::new(Shape::new([3]).unwrap(), vec![Dense::new(1).into()]).unwrap();
        let mut parameters = Parameters::<f64>::new(&network);
        parameters.tensor_mut(&network.nodes()[0], 0).copy_from_slice(&[2.0, -3.0, 0.5]);
        let mut tape = Tape::new(&network);
        for (input, sum) in [([0.0; 3], 0.0), ([300.0, 100.0, 40.0], 320.0)] {
            let [line, square] = central_differences(&network, &parameters, &mut tape, &input, |f| [f[0], f[0] * f[0]]);
            for (slope, weight) in line.iter().zip([2.0, -3.0, 0.5]) {
                assert!((slope - weight).abs() < 1e-9, "{line:?}");
            }
            for (slope, weight) in square.iter().zip([2.0, -3.0, 0.5]) {
                assert!((slope - 2.0 * sum * weight).abs() <= 1e-8 * sum, "{square:?}");
            }
        }
    }
}
