//! How far the hypotheses (H) hold in one sampled network, at one input: shares and correlations over its units and weights.

use crate::network::layer::{Activation, LayerRule};
use crate::network::{Architecture, Node, Parameters, Real, Tape};
use crate::observable::HypothesisObservable;

/// A network after its forward pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled<'a, T> {
    pub architecture: &'a Architecture,
    pub parameters: &'a Parameters<T>,
    pub tape: &'a Tape<T>,
}

/// Sums over the weights that enter one unit, or the units of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    count: f64,
    sum: f64,
    squares: f64,
    fourths: f64,
    /// Share of the unit's places that are open, where a ReLU follows.
    open: f64,
}

impl<T: Real> Sampled<'_, T> {
    /// The number that a hypothesis is about, averaged over layers; NaN where no layer has one, or a mask is NaN.
    pub fn measure(&self, observable: HypothesisObservable) -> f64 {
        match observable {
            HypothesisObservable::OpenMasks => self.open_masks(),
            HypothesisObservable::MaskWeightCorrelation => {
                mean(self.masked().map(|rows| correlation(&rows, |row| row.sum, |row| row.squares)))
            }
            HypothesisObservable::MaskSquareCorrelation => {
                mean(self.masked().map(|rows| correlation(&rows, |row| row.squares, |row| row.fourths)))
            }
            HypothesisObservable::WeightVariance => {
                let weighted = self.architecture.nodes().iter().enumerate().filter(|(_, node)| node.fan().is_some());
                mean(weighted.rev().skip(1).filter_map(|(index, node)| {
                    let total = self.rows(node).into_iter().fold(Row::default(), Row::plus);
                    let he = node.fan()?.inputs as f64 / self.architecture.he_factor(index);
                    Some(total.squares / total.count * he)
                }))
            }
            HypothesisObservable::LayerCorrelation => {
                let layers: Vec<&Node> = self.weighted().collect();
                let alike = layers.windows(2).filter(|pair| pair[0].tensors[0].sizes == pair[1].tensors[0].sizes);
                mean(alike.map(|pair| self.alikeness(pair[0], pair[1])))
            }
            HypothesisObservable::UnitCorrelation => {
                mean(self.weighted().filter_map(|node| unit_correlation(&self.rows(node))))
            }
            // Measured from the gradient, not from the network.
            HypothesisObservable::Gap => f64::NAN,
        }
    }

    /// Nodes with weights; the weights are their first tensor.
    fn weighted(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.architecture.nodes().iter().filter(|node| node.fan().is_some())
    }

    fn open_masks(&self) -> f64 {
        let relus =
            self.architecture.nodes().iter().filter(|node| node.layer.activation().is_some_and(Activation::is_mask));
        mean(relus.map(|node| share_open(&self.tape.values(node.source)[..node.input.len()])))
    }

    /// The rows of every layer with weights that a ReLU follows, with the shares of their places that are open.
    fn masked(&self) -> impl Iterator<Item = Vec<Row>> {
        let relus =
            self.architecture.nodes().iter().filter(|node| node.layer.activation().is_some_and(Activation::is_mask));
        relus.filter_map(|relu| {
            // The node that gives what the ReLU reads; none gives the input.
            let node = &self.architecture.nodes()[relu.source.checked_sub(1)?];
            node.fan()?;
            let mut rows = self.rows(node);
            let places = relu.input.len() / rows.len();
            let values = self.tape.values(relu.source)[..relu.input.len()].chunks_exact(places);
            for (row, units) in rows.iter_mut().zip(values) {
                row.open = share_open(units);
            }
            Some(rows)
        })
    }

    fn rows(&self, node: &Node) -> Vec<Row> {
        let weights = self.parameters.tensor(node, 0);
        let length = weights.len() / node.tensors[0].sizes[0];
        let row = |weights: &[T]| {
            weights.iter().map(|weight| weight.as_f64()).fold(Row::default(), |row, weight| Row {
                count: row.count + 1.0,
                sum: row.sum + weight,
                squares: row.squares + weight.powi(2),
                fourths: row.fourths + weight.powi(4),
                open: 0.0,
            })
        };
        weights.chunks_exact(length).map(row).collect()
    }

    /// Σ w w′ over √(Σ w² Σ w′²), entry by entry.
    fn alikeness(&self, one: &Node, other: &Node) -> f64 {
        let (one, other) = (self.parameters.tensor(one, 0), self.parameters.tensor(other, 0));
        let product = |a: &[T], b: &[T]| a.iter().zip(b).map(|(x, y)| x.as_f64() * y.as_f64()).sum::<f64>();
        product(one, other) / (product(one, one) * product(other, other)).sqrt()
    }
}

impl Row {
    fn plus(self, other: Row) -> Row {
        Row {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            fourths: self.fourths + other.fourths,
            open: self.open + other.open,
        }
    }
}

/// The share of units that a ReLU lets through; NaN where one of them is.
fn share_open<T: Real>(units: &[T]) -> f64 {
    let open = |sum: f64, &z: &T| sum + if z.is_nan() { f64::NAN } else { f64::from(u8::from(z > T::zero())) };
    units.iter().fold(0.0, open) / units.len() as f64
}

/// Pearson's correlation of a unit's mask with what `value` sums over its weights, `square` summing its squares; 0 where
/// one of the two does not vary.
fn correlation(rows: &[Row], value: impl Fn(&Row) -> f64, square: impl Fn(&Row) -> f64) -> f64 {
    let count: f64 = rows.iter().map(|row| row.count).sum();
    let open = rows.iter().map(|row| row.open).sum::<f64>() / rows.len() as f64;
    let mean = rows.iter().map(&value).sum::<f64>() / count;
    let variance = rows.iter().map(&square).sum::<f64>() / count - mean * mean;
    let product = rows.iter().map(|row| row.open * value(row)).sum::<f64>() / count;
    let spread = (open * (1.0 - open) * variance).sqrt();
    // Squares of weights ±σ do not vary but for rounding.
    if spread <= 1e-9 * mean.abs() { 0.0 } else { (product - open * mean) / spread }
}

/// Mean product of two different weights of one row over the mean square; `None` for rows of one weight.
fn unit_correlation(rows: &[Row]) -> Option<f64> {
    let products: f64 = rows.iter().map(|row| row.sum.powi(2) - row.squares).sum();
    let pairs: f64 = rows.iter().map(|row| row.count * (row.count - 1.0)).sum();
    let total = rows.iter().copied().fold(Row::default(), Row::plus);
    (pairs > 0.0).then(|| products / pairs / (total.squares / total.count))
}

/// The mean; NaN of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Dense, Relu, Shape};

    /// One layer of two units behind a ReLU, and a last one, with weights chosen by hand.
    fn measure(weights: [f64; 4], last: [f64; 4], observable: HypothesisObservable) -> f64 {
        let layers = vec![Dense::new(2).into(), Relu.into(), Dense::new(2).into()];
        let architecture = Architecture::new(Shape::new([2]).unwrap(), layers).unwrap();
        let mut parameters = Parameters::new(&architecture);
        parameters.tensor_mut(&architecture.nodes()[0], 0).copy_from_slice(&weights);
        parameters.tensor_mut(&architecture.nodes()[2], 0).copy_from_slice(&last);
        let mut tape = Tape::new(&architecture);
        tape.forward(&architecture, &parameters, &[1.0, 1.0]);
        Sampled { architecture: &architecture, parameters: &parameters, tape: &tape }.measure(observable)
    }

    #[test]
    fn hand_made_networks_have_the_numbers_computed_by_hand() {
        use HypothesisObservable::*;
        let (weights, last) = ([1.0, 3.0, -2.0, 0.0], [2.0, 6.0, -4.0, 0.0]);
        // The first unit is open (4 > 0), the second closed (−2 < 0).
        assert_eq!(measure(weights, last, OpenMasks), 0.5);
        // Weights 1, 3, −2, 0 with masks 1, 1, 0, 0: covariance (4/4 − ½·½) over ½·√(14/4 − ¼).
        let expected = (1.0 - 0.25) / (0.5 * (3.5f64 - 0.25).sqrt());
        assert!((measure(weights, last, MaskWeightCorrelation) - expected).abs() < 1e-12);
        // Squares 1, 9, 4, 0.
        let expected = (10.0 / 4.0 - 0.5 * 3.5) / (0.5 * (98.0f64 / 4.0 - 3.5 * 3.5).sqrt());
        assert!((measure(weights, last, MaskSquareCorrelation) - expected).abs() < 1e-12);
        assert_eq!(measure(weights, last, WeightVariance), 3.5);
        assert_eq!(measure(weights, last, LayerCorrelation), 1.0);
        // Products 3 and 0, mean square 3.5, the same in both layers.
        assert!((measure(weights, last, UnitCorrelation) - 1.5 / 3.5).abs() < 1e-12);
        assert_eq!(measure([1.0, -1.0, -1.0, 1.0], last, MaskSquareCorrelation), 0.0);
    }
}
