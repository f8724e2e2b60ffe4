//! The tables of the README: draws per second, the floor beneath them, and peers in PyTorch and JAX run in alternation.
//!
//! `cargo bench --bench table -- [--quick] [--python PATH] [--figure DIR] [--only TEXT]`. Rates are per second of processor time of
//! all cores, so that other work on the machine takes little away; on an idle machine that is the clock's second.

mod cases;
mod clock;
mod floor;
mod peers;
mod processor;
mod scaling;

use std::path::PathBuf;

use cases::{Case, Framework};
use clock::{Rate, rate};
use floor::{Ceilings, Work};
use gradlaw::network::InstructionSet;
use gradlaw::sampling::Sampler;

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    quick: bool,
    python: Option<PathBuf>,
    figure: Option<PathBuf>,
    /// Only networks with this in their name, and no figure.
    only: Option<String>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self { quick: false, python: None, figure: None, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--python" => options.python = arguments.next().map(PathBuf::from),
                "--figure" => options.figure = arguments.next().map(PathBuf::from),
                "--only" => options.only = arguments.next(),
                // Cargo passes it to every benchmark.
                "--bench" => {}
                other => {
                    eprintln!("unknown option {other}: there are --quick, --python PATH, --figure DIR and --only TEXT");
                    std::process::exit(2);
                }
            }
        }
        options
    }

    /// Those of the networks that are asked for.
    fn chosen(&self, cases: Vec<Case>) -> impl Iterator<Item = Case> {
        cases.into_iter().filter(|case| self.only.as_ref().is_none_or(|text| case.name.contains(text)))
    }

    /// Seconds of each measurement.
    fn seconds(&self) -> f64 {
        if self.quick { 0.7 } else { 3.0 }
    }

    /// How often each is measured; the best counts, for peers too.
    fn rounds(&self) -> usize {
        if self.quick { 2 } else { 4 }
    }
}

fn main() {
    let options = Options::read();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads, instruction set {}\n", InstructionSet::current());
    let ceilings = Ceilings::measure(threads);
    println!("{ceilings}\n");

    println!(
        "| explicit draws | random numbers | multiply-adds | bytes | floor, draws/s | draws/s | floor / draws | PyTorch | JAX | \
         draws / better peer |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut best_peers = Vec::new();
    for case in options.chosen(cases::explicit()) {
        let sampler = case.sampler();
        let (ours, peers) = side_by_side(&options, &case, &sampler, threads);
        let work = Work::of(&case.architecture, case.weights);
        let floor = ceilings.draws_per_second(&work);
        let best = peers.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        println!(
            "| {} | {} | {} | {} | {} | {} | {:.2} | {} | {} | {} |",
            case.name,
            floor::short(work.weights + work.inputs),
            floor::short(work.multiply_adds),
            floor::short(work.bytes),
            digits(floor),
            digits(ours),
            floor / ours,
            of_peer(&peers, Framework::Torch),
            of_peer(&peers, Framework::Jax),
            ratio(ours, best),
        );
        best_peers.push((case.name.clone(), best));
    }

    println!("\n| conditioned draws | draws/s | explicit, draws/s | PyTorch | JAX | / explicit | / better peer |");
    println!("|---|---|---|---|---|---|---|");
    for case in options.chosen(cases::conditioned()) {
        let (conditioned, peers) = side_by_side(&options, &case, &case.conditioned(), threads);
        let explicit = measure(&case.sampler(), threads, &options).draws_per_second;
        let best = peers.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            case.name,
            digits(conditioned),
            digits(explicit),
            of_peer(&peers, Framework::Torch),
            of_peer(&peers, Framework::Jax),
            ratio(conditioned, explicit),
            ratio(conditioned, best),
        );
    }

    println!("\n| collapsed draws | draws/s, `loss.l2` | draws/s, ℓ₁, ℓ₂ and ℓ_∞ | / better peer |");
    println!("|---|---|---|---|");
    for case in options.chosen(cases::collapsed()) {
        let only_length = measure(&case.collapsed(&["loss.l2"]), threads, &options).draws_per_second;
        let all = measure(&case.collapsed(&cases::NORMS), threads, &options).draws_per_second;
        let best = best_peers.iter().find(|(name, _)| *name == case.name).map_or(0.0, |(_, rate)| *rate);
        let ratios =
            if best > 0.0 { format!("{}, {}", ratio(only_length, best), ratio(all, best)) } else { "–".into() };
        println!("| {} | {} | {} | {ratios} |", case.name, digits(only_length), digits(all));
    }
    if options.only.is_none() {
        println!();
        scaling::print(&options, threads);
    }
}

/// Our rate and the peers', measured in turns; the best of each.
fn side_by_side(options: &Options, case: &Case, sampler: &dyn Sampler, threads: usize) -> (f64, Vec<(Framework, f64)>) {
    let peers = options.python.as_ref().map_or(Vec::new(), |python| case.peers(python, options.quick));
    let (mut ours, mut theirs) = (0f64, vec![0f64; peers.len()]);
    for _ in 0..options.rounds() {
        let Rate { draws_per_second, mean, .. } = rate(sampler, threads, options.seconds());
        ours = ours.max(draws_per_second);
        for ((framework, peer), best) in peers.iter().zip(&mut theirs) {
            let result = peer.measure(options.seconds());
            let number = |value: &serde_json::Value| value.as_f64().unwrap_or(0.0);
            let (rate, its_mean) = (number(&result["rate"]), number(&result["means"][0]));
            *best = best.max(rate);
            // Ten standard errors of a hundred draws: it would be another network.
            if rate > 0.0 && (its_mean / mean - 1.0).abs() > 0.2 {
                eprintln!("{} in {:?}: mean norm {its_mean}, and {mean} here", case.name, framework);
            }
        }
    }
    (ours, peers.iter().map(|(framework, _)| *framework).zip(theirs).collect())
}

/// The rate of a peer, where there is one.
fn of_peer(peers: &[(Framework, f64)], framework: Framework) -> String {
    let rate = peers.iter().find(|(of, _)| *of == framework).map(|(_, rate)| *rate);
    rate.map_or("–".into(), digits)
}

/// The best of several rounds.
fn measure(sampler: &dyn Sampler, threads: usize, options: &Options) -> Rate {
    let rounds = (0..options.rounds()).map(|_| rate(sampler, threads, options.seconds() / 4.0));
    rounds.reduce(|a, b| if b.draws_per_second > a.draws_per_second { b } else { a }).expect("there is a round")
}

/// Three digits, thousands apart.
fn digits(number: f64) -> String {
    if number < 99.5 {
        return format!("{number:.1}");
    }
    let unit = 10f64.powi(number.log10().floor() as i32 - 2);
    let rounded = ((number / unit).round() * unit) as u64;
    let text = rounded.to_string();
    let groups: Vec<&str> =
        text.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(" ")
}

fn ratio(ours: f64, peer: f64) -> String {
    if peer > 0.0 {
        if ours / peer < 100.0 { format!("{:.1}×", ours / peer) } else { format!("{}×", digits(ours / peer)) }
    } else {
        "–".into()
    }
}
