//! The same draws in PyTorch and JAX, by the programs in `benches/peers/`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cases::{Case, Framework};

/// A peer with its best settings.
#[derive(Debug)]
pub struct Peer {
    pub framework: Framework,
    command: Vec<String>,
}

impl Peer {
    /// Tries all settings and keeps the best; with `quick` takes the first, which are those that were best before. None
    /// where the framework does not run.
    pub fn tuned(python: &Path, case: &Case, framework: Framework, quick: bool) -> Option<Self> {
        let (program, argument) = case.peer.as_ref()?;
        let script = format!("{}/benches/peers/{program}", env!("CARGO_MANIFEST_DIR"));
        let name = format!("{framework:?}").to_lowercase();
        let mut command: Vec<String> = vec![python.to_string_lossy().into_owned(), script];
        command.extend(["--case", argument, "--framework", &name].map(String::from));
        if !quick {
            let mut tune = command.clone();
            tune.extend(["--tune", "--seconds", "1"].map(String::from));
            let setting = run(&tune)?;
            eprintln!("{}, {framework:?}: {setting}", case.name);
            command.extend(["--setting".into(), setting.to_string()]);
        }
        Some(Self { framework, command })
    }

    /// Draws per second and the mean of ‖∂ₓL‖₁; zero where it failed.
    pub fn measure(&self, seconds: f64) -> (f64, f64) {
        let mut command = self.command.clone();
        command.extend(["--seconds".into(), seconds.to_string()]);
        let result = run(&command).unwrap_or_default();
        let rate = result["rate"].as_f64().unwrap_or(0.0);
        if rate == 0.0 {
            eprintln!("{:?} failed: {}", self.framework, result["error"]);
        }
        (rate, result["means"][0].as_f64().unwrap_or(f64::NAN))
    }
}

/// The JSON that a program prints.
fn run(command: &[String]) -> Option<Value> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}
