//! `gradlaw attack`: what an attack does to a given network, as one JSON object.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

use gradlaw::attack::{AnyAttack, Attack, Bounds, SIZES};
use gradlaw::data::{ResizeFilter, Split};
use gradlaw::experiment::Watcher;
use gradlaw::experiment::given::{self, AttackRequest, Attacked, LabelledSamples, Labels, Precision, Selection};
use gradlaw::experiment::specification::expression::Expression;
use gradlaw::network::Real;

use super::Common;
use super::failure::Failure;
use super::given::{Dtype, NetworkArguments, parse_labels};
use super::progress::Progress;
use super::terminal::Terminal;

/// Arguments of `gradlaw attack`.
#[derive(Debug, Args)]
pub struct AttackArguments {
    #[command(flatten)]
    given: NetworkArguments,
    /// Samples: a .npy file, or CIFAR-10 in the binary layout (its folder, .tar.gz or test_batch.bin), resized to the network's side
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The part of CIFAR-10 to take samples of [default: test, or that of a batch that is named]
    #[arg(long, value_enum)]
    split: Option<SplitChoice>,
    /// The attack
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(AnyAttack::names()))]
    attack: String,
    /// Its sizes: the largest change of a coordinate, in the l2 norm times the square root of the dimension
    ///
    /// Numbers or formulas such as 8/255; deepfool and boundary, which find their size, can do without.
    #[arg(long = "epsilon", value_name = "E", num_args = 1.., value_delimiter = ',',
        allow_negative_numbers = true, value_parser = parse_epsilon)]
    epsilons: Vec<f64>,
    /// Labels of .npy samples: a class for all, one for each (C,C,...), or a .npy file [default: the predicted classes]
    #[arg(long, value_name = "C[,C...]", allow_hyphen_values = true, value_parser = parse_labels)]
    label: Option<Labels>,
    /// Take the first N samples [default: 1000 of CIFAR-10, all of a .npy file]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// How images are resized to the network's side [default: nearest]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(ResizeFilter::names()))]
    resize_filter: Option<String>,
    /// Values that coordinates may take, or none for any [default: 0,1 for CIFAR-10, none for a .npy file]
    #[arg(long = "box", value_name = "LOW,HIGH", allow_hyphen_values = true, value_parser = parse_box)]
    bounds: Option<BoxChoice>,
    /// Steps of the attack [default: 7; deepfool at most 50; boundary 1000]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=MOST_STEPS))]
    steps: Option<u64>,
    /// Size of a step of ifgsm, il2, pgd and pgd-l2, in the unit of --epsilon [default: 4/3 of the size over the number of steps]
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_epsilon)]
    step_size: Option<f64>,
    /// Start pgd, pgd-l2 or boundary N times from other random numbers; of each sample the worst counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    restarts: u32,
    /// Make the prediction class C: the attack lowers the loss with C, and succeeds where C is predicted
    #[arg(long, value_name = "C")]
    target: Option<usize>,
    /// Precision of weights, inputs and gradients
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// Write the perturbed samples here: [N, input shape...], or [sizes, N, input shape...] for several sizes
    #[arg(long, value_name = "ADV.npy")]
    save: Option<PathBuf>,
    /// Write a row for each sample here: label, prediction, loss, smallest size, and what becomes of it at each size
    #[arg(long, value_name = "FILE.csv")]
    per_sample: Option<PathBuf>,
}

/// What `--split` says.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum SplitChoice {
    /// The images that networks are trained on
    Train,
    /// The images held back from training
    Test,
}

impl From<SplitChoice> for Split {
    fn from(choice: SplitChoice) -> Self {
        match choice {
            SplitChoice::Train => Self::Training,
            SplitChoice::Test => Self::Test,
        }
    }
}

impl From<Split> for SplitChoice {
    fn from(split: Split) -> Self {
        match split {
            Split::Training => Self::Train,
            Split::Test => Self::Test,
        }
    }
}

/// Most steps of an attack.
const MOST_STEPS: u64 = 1_000_000_000;

/// The seed unless one is given, as in the specs.
const SEED: i64 = 1;

/// What `--box` says: bounds, or none.
#[derive(Debug, Clone, Copy)]
struct BoxChoice(Option<Bounds>);

fn parse_epsilon(text: &str) -> Result<f64, String> {
    let allowed = || format!("must be a number from {:e} to {:e}", SIZES.start(), SIZES.end());
    let value = Expression::parse(text).and_then(|formula| formula.evaluate(&[]));
    value.ok().filter(|epsilon| SIZES.contains(epsilon)).ok_or_else(allowed)
}

fn parse_box(text: &str) -> Result<BoxChoice, String> {
    if text == "none" {
        return Ok(BoxChoice(None));
    }
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let ends = text.split_once(',').and_then(|(low, high)| Some((number(low)?, number(high)?)));
    // Both precisions hold them apart.
    let bounds = ends.and_then(|(low, high)| {
        Bounds::new((low as f32).into(), (high as f32).into())?;
        Bounds::new(low, high)
    });
    bounds
        .map(|bounds| BoxChoice(Some(bounds)))
        .ok_or_else(|| "must be two numbers, LOW,HIGH with LOW below HIGH, or none".into())
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    network: String,
    weights: String,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<SplitChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<String>>,
    samples: usize,
    available: usize,
    attack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_size: Option<f64>,
    restarts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<usize>,
    norm: String,
    seed: i64,
    dtype: Dtype,
    #[serde(rename = "box")]
    bounds: Option<[f64; 2]>,
    accuracy: f64,
    loss: f64,
    thresholds: Vec<Threshold>,
    smallest: Smallest,
    masking: Masking,
    nonfinite: usize,
}

#[derive(Debug, Serialize)]
struct Threshold {
    epsilon: f64,
    size: f64,
    accuracy: f64,
    vulnerability: Mean,
    changed: f64,
    /// Where the attack has a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<f64>,
    damage: Mean,
    first_order: f64,
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Mean {
    mean: f64,
    std_error: f64,
}

impl From<given::Mean> for Mean {
    fn from(given::Mean { mean, std_error }: given::Mean) -> Self {
        Self { mean, std_error }
    }
}

#[derive(Debug, Serialize)]
struct Smallest {
    count: usize,
    unfound: usize,
    mean: f64,
    std_error: f64,
    interval: [f64; 2],
    median: f64,
}

#[derive(Debug, Serialize)]
struct Masking {
    zero_gradients: usize,
    nonfinite_gradients: usize,
}

/// Attacks the network and prints what becomes of it.
pub fn attack(arguments: &AttackArguments, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let report = match arguments.dtype {
        Dtype::F32 => compute::<f32>(arguments, common, terminal)?,
        Dtype::F64 => compute::<f64>(arguments, common, terminal)?,
    };
    // Strings and numbers, which JSON can hold; numbers that are not finite become null.
    terminal.print(&serde_json::to_string(&report).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

fn compute<T: Precision>(arguments: &AttackArguments, common: &Common, terminal: &Terminal) -> Result<Report, Failure> {
    let attack = chosen(arguments)?;
    let network = arguments.given.load::<T>(common, terminal)?;
    common.check_paths([&network.origin])?;
    let selection = Selection {
        path: &arguments.data,
        split: arguments.split.map(Split::from),
        labels: arguments.label.as_ref(),
        count: arguments.samples.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        filter: arguments.resize_filter.as_deref().and_then(ResizeFilter::named),
        bounds: arguments.bounds.map(|BoxChoice(bounds)| bounds),
    };
    // First, since images are read on all threads.
    common.start_threads()?;
    let samples = T::read(&network, &selection)?;
    let seed = common.seed.unwrap_or(SEED);
    let progress = Progress::of_parts(1, terminal);
    progress.point(0, 1, &arguments.attack);
    let request = AttackRequest {
        attack,
        epsilons: &arguments.epsilons,
        seed: seed.unsigned_abs(),
        restarts: arguments.restarts as usize,
        target: arguments.target,
        keep: arguments.save.is_some(),
    };
    request.check(&network.architecture, &samples, &common.limits())?;
    let (attacked, perturbed) = T::attacks(&network, &samples, &request, &progress);
    progress.clear();
    if let Some(path) = &arguments.save {
        perturbed.save(path)?;
    }
    if let Some(path) = &arguments.per_sample {
        attacked.save_samples(path)?;
    }
    Ok(report(arguments, attack, seed, &samples, attacked))
}

/// The attack that is asked for, with its steps and their size; what it would ignore is refused.
fn chosen(arguments: &AttackArguments) -> Result<AnyAttack, Failure> {
    let name = &arguments.attack;
    let unknown = || Failure::Usage(format!("--attack {name}: is no attack"));
    let attack = AnyAttack::named(name).ok_or_else(unknown)?;
    if arguments.epsilons.is_empty() && (!attack.finds_its_size() || arguments.save.is_some()) {
        let reason = if attack.finds_its_size() { "--save needs the sizes" } else { "needs a size" };
        return Err(Failure::Usage(format!("--epsilon: is missing; {name} {reason}, such as 8/255")));
    }
    let steps = arguments.steps.map(|steps| usize::try_from(steps).unwrap_or(usize::MAX));
    let configured = attack.configured(steps, arguments.step_size, arguments.restarts as usize);
    configured.map_err(|message| Failure::Usage(format!("--{message}")))
}

fn report<T: Real>(
    arguments: &AttackArguments,
    attack: AnyAttack,
    seed: i64,
    samples: &LabelledSamples<T>,
    attacked: Attacked,
) -> Report {
    // The loss with the label rises only by the way where a target's loss falls.
    let first_order = |value: f64| if arguments.target.is_none() { value } else { f64::NAN };
    let threshold = |threshold: given::Threshold| Threshold {
        epsilon: threshold.epsilon,
        size: threshold.size,
        accuracy: threshold.accuracy,
        vulnerability: threshold.vulnerability.into(),
        changed: threshold.changed,
        success: arguments.target.map(|_| threshold.success),
        ratio: first_order(threshold.damage.mean / threshold.first_order),
        damage: threshold.damage.into(),
        first_order: first_order(threshold.first_order),
    };
    let (split, files) = samples.part.clone().unzip();
    let given::Smallest { count, unfound, mean, interval, median } = attacked.smallest;
    Report {
        network: arguments.given.network.display().to_string(),
        weights: arguments.given.weights.display().to_string(),
        data: arguments.data.display().to_string(),
        split: split.map(SplitChoice::from),
        files,
        samples: samples.count(),
        available: samples.available,
        attack: arguments.attack.clone(),
        steps: attack.steps(),
        step_size: attack.step_size(),
        restarts: arguments.restarts,
        target: arguments.target,
        norm: attack.norm().to_string(),
        seed,
        dtype: arguments.dtype,
        bounds: samples.bounds.map(Bounds::ends),
        accuracy: attacked.accuracy,
        loss: attacked.loss,
        thresholds: attacked.thresholds.into_iter().map(threshold).collect(),
        smallest: Smallest { count, unfound, mean: mean.mean, std_error: mean.std_error, interval, median },
        masking: Masking { zero_gradients: attacked.zero_gradients, nonfinite_gradients: attacked.nonfinite_gradients },
        nonfinite: attacked.nonfinite,
    }
}
