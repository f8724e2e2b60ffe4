//! The command line: arguments, one file a command, and the terminal. The only place that prints.

mod attack;
mod check;
mod completions;
mod explain;
pub mod failure;
mod given;
mod gradient;
mod interrupt;
mod list;
mod man;
mod merge;
mod names;
mod paths;
mod plot;
mod progress;
mod ranks;
mod report;
mod run;
mod self_test;
mod sketch;
mod table;
mod terminal;
mod theory;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use attack::AttackArguments;
use failure::Failure;
use gradient::GradientArguments;
use gradlaw::experiment::given::Which;
use gradlaw::experiment::reader::Origin;
use gradlaw::experiment::self_test::Effort;
use gradlaw::experiment::{Limits, Override, Share};
use gradlaw::network::InstructionSet;
use plot::PlotOptions;
use ranks::Ranks;
use terminal::Terminal;

/// Checks the scaling laws of neural networks' input gradients by theory and by simulation.
#[derive(Debug, Parser)]
#[command(name = "gradlaw", version, about, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run experiments, judge every claim, draw the figures, and print one table of verdicts
    ///
    /// Exit status 0 when no claim is refuted or inconclusive (skipped experiments do not count), else 1.
    Verify {
        /// Specs, or names of shipped experiments [default: every spec in experiments/, or all shipped ones]
        specs: Vec<String>,
        #[command(flatten)]
        sampling: Sampling,
    },
    /// Run experiments and write their results; claims are judged but do not set the exit status
    Run {
        /// Specs, or names of shipped experiments
        #[arg(required = true)]
        specs: Vec<String>,
        #[command(flatten)]
        sampling: Sampling,
        /// Do one share of the points, or of the networks that are trained, and leave its states for gradlaw merge: 2/8 is the second
        /// of eight
        #[arg(long, value_name = "I/N", value_parser = |text: &str| text.parse::<Share>())]
        shard: Option<Share>,
    },
    /// Put the shares of experiments together that gradlaw run --shard left: the results are those of one run, bit for bit
    Merge {
        /// Folders of shares: results folders, or the folders that --out named
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Check specs and their data, and forecast what a run takes: points, draws, seconds, memory; nothing is run or written
    ///
    /// Seconds are a guess from the number of multiplications, right within a factor of a few.
    Check {
        /// Specs, or names of shipped experiments
        #[arg(required = true)]
        specs: Vec<String>,
    },
    /// Print the exact values of a spec at every sweep point, as the rows of points.csv, without sampling
    Theory {
        /// Specs, or names of shipped experiments
        #[arg(required = true)]
        specs: Vec<String>,
    },
    /// Count paths and compare two ways to sum over them: the pass over variances and random walks, without sampling networks
    ///
    /// One row for each network and sweep point: the number of paths to logit 0, E‖∂ₓf₀‖₂² by path theory and by random
    /// walks, and how far the symmetry assumption (S) is true. As CSV, or as a list with --json.
    Paths {
        /// Specs, or names of shipped experiments
        #[arg(required = true)]
        specs: Vec<String>,
        /// Random walks for each row
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2..=MOST_WALKS))]
        walks: u64,
    },
    /// Print the gradients of a given network at given inputs, as one JSON object
    ///
    /// For each input: logits, softmax cross-entropy, and norms of the gradients of the loss (loss.*) and of the first
    /// logit (logit.*). Numbers that are not finite are null, and `nonfinite` counts such coordinates of both gradients.
    Gradient(GradientArguments),
    /// Print what an attack does to a given network, as one JSON object
    ///
    /// For each size: accuracy, vulnerability (increase of the 0-1 loss), damage (increase of the loss) and its first-order
    /// prediction; then the smallest perturbation that makes a right prediction wrong, in the unit of the sizes, and the samples
    /// whose gradients are zero or not finite. Numbers that are not finite are null.
    Attack(AttackArguments),
    /// Print the arrays that a given network expects in its file of weights, with their shapes
    Names {
        /// The network: a TOML file with the keys input and layers of a [[network]], or the spec of an experiment
        #[arg(value_name = "NET.toml")]
        network: PathBuf,
        /// Which network of a spec with several: its label
        #[arg(long, value_name = "LABEL")]
        which: Option<String>,
    },
    /// Draw figures again from saved results, without sampling
    Plot {
        /// Results folders, or folders of them, such as runs
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        #[command(flatten)]
        options: PlotOptions,
    },
    /// List the shipped experiments, how many claims each has and how long it takes
    List {
        /// With the sources and the claims in words
        #[arg(long)]
        long: bool,
    },
    /// Explain one experiment: its claim in words and formulas, its assumptions, its source
    Explain {
        /// The name of a shipped experiment, or a spec
        #[arg(id = "specs", value_name = "NAME")]
        name: String,
    },
    /// Write one HTML page of saved results: verdicts, figures, specs
    Report {
        /// Results folders, or folders of them, such as runs; --out names the page, or the folder that gets report.html
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Measure how often verdicts and intervals err, where the truth is known, and which planted defects are found
    ///
    /// Exit status 0 when every rate is as it should be, else 1.
    SelfTest {
        /// Runs of each world
        #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
        runs: u64,
        /// Seeds of each planted defect
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        seeds: u64,
        /// Runs of a family of shipped experiments
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        families: u64,
    },
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for man -l -, or write those of all commands into a folder
    Man {
        /// Write gradlaw.1, gradlaw-run.1 and so on into this folder
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

/// Most walks of a row: an hour of work.
const MOST_WALKS: u64 = 1_000_000_000;

#[derive(Debug, Default, Args)]
struct Sampling {
    /// Start over, without the states that earlier runs saved
    #[arg(long)]
    fresh: bool,
    /// Keep every draw in draws.npz
    #[arg(long)]
    keep_draws: bool,
    /// Print a small picture of the measured points, on logarithmic axes, beneath the table
    #[arg(long)]
    sketch: bool,
}

#[derive(Debug, Args)]
struct Common {
    /// Folder of the results [default: runs]
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of all random numbers, instead of the specs'
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// Threads that sample [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Change a spec's key, dotted; the value is TOML, a bare word a string (repeatable)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = |text: &str| text.parse::<Override>())]
    overrides: Vec<Override>,
    /// GiB that explicitly sampled networks may take, all threads together [default: 4]
    #[arg(long, global = true, value_name = "GIB", value_parser = parse_gib)]
    memory: Option<f64>,
    /// Print no progress and no table
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print verdicts, or the rows of check, theory, paths and names, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

/// GiB unless `--memory` says.
const DEFAULT_GIB: f64 = 4.0;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColorChoice {
    Auto,
    Always,
    Never,
}

fn parse_gib(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(gib) if gib > 0.0 && gib <= 1e6 => Ok(gib),
        _ => Err("must be a number of GiB above 0".into()),
    }
}

impl Command {
    /// The command's name, and the common options that change what it does; --quiet and --color go with all.
    fn heeds(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Verify { .. } => ("verify", ALL),
            Self::Run { .. } => ("run", ALL),
            Self::Merge { .. } => ("merge", &["--out", "--threads", "--set", "--memory", "--json"]),
            Self::Check { .. } => ("check", &["--seed", "--threads", "--set", "--memory", "--json"]),
            Self::Theory { .. } => ("theory", &["--set", "--json"]),
            Self::Paths { .. } => ("paths", &["--seed", "--threads", "--set", "--json"]),
            // What they print is JSON in any case.
            Self::Gradient(_) => ("gradient", &["--threads", "--set", "--memory", "--json"]),
            Self::Attack(_) => ("attack", &["--seed", "--threads", "--set", "--memory", "--json"]),
            Self::Names { .. } => ("names", &["--set", "--json"]),
            Self::Plot { .. } => ("plot", &[]),
            Self::List { .. } => ("list", &[]),
            Self::Explain { .. } => ("explain", &["--set"]),
            Self::Report { .. } => ("report", &["--out"]),
            Self::SelfTest { .. } => ("self-test", &["--threads", "--json"]),
            Self::Completions { .. } => ("completions", &[]),
            Self::Man { .. } => ("man", &[]),
        }
    }
}

/// The common options that not every command heeds.
const ALL: &[&str] = &["--out", "--seed", "--threads", "--set", "--memory", "--json"];

impl Common {
    /// Refuses options that the command would ignore: whoever gives one expects something of it.
    fn check(&self, command: &Command) -> Result<(), Failure> {
        let given = [
            self.out.is_some(),
            self.seed.is_some(),
            self.threads.is_some(),
            !self.overrides.is_empty(),
            self.memory.is_some(),
            self.json,
        ];
        let (name, heeded) = command.heeds();
        match ALL.iter().zip(given).find(|(option, given)| *given && !heeded.contains(option)) {
            None => Ok(()),
            Some((option, _)) => {
                let instead = if matches!(command, Command::Plot { .. }) && *option == "--out" {
                    ", and --to says where figures go"
                } else {
                    ""
                };
                Err(Failure::Usage(format!("{option}: changes nothing in `gradlaw {name}`; leave it out{instead}")))
            }
        }
    }

    /// Refuses a path of data that none of these takes: each takes it only where it reads such data.
    fn check_paths<'a>(&self, origins: impl IntoIterator<Item = &'a Origin>) -> Result<(), Failure> {
        let taken: Vec<&String> = origins.into_iter().flat_map(|origin| &origin.overridden).collect();
        let mut paths = self.overrides.iter().filter(|change| change.is_data_path());
        match paths.find(|path| !taken.iter().any(|key| *key == path.key())) {
            None => Ok(()),
            Some(path) => Err(Failure::Usage(format!("--set {}: nothing here reads such data", path.key()))),
        }
    }

    /// The folder of the results.
    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("runs"))
    }

    fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(all, usize::from)
    }

    fn limits(&self) -> Limits {
        let gib = self.memory.unwrap_or(DEFAULT_GIB);
        Limits { threads: self.threads(), memory: (gib * f64::from(1u32 << 30)) as u64 }
    }

    /// Starts the threads that compute.
    fn start_threads(&self) -> Result<(), Failure> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads())
            .build_global()
            .map_err(|error| Failure::Usage(format!("--threads {}: cannot be started: {error}", self.threads())))
    }

    /// `--set` and `--seed`.
    fn overrides(&self) -> Vec<Override> {
        let seed = self.seed.map(|seed| Override::new("seed", seed.into()));
        self.overrides.iter().cloned().chain(seed).collect()
    }
}

/// Runs the command and says how it ended.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { command, common } = arguments;
    let terminal = Terminal::new(common.color, common.quiet);
    let ranks = match Ranks::of_this_process() {
        Ok(ranks) => ranks,
        Err(failure) => {
            terminal.error(&failure.to_string());
            return failure.exit_code();
        }
    };
    let Some(ranks) = ranks else {
        return ended(command, common, &terminal, None).unwrap_or_else(|failure| {
            terminal.error(&failure.to_string());
            failure.exit_code()
        });
    };
    // One of many speaks for all.
    let terminal = if ranks.leads() { terminal } else { Terminal::silent() };
    match ended(command, common, &terminal, Some(&ranks)) {
        Ok(_) if !ranks.leads() => ranks.end(true, 0),
        Ok(code) => ranks.end(true, u8::from(code != ExitCode::SUCCESS)),
        Err(failure) => {
            terminal.error(&failure.to_string());
            // Where the input is wrong all ranks know it.
            ranks.end(matches!(failure, Failure::Input(_) | Failure::Usage(_)), failure.code())
        }
    }
}

/// Runs the command, on ranks where there are several.
fn ended(command: &Command, common: &Common, terminal: &Terminal, ranks: Option<&Ranks>) -> Result<ExitCode, Failure> {
    if ranks.is_some_and(|ranks| !ranks.leads()) && !matches!(command, Command::Verify { .. } | Command::Run { .. }) {
        return Ok(ExitCode::SUCCESS);
    }
    InstructionSet::requested().map_err(|error| Failure::Usage(error.to_string()))?;
    common.check(command)?;
    match command {
        Command::Verify { specs, sampling } => run::verify(specs, sampling, common, terminal, ranks),
        Command::Run { specs, sampling, shard } => run::run(specs, sampling, *shard, common, terminal, ranks),
        Command::Merge { folders } => merge::merge(folders, common, terminal),
        Command::Check { specs } => check::check(specs, common, terminal),
        Command::Theory { specs } => theory::theory(specs, common, terminal),
        Command::Paths { specs, walks } => paths::paths(specs, *walks, common, terminal),
        Command::Gradient(given) => gradient::gradient(given, common, terminal),
        Command::Attack(given) => attack::attack(given, common, terminal),
        Command::Names { network, which } => {
            let which = Which { label: which.clone(), ..Which::default() };
            names::names(network, &which, common, terminal)
        }
        Command::Plot { folders, options } => plot::plot(folders, options, terminal),
        Command::Report { folders } => report::report(folders, common.out(), terminal),
        Command::List { long } => list::list(*long, terminal),
        Command::Explain { name } => explain::explain(name, common, terminal),
        Command::SelfTest { runs, seeds, families } => {
            let effort = Effort { runs: *runs, seeds: *seeds, families: *families };
            self_test::self_test(effort, common, terminal)
        }
        Command::Completions { shell } => completions::completions(Arguments::command(), *shell, terminal),
        Command::Man { to } => man::man(Arguments::command(), to.as_deref(), terminal),
    }
}
