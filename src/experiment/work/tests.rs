//! Runs of whole experiments that have it hard. Several processes: the bits are those of one. Disks that fail: whichever write, sync, rename or removal of a whole run is refused, the run says so with the file's name, and the same
//! command gives the same bits once the disk is well.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::experiment::claim::judge;
use crate::experiment::results::storage::fault;
use crate::experiment::specification::load::parse;

const DRAWN: &str = r#"
    name = "drawn"
    draws = 130
    observables = ["loss.l1", "logit.l2sq"]
    sweep = { d = [4, 9, 16] }
    [[network]]
    input = ["d"]
    layers = [{ type = "dense", units = 6 }, { type = "relu" }, { type = "dense", units = 3 }]
    [[claim]]
    statement = "grows as the root of d"
    observable = "loss.l1"
    against = "d"
    exponent = 0.5
    tolerance = 0.4
"#;

const TRAINED: &str = r#"
    name = "trained"
    repeats = 2
    keep_weights = true
    observables = ["accuracy"]
    data = { set = "synthetic", side = 4, samples = 40, validation = 10, test = 10 }
    training = { epochs = 2, batch = 10, rate = 0.1 }
    [[network]]
    input = [48]
    layers = [{ type = "dense", units = 10 }]
"#;

/// Draws or trains everything with states of every part, and saves the results.
fn whole(spec: &str, folder: &Path) -> Result<(), String> {
    let spec = parse("spec.toml", spec, &[]).map_err(|error| error.to_string())?;
    let experiment =
        Experiment::prepare(spec, &Limits { threads: 1, memory: 1 << 30 }).map_err(|error| error.to_string())?;
    let _lock = experiment.enter(folder, false).map_err(|error| error.to_string())?;
    let share = Share::new(1, 1);
    let run = |share| experiment.run(folder, RunOptions { share, ..RunOptions::default() }, &Unwatched);
    run(share).map_err(|error| error.to_string())?;
    let results = run(None).map_err(|error| error.to_string())?;
    let verdicts = judge(&[experiment.measured(&results.measurements)]).concat();
    experiment.save(folder, &results, &verdicts).map_err(|error| error.to_string())
}

/// All that two runs have in common; what begins with a dot speaks of the process.
fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    files.sort();
    files
}

/// A folder in memory where there is one: what fails is made to fail, and hundreds of syncs of a disk would take a minute.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn every_step_may_fail(spec: &str, more: &str, least: usize) {
    let reference = in_memory();
    whole(more, reference.path()).unwrap();
    let expected = results(reference.path());
    for index in 0.. {
        let folder = in_memory();
        // Beside the results of an earlier run every second time, and of both errors every second two.
        if index % 2 == 1 {
            whole(spec, folder.path()).unwrap();
        }
        let kind = if index % 4 < 2 { ErrorKind::StorageFull } else { ErrorKind::Other };
        let (ended, reached) = fault::during(folder.path(), index, kind, || whole(more, folder.path()));
        if !reached {
            ended.unwrap();
            assert_eq!(results(folder.path()), expected);
            assert!(index >= least, "{index} steps");
            break;
        }
        let error = ended.expect_err("a run whose disk failed");
        assert!(error.contains(&*folder.path().to_string_lossy()), "step {index}: {error}");
        whole(more, folder.path()).unwrap();
        assert_eq!(results(folder.path()), expected, "step {index}");
    }
}

#[test]
fn every_write_of_a_run_of_drawn_networks_may_fail() {
    every_step_may_fail(DRAWN, &DRAWN.replace("draws = 130", "draws = 260"), 40);
}

#[test]
fn every_write_of_a_run_of_trained_networks_may_fail() {
    every_step_may_fail(TRAINED, &TRAINED.replace("repeats = 2", "repeats = 3"), 40);
}

/// Messages between threads.
struct Channels {
    from: usize,
    to: Vec<mpsc::Sender<(usize, Vec<u8>)>>,
    arrived: mpsc::Receiver<(usize, Vec<u8>)>,
}

impl Link for Channels {
    fn peers(&self) -> usize {
        self.to.len()
    }

    fn send(&self, peer: usize, message: &[u8]) {
        self.to[peer].send((self.from, message.to_vec())).unwrap();
    }

    fn receive(&self, patience: Duration) -> Option<(usize, Vec<u8>)> {
        self.arrived.recv_timeout(patience).ok()
    }
}

/// A leader and members who can speak to it.
fn links(members: usize) -> (Channels, Vec<Channels>) {
    let (leader, at_leader) = mpsc::channel();
    let (to, arrived): (Vec<_>, Vec<_>) = (0..members).map(|_| mpsc::channel()).unzip();
    let member = |(from, arrived)| Channels { from, to: vec![leader.clone()], arrived };
    let members = arrived.into_iter().enumerate().map(member).collect();
    (Channels { from: 0, to, arrived: at_leader }, members)
}

fn prepared(spec: &str) -> Experiment {
    let spec = parse("spec.toml", spec, &[]).unwrap();
    Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap()
}

/// The results of a run with so many members.
fn together(spec: &str, members: usize) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let (leader, members) = links(members);
    std::thread::scope(|scope| {
        for member in members {
            scope.spawn(move || {
                let experiment = prepared(spec);
                serve(&[&experiment], &member);
            });
        }
        let experiment = prepared(spec);
        let crew = (leader.peers() > 0).then(|| Crew::new(&leader, 0));
        let results = experiment.run_with(folder.path(), RunOptions::default(), &Unwatched, crew).unwrap();
        Crew::dismiss(&leader);
        let verdicts = judge(&[experiment.measured(&results.measurements)]).concat();
        experiment.save(folder.path(), &results, &verdicts).unwrap();
    });
    results(folder.path())
}

#[test]
fn any_number_of_processes_gives_the_bits_of_one() {
    let drawn = DRAWN.replace("draws = 130", "draws = 5001");
    let trained = TRAINED.replace("repeats = 2", "repeats = 7");
    for spec in [drawn.as_str(), trained.as_str()] {
        let alone = together(spec, 0);
        for members in [1, 2, 4] {
            assert_eq!(together(spec, members), alone, "{members} members");
        }
    }
}
