//! Networks trained at two sizes, plainly and with a gradient penalty, on images made on the spot: the penalty lowers ‖∂ₓL‖₁.
//! `cargo run --release --example training_sweep`

use gradlaw::experiment::{Experiment, RunOptions, judge, load};
use gradlaw::prelude::*;

const SPEC: &str = r#"
name = "penalty"
repeats = 3
observables = ["accuracy", "loss.l1"]
sweep = { side = [8, 16] }
data = { set = "synthetic", samples = 400, validation = 100, test = 100, resize = "side" }
training = { epochs = 3, batch = 20, rate = 0.05 }

[[network]]
input = [3, "side", "side"]
layers = [
  { type = "conv", channels = 8, kernel = 3, padding = 1, stride = 2 }, { type = "relu" },
  { type = "global-avg-pool" }, { type = "dense", units = 10 },
]

[[method]]
label = "plain"
objective = "plain"

[[method]]
label = "penalised"
objective = "gradient-penalty"
norm = 1
strength = 0.05

[[claim]]
statement = "the penalty lowers ‖∂ₓL‖₁"
less = ["penalised", "plain"]
observable = "loss.l1"
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let experiment = Experiment::prepare(load::parse("penalty", SPEC, &[])?, &Limits::default())?;
    let folder = std::env::temp_dir().join("gradlaw-penalty");
    let results = experiment.run(&folder, RunOptions { fresh: true, ..RunOptions::default() }, &Unwatched)?;
    for verdict in judge(&[experiment.measured(&results.measurements)]).concat() {
        println!("{} [{}]: {}", verdict.statement, verdict.network, verdict.verdict.name());
    }
    Ok(())
}
