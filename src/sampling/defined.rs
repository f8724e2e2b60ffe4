//! Draws with numbers that are made of their others.

use super::monte_carlo::{LEFT_OUT, Sampler, Worker, is_left_out};
use crate::observable::Defined;
use crate::stop::Stop;
use crate::stream::Stream;

/// A sampler whose draws have, after its own values, numbers that are made of them.
pub struct WithDefined {
    /// What draws.
    pub sampler: Box<dyn Sampler + Send>,
    /// The numbers, each of values before it.
    pub defined: Vec<Defined>,
}

struct DefiningWorker<'a> {
    worker: Box<dyn Worker + 'a>,
    defined: &'a [Defined],
}

impl Sampler for WithDefined {
    fn observables(&self) -> usize {
        self.sampler.observables() + self.defined.len()
    }

    fn bytes_per_worker(&self) -> u64 {
        self.sampler.bytes_per_worker()
    }

    fn cost(&self) -> f64 {
        self.sampler.cost()
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        Box::new(DefiningWorker { worker: self.sampler.worker(), defined: &self.defined })
    }
}

impl Worker for DefiningWorker<'_> {
    fn stop_at(&mut self, stop: &Stop) {
        self.worker.stop_at(stop);
    }

    fn draw(&mut self, stream: Stream, values: &mut [f64]) {
        let drawn = values.len() - self.defined.len();
        self.worker.draw(stream, &mut values[..drawn]);
        complete(self.defined, values);
    }
}

/// Writes the numbers that are made of others behind them; one of which a base is left out is left out too.
pub fn complete(defined: &[Defined], values: &mut [f64]) {
    let drawn = values.len() - defined.len();
    for (index, defined) in defined.iter().enumerate() {
        let (before, after) = values.split_at_mut(drawn + index);
        let lacks = defined.bases().iter().any(|&base| is_left_out(before[base]));
        after[0] = if lacks { LEFT_OUT } else { defined.value(before) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_of_those_before_them_and_left_out_with_them() {
        let ratio = Defined::new(vec![0, 1], |values| values[0] / values[1]);
        let square = Defined::new(vec![2], |values| values[2] * values[2]);
        let mut values = [3.0, 2.0, 0.0, 0.0];
        complete(&[ratio.clone(), square.clone()], &mut values);
        assert_eq!(values, [3.0, 2.0, 1.5, 2.25]);
        let mut values = [3.0, LEFT_OUT, 0.0, 0.0];
        complete(&[ratio, square], &mut values);
        assert!(is_left_out(values[2]) && is_left_out(values[3]));
    }
}
