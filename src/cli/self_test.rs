//! `gradlaw self-test`: how often the judgement errs, and which planted defects it finds.

use std::process::ExitCode;

use gradlaw::experiment::self_test::{Effort, Expected, Rate, SelfTest, SelfTestError};

use super::Common;
use super::failure::Failure;
use super::progress::Progress;
use super::run::failed;
use super::table;
use super::terminal::Terminal;

/// Runs the test and prints its tables; exit status 0 when every rate is as expected, else 1.
pub fn self_test(effort: Effort, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    common.start_threads()?;
    let progress = Progress::of_parts(SelfTest::parts(), terminal);
    let scratch = std::env::temp_dir().join(format!("gradlaw-self-test-{}", std::process::id()));
    let done = SelfTest::run(effort, &scratch, &progress);
    progress.clear();
    // It holds what nobody asked for, and is gone with the system's temporary files at the latest.
    let _ = std::fs::remove_dir_all(&scratch);
    let found = done.map_err(|error| match error {
        SelfTestError::Spec(error) => Failure::Input(error),
        SelfTestError::Run(error) => failed(error),
        other => Failure::Usage(other.to_string()),
    })?;
    // Rates are numbers and strings, which JSON can hold.
    let text = if common.json { serde_json::to_string_pretty(&found).unwrap_or_default() } else { tables(&found) };
    terminal.print(&text)?;
    Ok(ExitCode::from(u8::from(!found.agrees())))
}

fn tables(found: &SelfTest) -> String {
    let header = [
        "claim",
        "judged on",
        "95 % interval covers",
        "refuted at 5 %",
        "held at 5 %",
        "true one held",
        "false one refuted",
    ];
    let judged = found.judged.iter().map(|line| {
        let rates = line.rates().map(|rate| rate.map(shown).unwrap_or_default());
        [line.what.clone(), line.world.clone()].into_iter().chain(rates)
    });
    let planted = found.planted.iter().map(|(what, rate)| [what.clone(), shown(*rate)]);
    let families = format!(
        "{} of {} runs of shipped experiments refuted a claim, at a family error of 5 %: {}",
        found.families.count,
        found.families.of,
        shown(found.families)
    );
    [table::plain(&header, 2, judged), table::plain(&["planted defect", "found"], 1, planted), families].join("\n\n")
}

/// A rate in per cent, with what was expected of it where it is not.
fn shown(rate: Rate) -> String {
    let per_cent = |share: f64| format!("{:.2} %", 100.0 * share);
    if rate.agrees() {
        return per_cent(rate.share());
    }
    let expected = match rate.expected {
        Expected::Exactly(share) => per_cent(share),
        Expected::AtMost(share) => format!("at most {}", per_cent(share)),
        Expected::AtLeast(share) | Expected::Covers(share) => format!("at least {}", per_cent(share)),
    };
    format!("{} ✗ {expected}", per_cent(rate.share()))
}
