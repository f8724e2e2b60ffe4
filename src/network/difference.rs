//! Central differences: gradients from values of the network alone, an independent way to the number that backpropagation
//! gives.

use super::Norm;
use super::architecture::Architecture;
use super::gradient::Tape;
use super::parameters::Parameters;

/// The step, as a power of two of the largest coordinate of the input: few units open or close within it, and rounding costs no more than
/// ten digits.
const STEP: i32 = -20;

/// Steps that are tried where the error at [`STEP`] is not [`GOOD`]: a smaller one, for large logits and many units; then larger ones,
/// for inputs that are small beside the biases.
const OTHERS: [i32; 3] = [-30, -10, 0];

/// An estimated relative error with which no other step is tried.
const GOOD: f64 = 1e-8;

/// A larger step is taken only where the error falls by as much: that of rounding falls with the step, that of kinks does not.
const FALL: f64 = 32.0;

/// The least step: values this small are still normal numbers, of full precision.
const LEAST_STEP: f64 = 1e-300;

/// Gradients of M functions of the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct CentralDifferences<const M: usize> {
    /// The gradients.
    pub gradients: [Vec<f64>; M],
    /// Their estimated errors relative to their lengths, in ‖·‖₁: the distance to the gradient of half the step or, where a unit opens or
    /// closes at the input, half of what the slopes on its sides differ by. NaN where the gradient is zero, as differences cannot tell
    /// a network that does not change from one whose change is lost in rounding.
    pub errors: [f64; M],
}

/// (g(f(x + hᵢeᵢ)) − g(f(x − hᵢeᵢ)))/2hᵢ for every input i and each of M functions g of the logits f. Given logits before and
/// after, `differences` returns what they differ by in each function, without cancellation.
///
/// One step h = 2⁻²⁰·max|xⱼ| (2⁻²⁰ at x = 0) serves all inputs; where its estimated error is above 10⁻⁸, another one from 2⁻³⁰ to 1 times
/// max|xⱼ| whose error is less. Errors are usually about 10⁻¹⁰; they are larger where a unit opens or closes within a step, and there the
/// result lies between the slopes of both sides.
pub fn central_differences<const M: usize>(
    architecture: &Architecture,
    parameters: &Parameters<f64>,
    tape: &mut Tape<f64>,
    input: &[f64],
    differences: impl Fn(&[f64], &[f64]) -> [f64; M],
) -> CentralDifferences<M> {
    let largest = input.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let middle = tape.forward(architecture, parameters, input).to_vec();
    let mut at = |power: i32| {
        let step = (2f64.powi(power) * scale).max(LEAST_STEP);
        let [whole, half] = [step, 0.5 * step]
            .map(|step| with_step(architecture, parameters, tape, [input, &middle], &differences, step));
        let errors = std::array::from_fn(|which| error(&whole[which], &half[which]));
        CentralDifferences { gradients: whole.map(|sided| sided.central), errors }
    };
    let mut best = at(STEP);
    for power in OTHERS {
        if best.errors.iter().all(|&error| error <= GOOD) {
            break;
        }
        best.improve(at(power), if power > STEP { FALL } else { 1.0 });
    }
    best
}

impl<const M: usize> CentralDifferences<M> {
    /// Takes the gradients whose errors are smaller by this factor. What seemed to be zero gives way to good ones only: what a step from
    /// afar sees need not be there.
    fn improve(&mut self, other: Self, factor: f64) {
        let own = self.gradients.iter_mut().zip(&mut self.errors);
        for ((own, own_error), (gradient, error)) in own.zip(other.gradients.into_iter().zip(other.errors)) {
            let most = if own_error.is_nan() { GOOD } else { *own_error / factor };
            if error < most {
                (*own, *own_error) = (gradient, error);
            }
        }
    }
}

/// A gradient from both sides of the input.
struct Sided {
    /// The mean of the slopes on both sides.
    central: Vec<f64>,
    /// Half of what they differ by.
    bend: Vec<f64>,
}

/// The gradients with one step, at an input and its logits.
fn with_step<const M: usize>(
    architecture: &Architecture,
    parameters: &Parameters<f64>,
    tape: &mut Tape<f64>,
    [input, middle]: [&[f64]; 2],
    differences: impl Fn(&[f64], &[f64]) -> [f64; M],
    step: f64,
) -> [Sided; M] {
    let zeros = || vec![0.0; input.len()];
    let mut gradients = std::array::from_fn(|_| Sided { central: zeros(), bend: zeros() });
    let mut moved = input.to_vec();
    let mut low = Vec::new();
    for (at, &value) in input.iter().enumerate() {
        // What the sums were rounded to, not what they were meant to be.
        let (above, below) = (value + step, value - step);
        moved[at] = below;
        low.clear();
        low.extend_from_slice(tape.forward(architecture, parameters, &moved));
        moved[at] = above;
        let high = tape.forward(architecture, parameters, &moved);
        let [whole, lower, upper] = [[&low[..], high], [&low, middle], [middle, high]].map(|[a, b]| differences(a, b));
        moved[at] = value;
        for (which, sided) in gradients.iter_mut().enumerate() {
            sided.central[at] = whole[which] / (above - below);
            sided.bend[at] = 0.5 * (upper[which] / (above - value) - lower[which] / (value - below));
        }
    }
    gradients
}

/// The estimated error of a gradient, given that of half the step: what they differ by, or half of what the slopes on both sides differ by
/// where that does not vanish with the step, if it is more; relative to the gradient, all in ‖·‖₁.
fn error(whole: &Sided, half: &Sided) -> f64 {
    let distance = |first: &[f64], second: &[f64], factor: f64| {
        let differences: Vec<f64> = first.iter().zip(second).map(|(one, other)| one - factor * other).collect();
        Norm::ONE.of(&differences)
    };
    let (curved, kinked) = (distance(&whole.central, &half.central, 1.0), distance(&whole.bend, &half.bend, 2.0));
    curved.max(kinked) / Norm::ONE.of(&whole.central)
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Relu, Shape, loss};
    use super::*;

    #[test]
    fn a_linear_network_and_a_square_have_their_slopes() {
        let network = Architecture::new(Shape::new([3]).unwrap(), vec![Dense::new(1).into()]).unwrap();
        let mut parameters = Parameters::<f64>::new(&network);
        parameters.tensor_mut(&network.nodes()[0], 0).copy_from_slice(&[2.0, -3.0, 0.5]);
        let mut tape = Tape::new(&network);
        for (input, sum) in [([0.0; 3], 0.0), ([300.0, 100.0, 40.0], 320.0)] {
            let functions = |low: &[f64], high: &[f64]| [high[0] - low[0], high[0] * high[0] - low[0] * low[0]];
            let CentralDifferences { gradients: [line, square], errors } =
                central_differences(&network, &parameters, &mut tape, &input, functions);
            for (slope, weight) in line.iter().zip([2.0, -3.0, 0.5]) {
                assert!((slope - weight).abs() < 1e-9, "{line:?}");
            }
            for (slope, weight) in square.iter().zip([2.0, -3.0, 0.5]) {
                assert!((slope - 2.0 * sum * weight).abs() <= 1e-8 * sum, "{square:?}");
            }
            assert!(errors[0] < 1e-9, "{errors:?}");
        }
    }

    /// Two classes whose logits differ by w·x + b = m: ∂ₓL = −w/(1 + eᵐ) for the first. Margins from none to the end of double
    /// precision, inputs of any size, with and without a bias that is large beside them.
    #[test]
    fn the_loss_has_its_slope_at_any_margin_and_any_size_of_the_input() {
        let layers = vec![Dense { units: 2, bias: true }.into()];
        let network = Architecture::new(Shape::new([2]).unwrap(), layers).unwrap();
        let mut tape = Tape::new(&network);
        for size in [1e-100f64, 1e-8, 1.0, 1e8, 1e100] {
            for margin in [0.0, 1.0, 15.0, 25.0, 40.0, 500.0] {
                for bias in [0.0, 1.0] {
                    if bias > 0.0 && size.log10().abs() > 50.0 {
                        // Lost in the rounding of the bias.
                        continue;
                    }
                    let mut parameters = Parameters::<f64>::new(&network);
                    let (input, weights) = ([size, 0.5 * size], [(margin - bias) / size + 0.5, -1.0]);
                    let weights = if size > 1.0 { [(margin - bias + 0.5) / size, -1.0 / size] } else { weights };
                    let [first, second] = weights;
                    let weights = [first, second, 0.0, 0.0];
                    parameters.tensor_mut(&network.nodes()[0], 0).copy_from_slice(&weights);
                    parameters.tensor_mut(&network.nodes()[0], 1).copy_from_slice(&[bias, 0.0]);
                    let functions = |low: &[f64], high: &[f64]| [loss::cross_entropy_difference(low, high, 0)];
                    let logits = tape.forward(&network, &parameters, &input).to_vec();
                    let exact = -1.0 / (1.0 + (logits[0] - logits[1]).exp());
                    let found = central_differences(&network, &parameters, &mut tape, &input, functions);
                    let [slopes] = found.gradients;
                    let error = slopes
                        .iter()
                        .zip(weights)
                        .map(|(slope, weight)| {
                            ((slope - weight * exact) / (first.abs().max(second.abs()) * exact)).abs()
                        })
                        .fold(0.0, f64::max);
                    assert!(error < 1e-6, "size {size}, margin {margin}, bias {bias}: {error:e}");
                    assert!(error <= 10.0 * found.errors[0] + 1e-12, "{error:e} is said to be {:e}", found.errors[0]);
                    assert!(found.errors[0] < 1e-6, "{:e}", found.errors[0]);
                }
            }
        }
    }

    /// A unit that opens within the step; a network that is dead.
    #[test]
    fn errors_say_where_differences_are_not_to_be_trusted() {
        let layers = vec![Dense { units: 1, bias: true }.into(), Relu.into(), Dense::new(1).into()];
        let network = Architecture::new(Shape::new([1]).unwrap(), layers).unwrap();
        let mut tape = Tape::new(&network);
        let mut differences = |bias: f64| {
            let mut parameters = Parameters::<f64>::new(&network);
            for (node, tensor, value) in [(0, 0, 1.0), (0, 1, bias), (2, 0, 1.0)] {
                parameters.tensor_mut(&network.nodes()[node], tensor)[0] = value;
            }
            let functions = |low: &[f64], high: &[f64]| [high[0] - low[0]];
            central_differences(&network, &parameters, &mut tape, &[1.0], functions)
        };
        // The unit opens at the input, or so near that all steps pass over it.
        for bias in [-1.0, 1e-10 - 1.0, -1e-10 - 1.0] {
            let near = differences(bias);
            assert!(near.errors[0] > 0.5, "{near:?}");
        }
        assert!(differences(1e-3 - 1.0).errors[0] < 1e-8);
        for bias in [-1.001, -1.5, -1.9, -1e6] {
            let dead = differences(bias);
            assert!(dead.gradients[0][0] == 0.0 && dead.errors[0].is_nan(), "{dead:?}");
        }
    }
}
