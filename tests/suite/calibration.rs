//! How often verdicts are wrong, and intervals miss, where the truth is known: few draws, skewed laws, laws that theory does not know,
//! points that carry no scatter. Every test states its false-alarm rate.

use gradlaw::experiment::{Experiment, Limits, Outcome, RunOptions, Unwatched, Verdict, judge, load};

fn verdicts(spec: &str) -> Vec<Verdict> {
    let spec = load::parse("calibration.toml", spec, &[]).unwrap();
    let experiment = Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions { fresh: true, ..RunOptions::default() };
    let results = experiment.run(folder.path(), options, &Unwatched).unwrap();
    let measured = experiment.measured(&results.measurements);
    judge(&[measured]).remove(0)
}

/// So many dimensions from 50 on.
fn dimensions(count: usize) -> String {
    format!("{:?}", (50..50 + count).collect::<Vec<_>>())
}

/// How many of so many runs, of seeds from 1, have a verdict that says *refuted*.
fn alarms(runs: u64, spec: impl Fn(u64) -> String) -> usize {
    (1..=runs).filter(|&seed| verdicts(&spec(seed)).iter().any(|verdict| verdict.verdict == Outcome::Refuted)).count()
}

/// Two layers of 64 against their exact mean, 100 points a run, at a family error of 10⁻³: with 300 runs 0.3 false alarms are expected, and
/// more than 3 have probability below 3·10⁻⁴; with 30 runs more than 1 has probability below 5·10⁻⁴.
#[test]
fn exact_means_are_refuted_no_more_often_than_stated_at_any_number_of_draws() {
    for (draws, runs, most) in [(20, 300, 3), (30, 300, 3), (100, 300, 3), (1000, 30, 1), (4000, 15, 1)] {
        let spec = |seed| {
            format!(
                r#"
                name = "tails"
                seed = {seed}
                draws = {draws}
                observables = ["logit.l2sq"]
                sweep = {{ d = {} }}
                [[network]]
                input = ["d"]
                layers = [
                  {{ type = "repeat", times = 2, layers = [{{ type = "dense", units = 64 }}, {{ type = "relu" }}] }},
                  {{ type = "dense", units = 3 }},
                ]
                "#,
                dimensions(100)
            )
        };
        let alarms = alarms(runs, spec);
        assert!(alarms <= most, "{alarms} of {runs} runs of {draws} draws refute what is true");
    }
}

/// The same where the law's shape is not known to theory: uniform weights. Below 49 draws nothing is tested; more than 2 false alarms in
/// 100 runs have probability below 2·10⁻⁴.
#[test]
fn means_of_laws_of_unknown_shape_are_refuted_no_more_often_than_stated() {
    for (draws, runs) in [(30, 20), (60, 100), (200, 60)] {
        let spec = |seed| {
            format!(
                r#"
                name = "unknown"
                seed = {seed}
                draws = {draws}
                observables = ["logit.l2sq"]
                sweep = {{ d = {} }}
                [[network]]
                input = ["d"]
                init = "he-uniform"
                layers = [
                  {{ type = "repeat", times = 2, layers = [{{ type = "dense", units = 16 }}, {{ type = "relu" }}] }},
                  {{ type = "dense", units = 3 }},
                ]
                "#,
                dimensions(40)
            )
        };
        let alarms = alarms(runs, spec);
        assert!(alarms <= 2, "{alarms} of {runs} runs of {draws} draws refute what is true");
    }
}

/// Share of runs whose interval covers the truth, of the verdict on a claim; `None` counts as a run without an interval.
fn coverage(runs: u64, truth: f64, spec: impl Fn(u64) -> String) -> (f64, usize) {
    let intervals: Vec<[f64; 2]> = (1..=runs).filter_map(|seed| verdicts(&spec(seed))[0].interval).collect();
    let covered = intervals.iter().filter(|[low, high]| (*low..=*high).contains(&truth)).count();
    (covered as f64 / intervals.len().max(1) as f64, intervals.len())
}

/// A narrow and deep network, whose samples mostly miss the tail: 400 intervals of 95 % for its exact mean. Below 0.95 − 4.5 binomial
/// standard errors with probability below 4·10⁻⁶.
#[test]
fn intervals_of_skewed_means_cover_as_often_as_they_say() {
    let spec = |seed| {
        format!(
            r#"
            name = "skewed"
            seed = {seed}
            draws = 8000
            observables = ["logit.l2sq"]
            [[network]]
            input = [100]
            layers = [
              {{ type = "repeat", times = 4, layers = [{{ type = "dense", units = 8 }}, {{ type = "relu" }}] }},
              {{ type = "dense", units = 3 }},
            ]
            [[claim]]
            statement = "the mean is 1"
            observable = "logit.l2sq"
            value = "theory"
            tolerance = 0.1
            "#
        )
    };
    let (share, runs) = coverage(400, 1.0, spec);
    assert_eq!(runs, 400, "the law's own skewness asks for 1 600 draws");
    assert!(share > 0.95 - 4.5 * (0.95f64 * 0.05 / 400.0).sqrt(), "{share}");
}

/// Slopes of four means of 30 draws: 600 intervals of 95 %, with the same allowance; none is refuted.
#[test]
fn exponents_of_few_draws_cover_as_often_as_they_say() {
    let spec = |seed| {
        format!(
            r#"
            name = "slopes"
            seed = {seed}
            draws = 30
            observables = ["logit.l1"]
            sweep = {{ d = [64, 128, 256, 512] }}
            [[network]]
            input = ["d"]
            layers = [{{ type = "dense", units = 64 }}, {{ type = "relu" }}, {{ type = "dense", units = 3 }}]
            [[claim]]
            statement = "it grows as the root of d"
            observable = "logit.l1"
            against = "dimension"
            exponent = 0.5
            tolerance = 0.05
            "#
        )
    };
    let (share, runs) = coverage(600, 0.5, spec);
    assert_eq!(runs, 600);
    assert!(share > 0.95 - 4.5 * (0.95f64 * 0.05 / 600.0).sqrt(), "{share}");
    assert!(alarms(200, spec) == 0);
}

#[test]
fn two_draws_decide_nothing() {
    let spec = |seed| {
        format!(
            r#"
            name = "two"
            seed = {seed}
            draws = 2
            observables = ["loss.l1", "logit.l2sq"]
            sweep = {{ d = [64, 256] }}
            [[network]]
            label = "A"
            input = ["d"]
            layers = [{{ type = "dense", units = 64 }}, {{ type = "relu" }}, {{ type = "dense", units = 3 }}]
            [[network]]
            label = "B"
            input = ["d"]
            layers = [{{ type = "dense", units = 64 }}, {{ type = "relu" }}, {{ type = "dense", units = 3 }}]
            [[claim]]
            statement = "exponent"
            observable = "loss.l1"
            against = "dimension"
            exponent = 0.5
            tolerance = 0.5
            [[claim]]
            statement = "ratio"
            observable = "loss.l1"
            ratio = ["A", "B"]
            factor = 1
            tolerance = 0.9
            [[claim]]
            statement = "value"
            observable = "logit.l2sq"
            value = "theory"
            tolerance = 0.9
            "#
        )
    };
    for seed in 1..=50 {
        for verdict in verdicts(&spec(seed)) {
            assert_eq!(verdict.verdict, Outcome::Inconclusive, "{verdict:#?}");
            let reason = verdict.reason.unwrap();
            assert!(reason.contains("too few draws for the tail of their law ("), "{reason}");
        }
    }
}

/// Twelve layers of one unit: the mean is 1 exactly, and rests on draws that 300 rarely contain.
#[test]
fn draws_that_are_all_zero_refute_nothing() {
    let spec = |seed| {
        format!(
            r#"
            name = "dead"
            seed = {seed}
            draws = 300
            sampler = "explicit"
            observables = ["logit.l2sq", "loss.l1"]
            [[network]]
            input = [10]
            layers = [
              {{ type = "repeat", times = 12, layers = [{{ type = "dense", units = 1 }}, {{ type = "relu" }}] }},
              {{ type = "dense", units = 3 }},
            ]
            [[claim]]
            statement = "the mean is 1"
            observable = "logit.l2sq"
            value = 1
            tolerance = 0.1
            [[claim]]
            statement = "the mean is 1, of a law that theory does not know"
            observable = "loss.l1"
            value = 1
            tolerance = 0.1
            "#
        )
    };
    for seed in 1..=20 {
        for verdict in verdicts(&spec(seed)) {
            assert_eq!(verdict.verdict, Outcome::Inconclusive, "{verdict:#?}");
        }
    }
}

#[test]
fn what_is_printed_is_the_evidence_that_decides() {
    // Xavier's variance bends the law, so that there is no power law, and no one ratio to He's.
    let spec = r#"
        name = "bent"
        draws = 3000
        observables = ["logit.l1"]
        sweep = { d = [16, 64, 256, 1024] }
        [[network]]
        label = "xavier"
        input = ["d"]
        init = "xavier-normal"
        layers = [{ type = "dense", units = 64 }, { type = "relu" }, { type = "dense", units = 3 }]
        [[network]]
        label = "he"
        input = ["d"]
        layers = [{ type = "dense", units = 64 }, { type = "relu" }, { type = "dense", units = 3 }]
        [[claim]]
        statement = "a wide band around the bend"
        network = "xavier"
        observable = "logit.l1"
        against = "dimension"
        exponent = 0.7
        tolerance = 0.4
        [[claim]]
        statement = "a narrow one"
        network = "xavier"
        observable = "logit.l1"
        against = "dimension"
        exponent = 0.7
        tolerance = 0.05
        [[claim]]
        statement = "no ratio"
        observable = "logit.l1"
        ratio = ["xavier", "he"]
        factor = 0.5
        tolerance = 0.99
    "#;
    let verdicts = verdicts(spec);
    let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| verdict.verdict).collect();
    assert_eq!(outcomes[..2], [Outcome::Holds, Outcome::Refuted]);
    for verdict in &verdicts {
        let (p_value, [low, high]) = (verdict.p_value.unwrap(), verdict.interval.unwrap());
        assert!(verdict.goodness_of_fit.unwrap() < 1e-3, "{verdict:#?}");
        assert_eq!(verdict.verdict == Outcome::Holds, p_value <= 0.05, "{verdict:#?}");
        assert!(low < verdict.measured.unwrap() && verdict.measured.unwrap() < high);
        let reason = verdict.reason.as_ref().unwrap();
        assert!(reason.contains("fits worst"), "{reason}");
    }
}
