//! Made-up worlds: measurements whose truth is known, as they would come from draws or from repetitions of training, for the judge to
//! decide on.

use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

use super::LIMITS;
use crate::experiment::cell::Cell;
use crate::experiment::claim::{Claim, Measured, Observed, judge};
use crate::experiment::results::{Measurement, NetworkOutcome, Row, Verdict};
use crate::experiment::specification::load::parse;
use crate::experiment::specification::reader::SpecError;
use crate::experiment::specification::{AnySpec, Spec};
use crate::experiment::work::draw::cells;
use crate::experiment::work::train::{Training, measurement};
use crate::sampling::Stream;
use crate::sampling::monte_carlo::Summary;
use crate::stream::StreamKey;

/// Two networks at three dimensions, at initialisation.
pub const DRAWN: &str = r#"
    name = "made-up"
    observables = ["loss.l1", "loss.l2"]
    sweep = { d = [16, 64, 256] }
    [[network]]
    label = "A"
    input = ["d"]
    layers = [{ type = "dense", units = 3 }]
    [[network]]
    label = "B"
    input = ["d"]
    layers = [{ type = "dense", units = 3, bias = true }]
"#;

/// Two networks at three values of d, trained.
pub const TRAINED: &str = r#"
    name = "made-up"
    repeats = 8
    observables = ["loss.l1", "loss.l2"]
    sweep = { d = [16, 64, 256] }
    data = { set = "synthetic", side = 4, samples = 200, validation = 100 }
    training = { epochs = 1, batch = 20, rate = "0.1 / d" }
    [[network]]
    label = "A"
    input = [48]
    layers = [{ type = "dense", units = 10 }]
    [[network]]
    label = "B"
    input = [48]
    layers = [{ type = "dense", units = 10 }]
"#;

/// What is measured of them.
pub const NAMES: [&str; 2] = ["loss.l1", "loss.l2"];

/// The mean of an observable of a network at d: network, observable, d.
pub type Truth = fn(&str, &str, f64) -> f64;

/// √d for A and twice that for B, the second observable half of the first.
pub fn usual(network: &str, observable: &str, d: f64) -> f64 {
    let of_network = if network == "A" { 1.0 } else { 2.0 };
    let of_observable = if observable == NAMES[0] { 1.0 } else { 0.5 };
    of_network * of_observable * d.sqrt()
}

/// A spec of either kind with claims, and the truth that its measurements scatter around.
pub struct World {
    pub family_error: f64,
    pub claims: Vec<Claim>,
    pub cells: Vec<Cell>,
    pub truth: Truth,
}

impl World {
    /// One of the specs with these claims.
    ///
    /// # Errors
    /// What in the claims is not allowed.
    pub fn new(spec: &str, claims: &str, truth: Truth) -> Result<Self, SpecError> {
        let (family_error, claims, cells) = match parse("claims.toml", &format!("{spec}\n{claims}"), &[])? {
            AnySpec::Draw(spec) => {
                let cells = cells(&spec)?;
                let all: Vec<&Cell> = cells.iter().collect();
                spec.claims.iter().try_for_each(|claim| claim.check(&spec.origin, &NAMES, &all))?;
                (spec.family_error, spec.claims, cells)
            }
            AnySpec::Train(spec) => {
                let Training { spec: Spec { family_error, claims, .. }, cells, .. } =
                    Training::prepare(*spec, &LIMITS)?;
                (family_error, claims, cells)
            }
        };
        Ok(Self { family_error, claims, cells, truth })
    }

    /// What the judge sees of measurements.
    pub fn measured<'a>(&'a self, measurements: &'a [Measurement]) -> Measured<'a> {
        let cells = self.cells.iter().collect();
        let observed = Observed { name: "made-up", observables: NAMES.to_vec(), cells, measurements };
        Measured { observed, claims: &self.claims, family_error: self.family_error }
    }

    /// The verdicts on measurements.
    pub fn judged(&self, measurements: &[Measurement]) -> Vec<Verdict> {
        judge(&[self.measured(measurements)]).remove(0)
    }

    fn truth(&self, cell: &Cell, observable: &str) -> f64 {
        // The first variable of both specs is d.
        (self.truth)(&cell.network, observable, cell.variables[0].1)
    }

    /// Draws with a relative scatter of 0.2 around the truth; the fourth of each is `bad` where that is given.
    pub fn drawn(&self, stream: &mut Stream, draws: usize, bad: Option<f64>) -> Vec<Measurement> {
        let mut measurements = Vec::new();
        for cell in &self.cells {
            for name in NAMES {
                let truth = self.truth(cell, name);
                let mut summary = Summary::default();
                for draw in 0..draws {
                    let value = truth * (1.0 + 0.2 * stream.sample::<f64, _>(StandardNormal));
                    let value = bad.filter(|_| draw == 3).unwrap_or(value);
                    summary.moments.push(value);
                    summary.quantiles.push(value);
                    summary.non_finite += u64::from(!value.is_finite());
                }
                measurements.push(Measurement::new(Row::of(cell, name), summary, None, true));
            }
        }
        measurements
    }

    /// Trained networks whose values have a factor that all of a repetition share, 1 + 0.1 ξ, and one of their own, 1 + 0.02 ξ; the
    /// second repetition is `bad` where that is given.
    pub fn trained(&self, stream: &mut Stream, repeats: usize, bad: Option<f64>) -> Vec<Measurement> {
        let mut normal = || stream.sample::<f64, _>(StandardNormal);
        let shared: Vec<f64> = (0..repeats).map(|_| 1.0 + 0.1 * normal()).collect();
        let mut measurements = Vec::new();
        for (place, cell) in self.cells.iter().enumerate() {
            let outcome = |shared: &f64, own: [f64; 2], value: Option<f64>| NetworkOutcome {
                diverged: false,
                epochs: 1,
                validation_accuracy: 0.5,
                samples: 100,
                zero_gradients: 0,
                nonfinite_gradients: 0,
                values: [0, 1]
                    .map(|index| {
                        let value =
                            value.unwrap_or(self.truth(cell, NAMES[index]) * shared * (1.0 + 0.02 * own[index]));
                        Some(value).filter(|value| value.is_finite())
                    })
                    .to_vec(),
            };
            let outcomes: Vec<NetworkOutcome> = shared
                .iter()
                .enumerate()
                .map(|(repeat, shared)| outcome(shared, [normal(), normal()], bad.filter(|_| repeat == 1)))
                .collect();
            let networks: Vec<(usize, Option<&NetworkOutcome>)> =
                outcomes.iter().enumerate().map(|(repeat, one)| (place * repeats + repeat, Some(one))).collect();
            for (index, name) in NAMES.iter().enumerate() {
                let value = |outcome: &NetworkOutcome| outcome.value(index);
                measurements.push(measurement(Row::of(cell, name), &networks, value, false, true));
            }
        }
        measurements
    }
}

/// The stream of one made-up run.
pub fn stream(seed: u64, run: u64) -> Stream {
    StreamKey::new(seed, &["self-test"]).draw(run)
}

/// A claim's table.
pub fn claim(body: &str) -> String {
    format!("[[claim]]\nstatement = \"s\"\n{body}\n")
}
