//! Verdicts on trained networks.
//!
//! A network is one observation: its repetitions, and where a claim speaks of all points their values, scatter around what the
//! claim predicts, and tests are Student's t tests of that scatter. As for networks at initialisation, a claim holds when the 5 %
//! equivalence test places the truth inside the tolerance, and is refuted when a test against it is significant at 10⁻³ after
//! Holm's correction over the claims of the experiment.

use std::collections::HashMap;

use super::claim::{TrainingClaim, TrainingClaimKind};
use super::results::TrainedNetwork;
use super::spec::TrainingSpec;
use crate::experiment::judge::blank;
use crate::experiment::results::{Outcome, Verdict};
use crate::experiment::spec::abscissa;
use crate::statistics::{Equivalence, Fit, Moments, RankCorrelation, Reference, WeightedPoint, multiple_testing};

const FAMILY_ERROR: f64 = 1e-3;
const EQUIVALENCE_LEVEL: f64 = 0.05;
const COVERAGE: f64 = 0.95;

/// Judges all claims; a claim on every network has a verdict for each.
pub fn judge(spec: &TrainingSpec, networks: &[TrainedNetwork]) -> Vec<Verdict> {
    let claims = spec.claims.iter().enumerate();
    let evidence: Vec<Evidence> =
        claims.flat_map(|(index, claim)| Judge { spec, networks, claim, index }.evidence()).collect();
    let against: Vec<f64> = evidence.iter().map(|evidence| evidence.against.unwrap_or(1.0)).collect();
    let adjusted = multiple_testing::holm(&against);
    let conclude = |(Evidence { verdict, for_it, against }, p_value): (Evidence, f64)| Verdict {
        p_refuted: against.map(|_| p_value),
        p_value: for_it,
        verdict: match (against, for_it) {
            (Some(_), _) if p_value <= FAMILY_ERROR => Outcome::Refuted,
            (_, Some(p_value)) if p_value <= EQUIVALENCE_LEVEL => Outcome::Holds,
            _ => Outcome::Inconclusive,
        },
        ..verdict
    };
    evidence.into_iter().zip(adjusted).map(conclude).collect()
}

/// What speaks for and against a claim: p-values, small where it holds and where it does not.
struct Evidence {
    verdict: Verdict,
    for_it: Option<f64>,
    against: Option<f64>,
}

/// A measured value and what it is claimed to be.
struct Quotient {
    measured: f64,
    predicted: f64,
    /// Variance of the logarithm of the measured value by the choice of test samples.
    sampling: f64,
}

/// Standard errors of logarithms at most this are rounding, not scatter.
const SCATTER_OF_ROUNDING: f64 = 1e-12;

/// No scatter seen is no certainty: the next network may differ.
const NO_SCATTER: &str = "all networks agree: too little is seen of their scatter";

struct Judge<'a> {
    spec: &'a TrainingSpec,
    networks: &'a [TrainedNetwork],
    claim: &'a TrainingClaim,
    index: usize,
}

impl<'a> Judge<'a> {
    fn evidence(&self) -> Vec<Evidence> {
        let labels = || {
            let all = self.spec.labels().into_iter();
            all.filter(|label| self.claim.network.as_ref().is_none_or(|named| named == label))
        };
        match &self.claim.kind {
            TrainingClaimKind::Exponent { observable, against, exponent } => {
                labels().map(|label| self.exponent(&label, observable, against, *exponent)).collect()
            }
            TrainingClaimKind::Value { observable, value } => labels()
                .map(|label| {
                    let values = self.of(&label).map(|network| {
                        let predicted = value.evaluate(&[("dimension".into(), network.dimension as f64)]).ok();
                        let sampling = self.relative_sampling_variance(network, observable);
                        Some(Quotient { measured: self.value(network, observable)?, predicted: predicted?, sampling })
                    });
                    self.means(&label, observable, values.collect())
                })
                .collect(),
            TrainingClaimKind::Quotient { observables, value } => labels()
                .map(|label| {
                    let quotients = self.of(&label).map(|network| {
                        let [first, second] = [0, 1].map(|which| self.value(network, &observables[which]));
                        let predicted = value.evaluate(&[("dimension".into(), network.dimension as f64)]).ok();
                        let sampling =
                            observables.iter().map(|name| self.relative_sampling_variance(network, name)).sum();
                        Some(Quotient { measured: first? / second?, predicted: predicted?, sampling })
                    });
                    self.means(&label, &observables.join(" / "), quotients.collect())
                })
                .collect(),
            TrainingClaimKind::Ratio { observable, networks, factor } => {
                let pairs = self.pairs(networks).map(|(first, second)| {
                    let predicted = factor.evaluate(&first.variables).ok()?;
                    let measured = self.value(first, observable)? / self.value(second, observable)?;
                    let sampling = [first, second].map(|network| self.relative_sampling_variance(network, observable));
                    Some(Quotient { measured, predicted, sampling: sampling.iter().sum() })
                });
                vec![self.means(&networks.join(" / "), observable, pairs.collect())]
            }
            TrainingClaimKind::RankCorrelation { observables, at_least } => vec![self.ranks(observables, *at_least)],
            TrainingClaimKind::Less { observable, networks } => vec![self.less(observable, networks)],
        }
    }

    /// The networks of a label that the claim speaks of.
    fn of(&self, label: &str) -> impl Iterator<Item = &'a TrainedNetwork> {
        self.networks.iter().filter(move |network| network.label == label && self.is_within(network))
    }

    fn is_within(&self, network: &TrainedNetwork) -> bool {
        self.claim.within.iter().all(|(name, [low, high])| {
            let value = network.variables.iter().find(|(variable, _)| variable == name);
            value.is_some_and(|(_, value)| (low..=high).contains(&value))
        })
    }

    fn value(&self, network: &TrainedNetwork, observable: &str) -> Option<f64> {
        let index = self.spec.observables.iter().position(|(name, _)| name == observable)?;
        network.value(index)
    }

    /// Networks of two labels at the same point and repetition.
    fn pairs(&self, labels: &[String; 2]) -> impl Iterator<Item = (&'a TrainedNetwork, &'a TrainedNetwork)> {
        let place = |network: &TrainedNetwork| {
            let values = network.variables.iter().map(|(_, value)| value.to_bits());
            (values.collect::<Vec<u64>>(), network.repeat)
        };
        let second: HashMap<_, _> = self.of(&labels[1]).map(|network| (place(network), network)).collect();
        let first: Vec<&TrainedNetwork> = self.of(&labels[0]).collect();
        first.into_iter().filter_map(move |one| Some((one, *second.get(&place(one))?)))
    }

    fn blank(&self, network: &str, observable: &str) -> Verdict {
        let kind = self.claim.kind.name();
        Verdict {
            statement: self.claim.statement.clone(),
            claim: Some(self.index),
            ..blank(&self.spec.name, network, observable, kind, self.claim.tolerance)
        }
    }

    fn undecided(verdict: Verdict, reason: &str) -> Evidence {
        Evidence { verdict: Verdict { reason: Some(reason.into()), ..verdict }, for_it: None, against: None }
    }

    fn exponent(&self, label: &str, observable: &str, against: &str, exponent: f64) -> Evidence {
        let verdict = Verdict { predicted: Some(exponent), ..self.blank(label, observable) };
        let points: Vec<WeightedPoint> = self
            .of(label)
            .filter_map(|network| {
                let x = abscissa(&network.variables, network.dimension, against);
                Some(WeightedPoint {
                    x: x.ln(),
                    y: self.value(network, observable)?.ln(),
                    std_error: 1.0,
                    degrees: f64::INFINITY,
                })
            })
            .collect();
        let Some(fit) = Fit::line(&points).filter(|fit| fit.degrees > 0) else {
            return Self::undecided(verdict, "needs three networks at two points, with positive values");
        };
        if fit.scatter_error() <= SCATTER_OF_ROUNDING {
            return Self::undecided(verdict, NO_SCATTER);
        }
        let centre = points.iter().map(|point| point.x).sum::<f64>() / points.len() as f64;
        let spread = points.iter().map(|point| (point.x - centre).powi(2)).sum::<f64>();
        let sampling = self.of(label).zip(&points).map(|(network, point)| {
            let lever = (point.x - centre) / spread;
            lever * lever * self.relative_sampling_variance(network, observable)
        });
        let error = fit.scatter_error().hypot(sampling.sum::<f64>().sqrt());
        let reference = Reference::StudentT(fit.degrees as f64);
        let band = (exponent - self.claim.tolerance, exponent + self.claim.tolerance);
        let test = Equivalence::test(fit.estimate, error, band, reference);
        let interval = Some(reference.interval(fit.estimate, error, COVERAGE));
        let verdict = Verdict { measured: Some(fit.estimate), std_error: Some(error), interval, ..verdict };
        Evidence { verdict, for_it: Some(test.inside), against: Some(test.outside) }
    }

    /// The geometric mean of measured over predicted values.
    fn means(&self, label: &str, observable: &str, quotients: Vec<Option<Quotient>>) -> Evidence {
        let quotients: Vec<Quotient> = quotients.into_iter().flatten().collect();
        // One number where the prediction is the same everywhere; else the quotient by it, predicted 1.
        let same = quotients.windows(2).all(|pair| pair[0].predicted == pair[1].predicted);
        let shown = quotients.first().filter(|_| same).map_or(1.0, |quotient| quotient.predicted);
        let verdict = Verdict { predicted: Some(shown), ..self.blank(label, observable) };
        let logs: Moments = quotients.iter().map(|quotient| (quotient.measured / quotient.predicted).ln()).collect();
        if logs.count() < 2 || !logs.are_finite() {
            return Self::undecided(verdict, "needs two networks with positive values");
        }
        if logs.std_error() <= SCATTER_OF_ROUNDING {
            return Self::undecided(verdict, NO_SCATTER);
        }
        let reference = Reference::StudentT(logs.count() as f64 - 1.0);
        let band = (-self.claim.tolerance.ln_1p(), self.claim.tolerance.ln_1p());
        // All networks are measured on the same test samples, so that more networks do not average their error away.
        let sampling = quotients.iter().map(|quotient| quotient.sampling).sum::<f64>() / quotients.len() as f64;
        let (mean, error) = (logs.mean(), logs.std_error().hypot(sampling.sqrt()));
        let test = Equivalence::test(mean, error, band, reference);
        let verdict = Verdict {
            measured: Some(shown * mean.exp()),
            std_error: Some(shown * mean.exp() * error),
            interval: Some(reference.interval(mean, error, COVERAGE).map(|log| shown * log.exp())),
            ..verdict
        };
        Evidence { verdict, for_it: Some(test.inside), against: Some(test.outside) }
    }

    /// Variance of an observable of a network by the choice of its test samples, where it is a share of them: p(1 − p)/n with
    /// p = (successes + 2)/(n + 4), which no share of 0 or 1 makes zero (Agresti and Coull 1998). 0 for other observables,
    /// whose scatter between networks tells their error.
    fn sampling_variance(&self, network: &TrainedNetwork, observable: &str) -> f64 {
        let is_share =
            self.spec.observables.iter().any(|(name, measure)| name == observable && measure.quantity.is_share());
        let (Some(value), true) = (self.value(network, observable), is_share) else { return 0.0 };
        let samples = network.outcome.samples as f64;
        let share = (value.abs() * samples + 2.0) / (samples + 4.0);
        share * (1.0 - share) / samples
    }

    /// The same of its logarithm.
    fn relative_sampling_variance(&self, network: &TrainedNetwork, observable: &str) -> f64 {
        let value = self.value(network, observable).unwrap_or(f64::NAN);
        let variance = self.sampling_variance(network, observable);
        if variance == 0.0 { 0.0 } else { variance / (value * value) }
    }

    fn ranks(&self, observables: &[String; 2], at_least: f64) -> Evidence {
        let verdict = Verdict { predicted: Some(at_least), ..self.blank("all", &observables.join(" ~ ")) };
        let pairs =
            self.networks.iter().filter(|network| self.is_within(network)).filter_map(|network| {
                Some((self.value(network, &observables[0])?, self.value(network, &observables[1])?))
            });
        let Some(correlation) = RankCorrelation::of(&pairs.collect::<Vec<_>>()) else {
            return Self::undecided(verdict, "needs four networks whose values differ");
        };
        let above = correlation.above(at_least);
        let interval = Some(correlation.interval(COVERAGE));
        let verdict = Verdict { measured: Some(correlation.estimate), interval, ..verdict };
        Evidence { verdict, for_it: Some(above), against: Some(1.0 - above) }
    }

    fn less(&self, observable: &str, labels: &[String; 2]) -> Evidence {
        let verdict = Verdict { predicted: Some(0.0), ..self.blank(&labels.join(" − "), observable) };
        let (mut differences, mut sampling) = (Moments::default(), Moments::default());
        for (first, second) in self.pairs(labels) {
            if let (Some(a), Some(b)) = (self.value(first, observable), self.value(second, observable)) {
                differences.push(a - b);
                sampling.push(self.sampling_variance(first, observable) + self.sampling_variance(second, observable));
            }
        }
        if differences.count() < 2 || !differences.are_finite() {
            return Self::undecided(verdict, "needs two pairs of networks");
        }
        if differences.std_error() <= SCATTER_OF_ROUNDING * differences.mean().abs() {
            return Self::undecided(verdict, NO_SCATTER);
        }
        let reference = Reference::StudentT(differences.count() as f64 - 1.0);
        let (mean, error) = (differences.mean(), differences.std_error().hypot(sampling.mean().sqrt()));
        let below = reference.upper_tail(-mean / error);
        let interval = Some(reference.interval(mean, error, COVERAGE));
        let verdict = Verdict { measured: Some(mean), std_error: Some(error), interval, ..verdict };
        Evidence { verdict, for_it: Some(below), against: Some(1.0 - below) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::load::{AnySpec, parse_any};
    use crate::experiment::trained::results::NetworkOutcome;
    use crate::stream::StreamKey;
    use ndarray_rand::rand::Rng;

    const SPEC: &str = r#"
        name = "shares"
        repeats = 2
        observables = ["accuracy"]
        data = { set = "synthetic" }
        training = { epochs = 1, rate = 0.1 }
        [[method]]
        objective = "plain"
        [[network]]
        label = "A"
        input = [3, 32, 32]
        layers = [{ type = "flatten" }, { type = "dense", units = 10 }]
        [[network]]
        label = "B"
        input = [3, 32, 32]
        layers = [{ type = "flatten" }, { type = "dense", units = 10 }]
        [[claim]]
        statement = "accuracies are equal"
        ratio = ["A", "B"]
        observable = "accuracy"
        tolerance = 0.05
        [[claim]]
        statement = "A is less accurate"
        less = ["A", "B"]
        observable = "accuracy"
    "#;

    fn spec() -> TrainingSpec {
        let AnySpec::Training(spec) = parse_any("shares.toml", SPEC, &[]).unwrap() else { panic!("trained networks") };
        *spec
    }

    fn network(label: &str, repeat: usize, accuracy: f64, samples: usize) -> TrainedNetwork {
        let outcome = NetworkOutcome {
            diverged: false,
            epochs: 1,
            validation_accuracy: accuracy,
            samples,
            zero_gradients: 0,
            nonfinite_gradients: 0,
            values: vec![Some(accuracy)],
        };
        TrainedNetwork { label: label.into(), variables: Vec::new(), repeat, dimension: 3072, outcome }
    }

    /// Two pairs of networks that are right with one probability, on 20 samples: 4 000 runs. The level of a refutation is 10⁻³ for both
    /// claims, of which more than 12 in 4 000 have probability below 10⁻³.
    #[test]
    fn networks_of_equal_accuracy_are_not_told_apart_on_few_samples() {
        let spec = spec();
        let mut stream = StreamKey::new(3, &["shares"]).draw(0);
        let mut refuted = 0;
        for _ in 0..4000 {
            let mut accuracy = || (0..20).filter(|_| stream.random::<f64>() < 0.7).count() as f64 / 20.0;
            let networks = ["A", "B"].map(|label| [0, 1].map(|repeat| network(label, repeat, accuracy(), 20))).concat();
            refuted += judge(&spec, &networks).iter().filter(|verdict| verdict.verdict == Outcome::Refuted).count();
        }
        assert!(refuted <= 12, "{refuted} of 8000 verdicts");
    }

    #[test]
    fn networks_that_all_agree_decide_nothing() {
        let networks = ["A", "B"].map(|label| [0, 1].map(|repeat| network(label, repeat, 0.5, 1000))).concat();
        for verdict in judge(&spec(), &networks) {
            assert_eq!(verdict.verdict, Outcome::Inconclusive, "{verdict:#?}");
            assert!(verdict.reason.unwrap().contains("too little is seen"));
        }
    }

    #[test]
    fn a_large_difference_on_many_samples_is_seen() {
        let accuracies = [("A", [0.50, 0.51]), ("B", [0.79, 0.81])];
        let networks =
            accuracies.map(|(label, values)| [0, 1].map(|repeat| network(label, repeat, values[repeat], 10_000)));
        let verdicts = judge(&spec(), &networks.concat());
        assert_eq!(verdicts[1].verdict, Outcome::Holds, "{verdicts:#?}");
    }
}
