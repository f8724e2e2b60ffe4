//! The one place that parses specs: from TOML to checked types.
//!
//! What can be checked without the sweep variables is checked here; the binders check the rest in every cell, before anything
//! is sampled or written.

mod draw;
pub mod expression;
mod heading;
mod init;
mod input;
mod layer;
pub mod load;
mod network;
mod observables;
pub mod overrides;
mod panel;
pub mod reader;
mod sampler;
mod samples;
pub mod statistic;
mod sweep;
pub mod text;
mod train;

use std::ops::Deref;

use toml::{Table, Value};

pub use draw::DrawSpec;
pub use heading::Heading;
pub use init::{InitSpec, VarianceSpec};
pub use input::{InputDistribution, InputSpec, LabelSpec};
pub use layer::{LayerSpec, OfNode, OneLayer, in_order_of_nodes, read_layers};
pub use network::{At, Make, NetworkSpec};
pub(super) use network::{NETWORK_KEYS, read_input};
pub use observables::{Definition, Making};
pub use panel::PanelSpec;
pub(super) use panel::{SIZE, size_in};
pub use sampler::SamplerChoice;
pub(super) use samples::SAMPLE_KEYS;
pub use samples::{SamplesSpec, Set};
pub use statistic::StatisticSpec;
pub use sweep::Sweep;
pub use train::{MethodSpec, SettingsSpec, TrainSpec};

use super::claim::{Claim, Scope, read_claims};
use crate::observable::Defined;
use expression::Variables;
use observables::{Measured, read_observables};
use reader::{Origin, Reader, SpecError};

/// Most cells of an experiment: each takes a kilobyte or so before anything is drawn.
const MOST_CELLS: usize = 1_000_000;

/// Keys of every spec.
const KEYS: &[&str] = &[
    "name",
    "title",
    "source",
    "formula",
    "explanation",
    "seconds",
    "version",
    "seed",
    "family_error",
    "observables",
    "define",
    "sweep",
    "network",
    "claim",
    "panel",
];

/// An experiment: networks, what is swept and measured, the claims to judge, and what is done with the networks.
#[derive(Debug, Clone)]
pub struct Spec<W: WorkSpec> {
    /// Name, words and seed.
    pub heading: Heading,
    /// Family-wise error rate of the run that judges it.
    pub family_error: f64,
    /// What is measured, with the names as written; last those that are made of others.
    pub observables: Vec<(String, W::Observable)>,
    /// How they are made.
    pub definitions: Vec<Definition>,
    /// Formulas of their statistics, of which claims speak.
    pub statistics: Vec<StatisticSpec>,
    /// The grid.
    pub sweep: Sweep,
    /// The networks.
    pub networks: Vec<NetworkSpec>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// The panels of the figure; networks that are drawn have one without them, of what claims speak of.
    pub panels: Vec<PanelSpec>,
    /// Draws or trainings.
    pub work: W,
    /// File and options, for error messages.
    pub origin: Origin,
    /// The spec as TOML with defaults filled in: enough to repeat the run.
    pub resolved: Table,
}

/// Paths of data as they are found from any folder, so that a saved spec can be run from elsewhere.
fn make_paths_absolute(resolved: &mut Table) {
    for key in ["input", "data"] {
        let path = resolved.get_mut(key).and_then(|table| table.get_mut("path"));
        if let Some(Value::String(path)) = path
            && let Ok(absolute) = std::path::absolute(&*path)
            && let Some(text) = absolute.to_str()
        {
            text.clone_into(path);
        }
    }
}

/// What is done with the networks of a spec, with the keys that say so.
pub trait WorkSpec: Sized {
    /// One thing that is measured.
    type Observable: Clone + std::fmt::Debug;
    /// Keys beside those of every spec.
    const KEYS: &'static [&'static str];
    /// Whether networks are trained.
    const TRAINS: bool;

    /// Which sampler draws networks that do not say so.
    ///
    /// # Errors
    /// There is none of this name.
    fn sampler(reader: &Reader<'_>) -> Result<SamplerChoice, SpecError>;

    /// A name of something that is measured.
    const EXAMPLE: &'static str;

    /// What a name stands for.
    ///
    /// # Errors
    /// In words, what it may be.
    fn observable(name: &str, sweep: &Sweep) -> Result<Self::Observable, String>;

    /// What stands for one that is made of others.
    fn defined() -> Self::Observable;

    /// Whether definitions may use it: whether it is measured together with them.
    fn in_definitions(_: &Self::Observable) -> bool {
        true
    }

    /// The keys that are its own.
    ///
    /// # Errors
    /// The first that is not allowed.
    fn read(reader: &Reader<'_>, origin: &Origin) -> Result<Self, SpecError>;

    /// The labels that results and claims have, in the order of results.
    fn labels(&self, networks: &[NetworkSpec]) -> Vec<String>;

    /// Fills its defaults into the table that is saved with the results.
    fn resolve(&self, networks: &[NetworkSpec], table: &mut Table);
}

/// A spec of either kind.
#[derive(Debug, Clone)]
pub enum AnySpec {
    /// Of networks at initialisation.
    Draw(Box<Spec<DrawSpec>>),
    /// Of trained networks.
    Train(Box<Spec<TrainSpec>>),
}

impl AnySpec {
    /// Checks a spec that was read as TOML: one with a table `[training]` trains networks.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key.
    pub fn from_table(table: &Table, origin: Origin) -> Result<Self, SpecError> {
        if table.contains_key("training") {
            Spec::from_table(table, origin).map(|spec| Self::Train(Box::new(spec)))
        } else {
            Spec::from_table(table, origin).map(|spec| Self::Draw(Box::new(spec)))
        }
    }

    /// The spec, if it is one of networks at initialisation.
    ///
    /// # Errors
    /// It is one of trained networks.
    pub fn drawn(self) -> Result<Spec<DrawSpec>, SpecError> {
        match self {
            Self::Draw(spec) => Ok(*spec),
            Self::Train(spec) => Err(spec.origin.error(
                "training",
                "",
                "makes this a spec of trained networks, which `gradlaw run` and `gradlaw verify` take, and nothing else here",
            )),
        }
    }

    /// Name, words and seed.
    pub fn heading(&self) -> &Heading {
        match self {
            Self::Draw(spec) => spec,
            Self::Train(spec) => spec,
        }
    }

    /// The networks and the grid.
    pub fn networks(&self) -> (&[NetworkSpec], &Sweep) {
        match self {
            Self::Draw(spec) => (&spec.networks, &spec.sweep),
            Self::Train(spec) => (&spec.networks, &spec.sweep),
        }
    }

    /// The claims.
    pub fn claims(&self) -> &[Claim] {
        match self {
            Self::Draw(spec) => &spec.claims,
            Self::Train(spec) => &spec.claims,
        }
    }

    /// File and options, for error messages.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Draw(spec) => &spec.origin,
            Self::Train(spec) => &spec.origin,
        }
    }

    /// The spec as TOML with defaults filled in.
    pub fn resolved(&self) -> &Table {
        match self {
            Self::Draw(spec) => &spec.resolved,
            Self::Train(spec) => &spec.resolved,
        }
    }

    /// Names of the sweep variables.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Draw(spec) => spec.sweep.names().collect(),
            Self::Train(spec) => spec.sweep.names().collect(),
        }
    }

    /// The key under which data has to be named before the spec can run, where that is so.
    pub fn missing_data(&self) -> Option<&'static str> {
        match self {
            Self::Draw(spec) => spec.work.input.distribution.lacks_path().then_some("input.path"),
            Self::Train(spec) => spec.work.data.samples.lacks_path().then_some("data.path"),
        }
    }
}

impl<W: WorkSpec> Deref for Spec<W> {
    type Target = Heading;

    fn deref(&self) -> &Heading {
        &self.heading
    }
}

impl<W: WorkSpec> Spec<W> {
    /// Checks a spec that was read as TOML.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key.
    pub fn from_table(table: &Table, origin: Origin) -> Result<Self, SpecError> {
        let reader = Reader::new(table, &origin, "", &[KEYS, W::KEYS].concat())?;
        let heading = Heading::read(&reader)?;
        let sweep = sweep::read_sweep(&reader, &origin)?;
        let networks = network::read_networks(&reader, &origin, W::sampler(&reader)?)?;
        if networks.len().saturating_mul(sweep.size()) > MOST_CELLS {
            let message =
                format!("networks and points of the sweep: must be at most {MOST_CELLS} together, one times the other");
            return Err(origin.error("network", &networks.len().to_string(), message));
        }
        let Measured { observables, definitions } = read_observables::<W>(&reader, &origin, &sweep)?;
        let work = W::read(&reader, &origin)?;
        let labels = work.labels(&networks);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let variables: Vec<&str> = sweep.names().collect();
        let names = names_of(&observables);
        let scope = Scope { labels: &labels, observables: &names, variables: &variables, trains: W::TRAINS };
        let claims = read_claims(&reader, &origin, scope)?;
        let statistics = statistics_of(&claims, &names);
        let mut panels = panel::read_panels(&reader, &origin, &names, &sweep)?;
        // Drawn networks without panels have a figure of their own.
        if panels.is_empty() && W::TRAINS {
            panels = panel::default_panels(&names, &sweep);
        }
        let family_error = read_family_error(&reader)?;
        // Last, so that a formula which cannot be read is refused as such.
        sweep::check_use(table, &sweep, &origin)?;
        let mut resolved = table.clone();
        heading.resolve(&mut resolved);
        work.resolve(&networks, &mut resolved);
        make_paths_absolute(&mut resolved);
        resolved.entry("family_error").or_insert(Value::Float(family_error));
        Ok(Self {
            heading,
            family_error,
            observables,
            definitions,
            statistics,
            sweep,
            networks,
            claims,
            panels,
            work,
            origin,
            resolved,
        })
    }

    /// The names of all that is measured: observables, and statistics of them.
    pub fn names(&self) -> Vec<&str> {
        let statistics = self.statistics.iter().map(|statistic| statistic.name.as_str());
        names_of(&self.observables).into_iter().chain(statistics).collect()
    }

    /// The observables that are made of others, at a point with these variables.
    ///
    /// # Errors
    /// Names a variable that is not there.
    pub fn defined_at(&self, variables: &Variables) -> Result<Vec<Defined>, String> {
        let together = self.observables.iter().filter(|(_, observable)| W::in_definitions(observable));
        let names: Vec<&str> = together.map(|(name, _)| name.as_str()).collect();
        observables::defined_at(&self.definitions, &names, variables)
    }

    /// The labels that results and claims have, in the order of results.
    pub fn labels(&self) -> Vec<String> {
        self.work.labels(&self.networks)
    }
}

/// The key `family_error`: the rate of false alarms of a whole run.
fn read_family_error(reader: &Reader<'_>) -> Result<f64, SpecError> {
    let allowed = "must be a number between 0 and 0.5";
    Ok(reader.number("family_error", allowed, |rate| rate > 0.0 && rate < 0.5)?.unwrap_or(1e-3))
}

/// The statistics that claims speak of, each once.
pub(super) fn statistics_of(claims: &[Claim], names: &[&str]) -> Vec<StatisticSpec> {
    let mut statistics: Vec<StatisticSpec> = Vec::new();
    for name in claims.iter().flat_map(|claim| claim.observables()) {
        let is_new = !names.contains(&name) && statistics.iter().all(|known| known.name != name);
        statistics.extend(is_new.then(|| StatisticSpec::parse(name, names).ok().flatten()).flatten());
    }
    statistics
}

/// The names of what is measured.
pub(super) fn names_of<T>(observables: &[(String, T)]) -> Vec<&str> {
    observables.iter().map(|(name, _)| name.as_str()).collect()
}
