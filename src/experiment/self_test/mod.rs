//! The judgement judged: how often its tests err and its intervals cover where the truth is known, whether it finds planted defects, and
//! how often a run of shipped experiments alarms falsely.
//!
//! Every kind of claim is decided on made-up measurements whose truth lies on the edge of what the claim allows, where a test at 5 % errs
//! in 5 % of the runs: *holds* and *refuted* are each said as often. Real networks of known laws follow, then defects, then families.

mod defects;
mod kinds;
mod sampled;
#[cfg(test)]
mod tests;
mod world;

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use super::claim::judge;
use super::results::{Outcome, Verdict};
use super::specification::load;
use super::specification::load::parse;
use super::specification::overrides::Override;
use super::specification::reader::SpecError;
use super::work::draw::Drawing;
use super::work::{Experiment, Limits, RunError, RunOptions, Unwatched, Watcher};
use defects::{DEFECTS, Defect};
use kinds::{KINDS, Kind};
use sampled::Sampled;
use world::{DRAWN, TRAINED, Truth, World, claim, stream, usual};

/// Level of the tests here: with one test in the family it is the rate at which a true claim on the edge is refuted.
const LEVEL: f64 = 0.05;

/// Draws of a made-up point where the truth is on the edge, and where it is not.
const DRAWS: usize = 400;
const MANY_DRAWS: usize = 4_000;

/// Repetitions of a made-up training where the truth is on the edge.
const REPEATS: [usize; 3] = [2, 4, 8];

/// Each run has a thread for itself.
const LIMITS: Limits = Limits { threads: 1, memory: 1 << 30 };

/// Shipped experiments that take a fraction of a second at the draws of [`SHORT`].
const FAMILY: [&str; 6] =
    ["dense-dimension", "dense-norms", "dense-maximum", "dense-fluctuations", "damage", "broken-variance"];
const SHORT: i64 = 250;

/// Why the test did not end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// A spec of the test was refused, which is a defect of the program.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Interrupted, or a file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Runs of each made-up or sampled world.
    pub runs: u64,
    /// Seeds of each planted defect.
    pub seeds: u64,
    /// Runs of the family of shipped experiments.
    pub families: u64,
}

/// How often something happened, and how often it should.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// How often it happened.
    pub count: u64,
    /// Of so many.
    pub of: u64,
    /// What is expected.
    pub expected: Expected,
}

/// What is expected of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This rate: a test that says 5 % within 0.34 points in 100 000 runs, an interval that says 95 % within half a point.
    Exactly(f64),
    /// No more than it.
    AtMost(f64),
    /// No less than it, but for chance.
    Covers(f64),
    /// No less than it.
    AtLeast(f64),
}

impl Rate {
    /// The share.
    pub fn share(&self) -> f64 {
        self.count as f64 / self.of as f64
    }

    /// Whether what happened agrees with what is expected: five standard errors of a share of so many runs, at 100 000 of them the
    /// 0.34 points that a 5 % test may be off, and for intervals half a point at least.
    pub fn agrees(&self) -> bool {
        let margin = |rate: f64| {
            let of_chance = 4.95 * (rate * (1.0 - rate) / self.of as f64).sqrt();
            if rate > 0.5 { of_chance.max(0.005) } else { of_chance.max(0.0034) }
        };
        match self.expected {
            Expected::Exactly(rate) => (self.share() - rate).abs() <= margin(rate),
            Expected::AtMost(rate) => self.share() <= rate + margin(rate),
            Expected::Covers(rate) => self.share() >= rate - margin(rate),
            Expected::AtLeast(rate) => self.share() >= rate,
        }
    }
}

/// What the judge did in one world.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What is claimed.
    pub what: String,
    /// What it is judged on.
    pub world: String,
    /// Intervals that cover the truth.
    pub covered: Option<Rate>,
    /// Runs that refute a truth on the edge of what is claimed, or a claim that is true.
    pub refuted: Option<Rate>,
    /// Runs that find a truth on the edge inside.
    pub held: Option<Rate>,
    /// Runs in which a true claim holds.
    pub right: Option<Rate>,
    /// Runs in which a false one is refuted.
    pub wrong: Option<Rate>,
}

impl Line {
    fn new(what: impl Into<String>, world: impl Into<String>) -> Self {
        let (what, world) = (what.into(), world.into());
        Self { what, world, covered: None, refuted: None, held: None, right: None, wrong: None }
    }

    /// Its rates in the order of the table's columns.
    pub fn rates(&self) -> [Option<Rate>; 5] {
        [self.covered, self.refuted, self.held, self.right, self.wrong]
    }

    /// Whether all rates are as expected.
    pub fn agrees(&self) -> bool {
        self.rates().iter().flatten().all(Rate::agrees)
    }
}

/// What one run said of a claim.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    runs: u64,
    judged: u64,
    covered: u64,
    refuted: u64,
    held: u64,
}

impl Counts {
    /// One verdict, with the truth in the scale that it shows.
    fn of(verdict: &Verdict, truth: f64) -> Self {
        let covers = |[low, high]: [f64; 2]| (low..=high).contains(&truth);
        Self {
            runs: 1,
            judged: u64::from(verdict.interval.is_some()),
            covered: u64::from(verdict.interval.is_some_and(covers)),
            refuted: u64::from(verdict.verdict == Outcome::Refuted),
            held: u64::from(verdict.verdict == Outcome::Holds),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            judged: self.judged + other.judged,
            covered: self.covered + other.covered,
            refuted: self.refuted + other.refuted,
            held: self.held + other.held,
        }
    }
}

/// The work of a made-up world.
#[derive(Debug, Clone, Copy)]
enum Work {
    Draws,
    Repeats(usize),
}

/// What the test found.
#[derive(Debug, Clone, Serialize)]
pub struct SelfTest {
    /// The judge in every world.
    pub judged: Vec<Line>,
    /// In how many of the seeds each planted defect was found.
    pub planted: Vec<(String, Rate)>,
    /// How many runs of shipped experiments with few draws refute anything, all claims of which are true, at a family error of 5 %.
    pub families: Rate,
}

impl SelfTest {
    /// Of how many parts [`run`](Self::run) tells.
    pub fn parts() -> usize {
        KINDS.iter().map(|kind| works(kind).count()).sum::<usize>() + sampled::all().len() + DEFECTS.len() + 1
    }

    /// Does all of it on the threads of the current pool, the same for any number of them; `watcher` hears of each part. Training keeps
    /// its states in `scratch`.
    ///
    /// # Errors
    /// A spec of this test is refused, which would be a defect of the program, or files cannot be written.
    pub fn run(effort: Effort, scratch: &Path, watcher: &dyn Watcher) -> Result<Self, SelfTestError> {
        let mut begun = 0;
        let mut begins = |what: &str| {
            watcher.point(begun, Self::parts(), what);
            begun += 1;
        };
        let mut judged = Vec::new();
        for kind in &KINDS {
            for work in works(kind) {
                begins(kind.name);
                judged.push(of_kind(kind, work, effort)?);
            }
        }
        for sampled in sampled::all() {
            begins(sampled.what);
            judged.extend(of_networks(&sampled, effort)?);
        }
        let mut planted = Vec::new();
        for defect in &DEFECTS {
            begins(defect.what);
            planted.push((defect.what.to_owned(), of_defect(defect, effort, scratch)?));
        }
        begins("families");
        Ok(Self { judged, planted, families: families(effort)? })
    }

    /// Whether all rates are as expected.
    pub fn agrees(&self) -> bool {
        self.judged.iter().all(Line::agrees)
            && self.planted.iter().all(|(_, rate)| rate.agrees())
            && self.families.agrees()
    }
}

/// On what a kind of claim is judged.
fn works(kind: &Kind) -> impl Iterator<Item = Work> {
    [Work::Draws].into_iter().filter(|_| kind.for_drawn).chain(REPEATS.map(Work::Repeats))
}

/// One kind of claim on made-up measurements.
fn of_kind(kind: &Kind, work: Work, effort: Effort) -> Result<Line, SelfTestError> {
    let line = on_edge(kind, work, effort.runs)?;
    // What is clearly true or false has to be said so where there is much to see, which is once for each kind of work.
    if matches!(work, Work::Repeats(repeats) if repeats < REPEATS[REPEATS.len() - 1]) {
        return Ok(line);
    }
    Ok(Line {
        right: Some(said(kind, kind.right, usual, Outcome::Holds, work, effort.seeds)?),
        wrong: Some(said(kind, kind.wrong, kind.wrong_world, Outcome::Refuted, work, effort.seeds)?),
        ..line
    })
}

/// The seed of a kind's made-up runs.
fn seed_of(kind: &Kind) -> u64 {
    kind.name.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
}

/// How often a claim errs whose truth is on the edge.
fn on_edge(kind: &Kind, work: Work, runs: u64) -> Result<Line, SelfTestError> {
    let (which, spec, world) = match work {
        Work::Draws => (0, DRAWN, format!("made-up draws, {DRAWS} draws")),
        Work::Repeats(repeats) => (1, TRAINED, format!("made-up training, {repeats} repetitions")),
    };
    let edge = &kind.edge;
    let (measured, sharp) = (edge.measured[which], edge.sharp[which]);
    let made_up = World::new(&format!("family_error = {LEVEL}\n{spec}"), &claim(edge.claim), edge.world)?;
    let counts = (0..runs).into_par_iter().map(|run| {
        let mut stream = stream(seed_of(kind), run);
        let measurements = match work {
            Work::Draws => made_up.drawn(&mut stream, DRAWS, None),
            Work::Repeats(repeats) => made_up.trained(&mut stream, repeats, None),
        };
        made_up.judged(&measurements).last().map_or(Counts::default(), |verdict| Counts::of(verdict, measured))
    });
    let counts = counts.reduce(Counts::default, Counts::plus);
    let covered = Rate { count: counts.covered, of: counts.judged, expected: sharp.of_intervals() };
    let rate = |count, expected| Some(Rate { count, of: counts.runs, expected });
    Ok(Line {
        covered: Some(covered).filter(|_| !measured.is_nan()),
        refuted: rate(counts.refuted, sharp.of_tests()),
        // Where the band is few errors wide, its other edge makes an equivalence test the more careful.
        held: rate(counts.held, Expected::AtMost(LEVEL)),
        ..Line::new(kind.name, world)
    })
}

/// How often a claim's verdicts are all `outcome`, as they should be where there is much to see.
fn said(
    kind: &Kind,
    body: &str,
    truth: Truth,
    outcome: Outcome,
    work: Work,
    seeds: u64,
) -> Result<Rate, SelfTestError> {
    let spec = if let Work::Draws = work { DRAWN } else { TRAINED };
    let world = World::new(spec, &claim(body), truth)?;
    let count = (0..seeds).into_par_iter().filter(|seed| {
        let mut stream = stream(seed_of(kind) ^ 1, *seed);
        let verdicts = world.judged(&match work {
            Work::Draws => world.drawn(&mut stream, MANY_DRAWS, None),
            Work::Repeats(_) => world.trained(&mut stream, kind.many_repeats, None),
        });
        verdicts.iter().all(|verdict| verdict.verdict == outcome || verdict.verdict == Outcome::Estimate)
    });
    Ok(Rate { count: count.count() as u64, of: seeds, expected: Expected::AtLeast(0.95) })
}

/// Claims on real networks of known laws, all of a network on the same draws.
fn of_networks(sampled: &Sampled, effort: Effort) -> Result<Vec<Line>, SelfTestError> {
    let claims: String = sampled.claims.iter().map(|(_, body, _)| claim(body)).collect();
    let text = format!("family_error = {LEVEL}\n{}\n{claims}", sampled.spec);
    let nothing = || vec![Counts::default(); sampled.claims.len()];
    let plus = |a: Vec<Counts>, b: Vec<Counts>| a.into_iter().zip(b).map(|(a, b)| a.plus(b)).collect();
    let one = |seed: u64| -> Result<Vec<Counts>, SelfTestError> {
        let spec = parse("self-test.toml", &text, &[Override::new("seed", (seed as i64).into())])?.drawn()?;
        let verdicts = Drawing::prepare(spec, &LIMITS)?.judged(&Unwatched)?;
        // Each claim has one verdict; those on what no claim speaks of follow.
        let truths = sampled.claims.iter().map(|(_, _, truth)| *truth);
        Ok(verdicts.iter().zip(truths).map(|(verdict, truth)| Counts::of(verdict, truth)).collect())
    };
    let counts = (0..effort.runs).into_par_iter().map(one).try_reduce(nothing, |a, b| Ok(plus(a, b)))?;
    let line = |((what, _, _), counts): (&(&'static str, String, f64), &Counts)| Line {
        covered: Some(Rate { count: counts.covered, of: counts.judged, expected: sampled.sharp.of_intervals() }),
        refuted: Some(Rate { count: counts.refuted, of: counts.judged, expected: sampled.sharp.of_tests() }),
        ..Line::new(*what, sampled.what)
    };
    Ok(sampled.claims.iter().zip(&counts).map(line).collect())
}

/// In how many seeds a planted defect is found.
fn of_defect(defect: &Defect, effort: Effort, scratch: &Path) -> Result<Rate, SelfTestError> {
    let found = (0..effort.seeds).into_par_iter().map(|seed| is_found(defect, seed, scratch).map(u64::from));
    let count = found.try_reduce(|| 0, |a, b| Ok(a + b))?;
    Ok(Rate { count, of: effort.seeds, expected: Expected::AtLeast(0.95) })
}

fn is_found(defect: &Defect, seed: u64, scratch: &Path) -> Result<bool, SelfTestError> {
    let spec = parse("planted.toml", &defect.spec(), &[Override::new("seed", (seed as i64 + 1).into())])?;
    let experiment = Experiment::prepare(spec, &LIMITS)?;
    let folder = scratch.join(format!("seed-{seed}"));
    let results = experiment.run(&folder, RunOptions { fresh: true, ..RunOptions::default() }, &Unwatched)?;
    let verdicts = judge(&[experiment.measured(&results.measurements)]).concat();
    Ok(verdicts.iter().any(|verdict| verdict.verdict == Outcome::Refuted))
}

fn families(effort: Effort) -> Result<Rate, SelfTestError> {
    let run = |seed: u64| -> Result<u64, SelfTestError> {
        let overrides = [
            Override::new("seed", (seed as i64).into()),
            Override::new("draws", SHORT.into()),
            Override::new("family_error", LEVEL.into()),
        ];
        let mut drawings = Vec::new();
        for name in FAMILY {
            drawings.push(Drawing::prepare(load::load_drawn(name, &overrides)?, &LIMITS)?);
        }
        let measurements =
            drawings.iter().map(|drawing| drawing.measurements(&Unwatched)).collect::<Result<Vec<_>, _>>()?;
        let measured: Vec<_> = drawings.iter().zip(&measurements).map(|(drawing, of)| drawing.measured(of)).collect();
        Ok(u64::from(judge(&measured).concat().iter().any(|verdict| verdict.verdict == Outcome::Refuted)))
    };
    let count = (0..effort.families).into_par_iter().map(run).try_reduce(|| 0, |a, b| Ok(a + b))?;
    Ok(Rate { count, of: effort.families, expected: Expected::AtMost(LEVEL) })
}
