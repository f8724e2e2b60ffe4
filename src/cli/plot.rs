//! `gradlaw plot`: figures again from saved results, for a screen, a paper or a slide.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradlaw::experiment::results::{folder, folders};
use gradlaw::figure::{Drawing, Form, Page, Sheet, Width};

use super::failure::Failure;
use super::terminal::Terminal;

/// The results folders among these paths; what is none is passed over with a word.
pub(super) fn find(paths: &[PathBuf], terminal: &Terminal) -> Result<Vec<PathBuf>, Failure> {
    let found = folders::find(paths).map_err(|error| Failure::Usage(error.to_string()))?;
    for path in &found.passed_over {
        terminal.note(&format!("{}: holds no results, passed over", path.display()));
    }
    Ok(found.folders)
}

/// What figures are drawn for.
#[derive(Debug, Args)]
pub struct PlotOptions {
    /// Write NAME.svg and so on, and the points as NAME.csv, into this folder instead of beside the results
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// For a column (86 mm) or the page (178 mm) of a paper, a slide, or so many pixels wide
    #[arg(long, value_name = "column|page|slide|PX")]
    width: Option<Width>,
    /// Forms, separated by commas [default: svg,png]
    #[arg(long, value_name = "svg,png,pdf,csv", value_delimiter = ',')]
    format: Vec<Form>,
    /// Without title, subtitle and small print, which a caption says in a paper
    #[arg(long)]
    no_title: bool,
    /// All figures on one sheet of this name, each with its letter; into the folder of --to
    #[arg(long, value_name = "NAME", requires = "to")]
    grid: Option<String>,
}

impl PlotOptions {
    fn page(&self) -> Page {
        Page::new(self.width.unwrap_or_default(), !self.no_title)
    }

    /// The forms that are asked for, each once; the numbers too where there is no points.csv beside the figure.
    fn forms(&self) -> Vec<Form> {
        let asked = if self.format.is_empty() { &[Form::Svg, Form::Png][..] } else { &self.format };
        let is_asked = |form: &Form| asked.contains(form) || (*form == Form::Csv && self.to.is_some());
        Form::ALL.into_iter().filter(is_asked).collect()
    }
}

/// Draws the figure of each results folder, beside its results or into one folder.
pub fn plot(paths: &[PathBuf], options: &PlotOptions, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let folders = find(paths, terminal)?;
    let read = |folder: &PathBuf| {
        // A folder that holds no results is the user's mistake, not the machine's.
        folder::read(folder).map_err(|error| Failure::Usage(error.to_string()))
    };
    let all = folders.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let (page, forms) = (options.page(), options.forms());
    let draw = |drawing: &dyn Drawing, place: &Path, name: &str| -> Result<(), Failure> {
        folder::draw(drawing, &page, &forms, place, name)?;
        let names: Vec<String> = forms.iter().map(|form| format!("{name}.{}", form.suffix())).collect();
        terminal.note(&format!("{}/{}", place.display(), names.join(", ")));
        Ok(())
    };
    if let (Some(name), Some(to)) = (&options.grid, &options.to) {
        let sheet = Sheet(all.iter().map(folder::Saved::drawing).collect());
        draw(&sheet, to, name)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (folder, saved) in folders.iter().zip(&all) {
        let beside = (folder.as_path(), "figure");
        let (place, name) = options.to.as_deref().map_or(beside, |to| (to, saved.spec.heading().name.as_str()));
        draw(&*saved.drawing(), place, name)?;
    }
    Ok(ExitCode::SUCCESS)
}
