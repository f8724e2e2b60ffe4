//! The same work in PyTorch and JAX, by the programs in `benches/peers/`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A peer with its best settings.
#[derive(Debug)]
pub struct Peer {
    name: String,
    command: Vec<String>,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Peer {
    /// A program of `benches/peers/` on a case, given as JSON. Tries all settings and keeps the best; with `quick` takes the
    /// first, which are those that were best before. None where the framework does not run.
    pub fn tuned(python: &Path, program: &str, case: &str, framework: &str, quick: bool) -> Option<Self> {
        let script = format!("{}/benches/peers/{program}", env!("CARGO_MANIFEST_DIR"));
        let name = format!("{framework}, {case}");
        let mut command: Vec<String> = vec![python.to_string_lossy().into_owned(), script];
        command.extend(["--case", case, "--framework", framework].map(String::from));
        if !quick {
            let mut tune = command.clone();
            tune.extend(["--tune", "--seconds", "1"].map(String::from));
            let setting = run(&tune)?;
            eprintln!("{name}: {setting}");
            command.extend(["--setting".into(), setting.to_string()]);
        }
        Some(Self { name, command })
    }

    /// What the program prints of a measurement of so many seconds; null where it failed.
    pub fn measure(&self, seconds: f64) -> Value {
        let mut command = self.command.clone();
        command.extend(["--seconds".into(), seconds.to_string()]);
        let result = run(&command).unwrap_or_default();
        if result["rate"].as_f64().unwrap_or(0.0) == 0.0 {
            eprintln!("{self} failed: {}", result["error"]);
        }
        result
    }
}

/// The JSON that a program prints.
fn run(command: &[String]) -> Option<Value> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}
