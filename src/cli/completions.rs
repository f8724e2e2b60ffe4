//! `gradlaw completions`: a shell's completions, from the same tables as the help texts, with the names of the shipped experiments where
//! a command takes specs.

use std::process::ExitCode;

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use gradlaw::experiment::catalogue::SHIPPED;

use super::failure::Failure;
use super::terminal::Terminal;

/// The argument of specs, or names of shipped experiments.
const SPECS: &str = "specs";

/// Prints the completions.
pub fn completions(command: Command, shell: Shell, terminal: &Terminal) -> Result<ExitCode, Failure> {
    terminal.print(script(command, shell).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn script(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let takes_specs = |command: &Command| command.get_positionals().any(|argument| argument.get_id() == SPECS);
    let takers: Vec<String> = command
        .get_subcommands()
        .filter(|command| takes_specs(command))
        .map(|command| command.get_name().into())
        .collect();
    let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    for taker in &takers {
        command = command.mut_subcommand(taker, |command| {
            command.mut_arg(SPECS, |specs| specs.value_parser(PossibleValuesParser::new(&names)))
        });
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let names = names.join(" ");
    match shell {
        // Of values that it knows zsh offers no others, where files are as good.
        Shell::Zsh => script.replace(
            &format!(":({names})'"),
            &format!(": _alternative \"names:experiment:({names})\" \"files:spec:_files\"'"),
        ),
        // The generator leaves out what is no option.
        Shell::Fish => takers.iter().fold(script, |script, taker| {
            script + &format!("complete -c {name} -n \"__fish_{name}_using_subcommand {taker}\" -a \"{names}\"\n")
        }),
        _ => script,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn zsh_and_fish_offer_experiments_beside_files() {
        let zsh = script(Arguments::command(), Shell::Zsh);
        assert_eq!(zsh.matches("\"names:experiment:(dense-dimension ").count(), 6);
        assert_eq!(zsh.matches("\"files:spec:_files\"").count(), 6);
        let fish = script(Arguments::command(), Shell::Fish);
        for taker in ["verify", "run", "check", "theory", "paths", "explain"] {
            assert!(fish.contains(&format!("using_subcommand {taker}\" -a \"dense-dimension ")), "{taker}");
        }
    }
}
