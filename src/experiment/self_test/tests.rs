//! Every kind of claim, for networks at initialisation and for trained ones, on measurements that are made up: what is true holds, what
//! is false is refuted, what is not finite is invalid, and what cannot be judged is refused before any work.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray_rand::rand::Rng;
use rand_distr::StandardNormal;

use super::kinds::{KINDS, Kind};
use super::world::{DRAWN, NAMES, TRAINED, Truth, World, claim, usual};
use super::{DEFECTS, Defect, Effort, Expected, Rate, SelfTest};
use crate::experiment::claim::judge;
use crate::experiment::results::{Measurement, Outcome, Row, Verdict};
use crate::experiment::specification::reader::SpecError;
use crate::experiment::work::Watcher;
use crate::sampling::Stream;
use crate::sampling::monte_carlo::Summary;

fn stream(seed: u64) -> Stream {
    super::world::stream(seed, 0)
}

/// The usual world, whatever the claims.
fn world(spec: &str, claims: &str) -> Result<World, SpecError> {
    World::new(spec, claims, usual)
}

#[test]
fn true_claims_hold_and_false_ones_are_refuted_for_drawn_and_for_trained_networks() {
    for (index, Kind { right, wrong, wrong_world, for_drawn, .. }) in KINDS.into_iter().enumerate() {
        let outcomes = |body: &str, truth: Truth, trains: bool| -> Vec<Outcome> {
            let world = World::new(if trains { TRAINED } else { DRAWN }, &claim(body), truth).unwrap();
            let mut stream = stream(index as u64);
            // Distributions of few networks show little of their distance.
            let repeats = if body.contains("same_law") { 300 } else { 24 };
            let measurements =
                if trains { world.trained(&mut stream, repeats, None) } else { world.drawn(&mut stream, 4000, None) };
            world.judged(&measurements).iter().map(|verdict| verdict.verdict).collect()
        };
        for trains in [false, true].into_iter().filter(|trains| *trains || for_drawn) {
            let holds = outcomes(right, usual, trains);
            assert!(holds.iter().all(|outcome| *outcome == Outcome::Holds), "{right}, trained: {trains}: {holds:?}");
            let mut refuted = outcomes(wrong, wrong_world, trains);
            // A constant that is not claimed is only reported.
            refuted.retain(|outcome| *outcome != Outcome::Estimate);
            assert!(
                !refuted.is_empty() && refuted.iter().all(|outcome| *outcome == Outcome::Refuted),
                "{wrong}, trained: {trains}: {refuted:?}"
            );
        }
    }
}

#[test]
fn a_value_that_is_not_finite_makes_every_claim_invalid_and_is_counted() {
    for Kind { right, for_drawn, .. } in KINDS {
        for trains in [false, true].into_iter().filter(|trains| *trains || for_drawn) {
            let world = world(if trains { TRAINED } else { DRAWN }, &claim(right)).unwrap();
            let mut stream = stream(7);
            let bad = Some(f64::NAN);
            let measurements =
                if trains { world.trained(&mut stream, 8, bad) } else { world.drawn(&mut stream, 400, bad) };
            assert!(measurements.iter().all(|measurement| measurement.row.sampled.unwrap().non_finite == 1));
            let verdicts = world.judged(&measurements);
            for verdict in &verdicts {
                assert_eq!(verdict.verdict, Outcome::Inconclusive, "{right}: {verdict:#?}");
                assert!(verdict.reason.as_deref().unwrap().contains("invalid"), "{right}: {verdict:#?}");
            }
            assert_eq!(verdicts.last().unwrap().kind, "finite", "{right}");
        }
    }
}

#[test]
fn what_cannot_be_judged_is_refused_before_any_work() {
    let common = "observable = \"loss.l1\"\ntolerance = 0.1";
    for (body, key, says, for_drawn) in [
        (format!("exponent = 1\nagainst = \"dd\"\n{common}"), "claim.0.against", "did you mean `d`?", true),
        (format!("exponent = \"foo\"\n{common}"), "claim.0.exponent", "uses `foo`", true),
        (
            format!("exponent = 1\nrelative_to = \"sqrt(dimensoin)\"\n{common}"),
            "claim.0.relative_to",
            "dimensoin",
            true,
        ),
        (format!("value = \"sqrt(dd)\"\n{common}"), "claim.0.value", "did you mean `d`?", true),
        (format!("value = \"d - 16\"\n{common}"), "claim.0.value", "must not be 0", true),
        (format!("ratio = [\"A\", \"B\"]\nfactor = \"foo\"\n{common}"), "claim.0.factor", "uses `foo`", true),
        (format!("ratio = [\"A\", \"B\"]\nfactor = \"d - 16\"\n{common}"), "claim.0.factor", "above 0", true),
        (format!("ratio = [\"A\", \"C\"]\n{common}"), "claim.0.ratio", "network", true),
        (format!("same_law = [\"A\", \"A\"]\n{common}"), "claim.0.same_law", "two networks", true),
        (
            "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = \"foo\"\ntolerance = 0.1".into(),
            "claim.0.value",
            "uses `foo`",
            true,
        ),
        (
            "quotient = [\"loss.l1\", \"loss.l3\"]\nvalue = 1\ntolerance = 0.1".into(),
            "claim.0.quotient",
            "among this spec's observables",
            true,
        ),
        ("less = [\"A\", \"B\"]\nobservable = \"loss.l\"".into(), "claim.0.observable", "did you mean", true),
        (
            "rank_correlation = [\"loss.l1\", \"loss.l2\"]\nat_least = 1".into(),
            "claim.0.at_least",
            "from -1 to 1",
            false,
        ),
        (format!("value = 1\nwithin = {{ dd = [1, 2] }}\n{common}"), "claim.0.within", "did you mean `d`?", true),
        (format!("value = 1\nwithin = {{ d = [2, 1] }}\n{common}"), "claim.0.within", "[lowest, highest]", true),
        (format!("exponent = {{ at_mst = 1 }}\n{common}"), "claim.0.exponent.at_mst", "did you mean `at_most`?", true),
        (format!("exponent = {{ at_most = 1, at_least = 0 }}\n{common}"), "claim.0.exponent", "one of them", true),
        (format!("value = {{ at_least = \"foo\" }}\n{common}"), "claim.0.value", "uses `foo`", true),
        ("exponent = 0.5\nobservable = \"loss.l1\"".into(), "claim.0.tolerance", "is missing", true),
        ("increasing = \"dd\"\nobservable = \"loss.l1\"".into(), "claim.0.increasing", "must be true", true),
        ("decreasing = false\nobservable = \"loss.l1\"".into(), "claim.0.decreasing", "must be true", true),
        (format!("same_exponent = [\"A\", \"D\"]\n{common}"), "claim.0.same_exponent", "network", true),
        ("fit = \"c * dd^a\"\nobservable = \"loss.l1\"".into(), "claim.0.fit", "did you mean `d`?", true),
        ("fit = \"a + b * d + c * d^2\"\nobservable = \"loss.l1\"".into(), "claim.0.fit", "more points", true),
        ("fit = \"d\"\nobservable = \"loss.l1\"".into(), "claim.0.fit", "free constants", true),
        (
            "fit = \"a * d\"\nconstants = { b = 1 }\nobservable = \"loss.l1\"".into(),
            "claim.0.constants.b",
            "unknown constant",
            true,
        ),
        (
            "fit = \"a * d\"\nconstants = { a = 1 }\nobservable = \"loss.l1\"".into(),
            "claim.0.constants.a = 1",
            "0.5 ± 0.01",
            true,
        ),
        (format!("value = 1\nfactor = 2\n{common}"), "claim.0.factor", "does not go with", true),
        (format!("value = 1\nexponent = 2\n{common}"), "claim.0", "has several", true),
        (common.into(), "claim.0", "has none", true),
        (format!("value = \"theory\"\nnetwork = \"A\"\n{common}"), "claim.0.value", "no exact value", false),
    ] {
        for spec in [DRAWN, TRAINED].into_iter().skip(usize::from(!for_drawn)) {
            let Err(error) = world(spec, &claim(&body)) else { panic!("{body} is let through") };
            let error = error.to_string();
            assert!(error.contains(key) && error.contains(says), "{body}: {error}");
        }
    }
    let error = world(DRAWN, &claim("rank_correlation = [\"loss.l1\", \"loss.l2\"]\nat_least = 0.5")).err().unwrap();
    assert!(error.to_string().contains("speaks of trained networks"), "{error}");
    let guide = "[[panel]]\nx = \"d\"\ny = \"loss.l1\"\nguide = \"sqrt(y)\"";
    let error = world(TRAINED, guide).err().unwrap().to_string();
    assert!(error.contains("panel.0.guide") && error.contains("uses `y`"), "{error}");
}

/// `within` leaves points out for drawn networks as for trained ones.
#[test]
fn a_claim_speaks_of_the_points_that_it_is_within() {
    let body = "value = \"sqrt(d) * (1 + (d > 100))\"";
    assert!(world(DRAWN, &claim(body)).is_err(), "formulas have no comparisons");
    let body =
        "value = \"8 + 0 * d\"\nwithin = { d = [60, 70] }\nnetwork = \"A\"\nobservable = \"loss.l1\"\ntolerance = 0.2";
    for trains in [false, true] {
        let world = world(if trains { TRAINED } else { DRAWN }, &claim(body)).unwrap();
        let mut stream = stream(2);
        let measurements =
            if trains { world.trained(&mut stream, 8, None) } else { world.drawn(&mut stream, 4000, None) };
        assert_eq!(world.judged(&measurements)[0].verdict, Outcome::Holds);
    }
}

/// A ratio's tolerance t is the band from 1 − t to 1 + t of what is claimed, for both: √(1 − t) is inside by its half.
#[test]
fn a_relative_tolerance_means_the_same_for_drawn_and_for_trained_networks() {
    // The ratio is 2: 2/3.2 = 0.625 is within 1 ± 0.4 and below 1/1.4 = 0.71.
    let body = "ratio = [\"B\", \"A\"]\nfactor = 3.2\nobservable = \"loss.l1\"\ntolerance = 0.4";
    for trains in [false, true] {
        let world = world(if trains { TRAINED } else { DRAWN }, &claim(body)).unwrap();
        let mut stream = stream(3);
        let measurements =
            if trains { world.trained(&mut stream, 24, None) } else { world.drawn(&mut stream, 20_000, None) };
        assert_eq!(world.judged(&measurements)[0].verdict, Outcome::Holds, "trained: {trains}");
    }
}

/// Networks of one repetition are one observation: 3 points with a shared factor, 4 repetitions, 1 000 runs. The true value is covered
/// by 95 % intervals in 950 ± 7; fewer than 920 have probability below 10⁻⁴. At a family error of 10⁻³ at most one refutation is
/// expected, and more than 6 have probability below 10⁻⁴.
#[test]
fn intervals_of_trained_networks_cover_the_truth_as_often_as_they_say() {
    let bodies = [
        "value = \"sqrt(d)\"\nnetwork = \"A\"\nobservable = \"loss.l1\"\ntolerance = 0.01",
        "exponent = 0.5\nagainst = \"d\"\nnetwork = \"A\"\nobservable = \"loss.l1\"\ntolerance = 0.001",
        "ratio = [\"B\", \"A\"]\nfactor = 2\nobservable = \"loss.l1\"\ntolerance = 0.001",
        "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = 2\nnetwork = \"A\"\ntolerance = 0.001",
    ];
    let world = world(TRAINED, &bodies.map(claim).concat()).unwrap();
    let truths = [1.0, 0.5, 2.0, 2.0];
    let (mut covered, mut refuted, runs) = ([0; 4], 0, 1000);
    let mut stream = stream(4);
    for _ in 0..runs {
        let verdicts = world.judged(&world.trained(&mut stream, 4, None));
        for ((verdict, truth), covered) in verdicts.iter().zip(truths).zip(&mut covered) {
            let [low, high] = verdict.interval.unwrap();
            *covered += usize::from((low..=high).contains(&truth));
            refuted += usize::from(verdict.verdict == Outcome::Refuted);
        }
    }
    assert!(covered.iter().all(|covered| (920..=975).contains(covered)), "{covered:?}");
    assert!(refuted <= 6, "{refuted}");
}

/// Constants of a fit to draws: 3 points, the exponent and the factor, 1 000 runs, with the same bounds.
#[test]
fn intervals_of_fitted_constants_cover_the_truth_as_often_as_they_say() {
    let body = "fit = \"c * d^a\"\nnetwork = \"B\"\nobservable = \"loss.l1\"";
    let world = world(
        DRAWN,
        &[claim(body), claim("exponent = \"fit\"\nagainst = \"d\"\nnetwork = \"B\"\nobservable = \"loss.l1\"")]
            .concat(),
    )
    .unwrap();
    let (mut covered, runs) = ([0; 3], 1000);
    let mut stream = stream(11);
    let (mut refuted, truths) = (0, [2.0, 0.5, 0.5]);
    for _ in 0..runs {
        let verdicts = world.judged(&world.drawn(&mut stream, 300, None));
        refuted += verdicts.iter().filter(|verdict| verdict.verdict != Outcome::Estimate).count();
        let numbers: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.measured.is_some()).collect();
        for ((verdict, truth), covered) in numbers.iter().zip(truths).zip(&mut covered) {
            let [low, high] = verdict.interval.unwrap();
            *covered += usize::from((low..=high).contains(&truth));
        }
    }
    assert!(covered.iter().all(|covered| (920..=975).contains(covered)), "{covered:?}");
    assert!(refuted <= 6, "the form is true, and refuted in {refuted} of {runs}");
}

/// A form that is false is refuted by its points, and a bend leaves an exponent that is only asked for without a power law.
#[test]
fn a_form_that_does_not_fit_is_refuted() {
    let body = "fit = \"c + a * d\"\nnetwork = \"A\"\nobservable = \"loss.l1\"";
    let world = world(&DRAWN.replace("[16, 64, 256]", "[16, 64, 256, 1024]"), &claim(body)).unwrap();
    let verdicts = world.judged(&world.drawn(&mut stream(12), 4000, None));
    assert_eq!(verdicts[0].verdict, Outcome::Refuted, "{verdicts:#?}");
    assert!(verdicts[1..].iter().all(|verdict| verdict.verdict == Outcome::Estimate));
}

/// One repetition gives a number and no interval, and repetitions that agree to the last digit are no certainty.
#[test]
fn nothing_is_decided_by_one_repetition_or_by_repetitions_without_scatter() {
    let body = "ratio = [\"B\", \"A\"]\nfactor = 2\nobservable = \"loss.l1\"\ntolerance = 0.5";
    let world = world(TRAINED, &claim(body)).unwrap();
    let verdict = world.judged(&world.trained(&mut stream(5), 1, None)).remove(0);
    assert_eq!((verdict.verdict, verdict.interval), (Outcome::Inconclusive, None));
    assert!(verdict.measured.is_some_and(|ratio| (ratio - 2.0).abs() < 0.2), "{verdict:#?}");
    assert!(verdict.reason.unwrap().contains("one repetition"));
    let same: Vec<Measurement> = world
        .trained(&mut stream(5), 3, None)
        .into_iter()
        .map(|measurement| {
            let first = measurement.replicates.as_ref().unwrap()[0];
            Measurement { replicates: Some(vec![first; 3]), ..measurement }
        })
        .collect();
    let verdict = world.judged(&same).remove(0);
    assert_eq!(verdict.verdict, Outcome::Inconclusive);
    assert!(verdict.reason.unwrap().contains("too little is seen"));
}

/// Two laws at a distance of 0.035 are within a tolerance of 0.2 however many draws there are; at 0.02 they are not.
#[test]
fn laws_within_the_tolerance_are_one_law_however_many_draws_show_their_difference() {
    let body = |tolerance| format!("same_law = [\"A\", \"B\"]\nobservable = \"loss.l1\"\ntolerance = {tolerance}");
    let claims = [claim(&body(0.2)), claim(&body(0.02))].concat();
    let world = world(&DRAWN.replace("[16, 64, 256]", "[16]"), &claims).unwrap();
    let mut stream = stream(6);
    let mut measurements = Vec::new();
    for cell in &world.cells {
        // A shift of 0.088 standard deviations: 2Φ(0.044) − 1 = 0.035.
        let shift = if cell.network == "A" { 0.0 } else { 0.088 };
        for name in NAMES {
            let mut summary = Summary::default();
            for _ in 0..300_000 {
                let value = shift + stream.sample::<f64, _>(StandardNormal);
                summary.moments.push(value);
                summary.quantiles.push(value);
            }
            measurements.push(Measurement::new(Row::of(cell, name), summary, None, true));
        }
    }
    let verdicts = world.judged(&measurements);
    assert_eq!([verdicts[0].verdict, verdicts[1].verdict], [Outcome::Holds, Outcome::Refuted], "{verdicts:#?}");
}

/// The family of tests is the run's: a second experiment, of either kind, changes what it takes to refute.
#[test]
fn one_family_error_is_spent_over_drawn_and_trained_networks_together() {
    let bodies = "ratio = [\"B\", \"A\"]\nfactor = 2.3\nobservable = \"loss.l1\"\ntolerance = 0.1";
    let [drawn, trained] = [DRAWN, TRAINED].map(|spec| world(spec, &claim(bodies)).unwrap());
    let of_drawn = drawn.drawn(&mut stream(8), 100, None);
    let of_trained = trained.trained(&mut stream(9), 4, None);
    let alone = trained.judged(&of_trained)[0].p_refuted.unwrap();
    let together = judge(&[drawn.measured(&of_drawn), trained.measured(&of_trained)]);
    // Of two p-values, the larger one keeps its value and the smaller one is doubled at least to it.
    let (first, second) = (together[0][0].p_refuted.unwrap(), together[1][0].p_refuted.unwrap());
    let own = drawn.judged(&of_drawn)[0].p_refuted.unwrap();
    assert_eq!(first.min(second), 2.0 * own.min(alone), "{own} {alone} {first} {second}");
    assert_eq!(first.max(second), own.max(alone).max(2.0 * own.min(alone)));
}

#[test]
fn every_planted_defect_changes_what_a_claim_calls_equal() {
    assert!(DEFECTS.iter().all(Defect::changes));
}

/// Hears of the parts.
#[derive(Default)]
struct Parts(AtomicUsize);

impl Watcher for Parts {
    fn point(&self, index: usize, count: usize, _: &str) {
        assert_eq!((index, count), (self.0.fetch_add(1, Ordering::Relaxed), SelfTest::parts()));
    }
}

/// The short form of `gradlaw self-test`. A share of 5 % of 150 runs is beyond its bound with probability 2·10⁻⁵, so that any of the 180
/// rates is with one of 4·10⁻³; two seeds show of a defect, or of a claim that is clear, that it is found at all.
#[test]
fn the_judgement_errs_and_finds_as_often_as_it_says() {
    let scratch = tempfile::tempdir().unwrap();
    let effort = Effort { runs: 150, seeds: 2, families: 2 };
    let parts = Parts::default();
    let found = SelfTest::run(effort, scratch.path(), &parts).unwrap();
    assert_eq!(parts.0.into_inner(), SelfTest::parts());
    let wrong: Vec<_> = found.judged.iter().filter(|line| !line.agrees()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found.agrees(), "{:#?}\n{:#?}", found.planted, found.families);
}

#[test]
fn a_rate_agrees_within_five_of_its_standard_errors() {
    let rate = |count, of, expected| Rate { count, of, expected }.agrees();
    assert!(rate(4_659, 100_000, Expected::Exactly(0.05)) && rate(5_341, 100_000, Expected::Exactly(0.05)));
    assert!(!rate(4_658, 100_000, Expected::Exactly(0.05)) && !rate(5_342, 100_000, Expected::Exactly(0.05)));
    assert!(rate(94_501, 100_000, Expected::Exactly(0.95)) && !rate(94_499, 100_000, Expected::Exactly(0.95)));
    assert!(rate(10, 100_000, Expected::AtMost(0.05)) && !rate(5_342, 100_000, Expected::AtMost(0.05)));
    assert!(rate(95, 100, Expected::AtLeast(0.95)) && !rate(94, 100, Expected::AtLeast(0.95)));
    assert!(rate(99_900, 100_000, Expected::Covers(0.95)) && !rate(94_499, 100_000, Expected::Covers(0.95)));
}
