//! From a training spec to jobs, each the training of one network: shapes, laws and settings checked before anything runs.

use std::collections::HashMap;
use std::sync::Arc;

use toml::Value;

use super::data::Data;
use super::measure::Quantity;
use crate::data::SampleSet;
use crate::digest::sha256;
use crate::experiment::architecture::ArchitectureBinder;
use crate::experiment::cell::Cell;
use crate::experiment::initialisation::InitialisationBinder;
use crate::experiment::place::{place, with_dimension};
use crate::experiment::results::kept::Provenance;
use crate::experiment::specification::expression::{Expression, Variables};
use crate::experiment::specification::reader::SpecError;
use crate::experiment::specification::{LayerSpec, MethodSpec, NetworkSpec, Spec, TrainSpec};
use crate::experiment::work::{Limits, check};
use crate::network::layer::{Layer, Statistics};
use crate::network::{Architecture, Initialisation, Normalise, Shape};
use crate::observable::Defined;
use crate::short::short;
use crate::stream::StreamKey;
use crate::training::objective::{Choices, ObjectiveRule};
use crate::training::{Augmentation, Schedule, Sgd, TrainingSettings};

/// Changes when the same spec gives other networks.
const TRAINING_FORMAT: u32 = 4;

/// A spec of trained networks with its jobs, checked and ready to run.
#[derive(Debug)]
pub struct Training {
    /// The spec.
    pub spec: Spec<TrainSpec>,
    /// The cells, in the order of results: network by network, method by method, point by point.
    pub(crate) cells: Vec<Cell>,
    /// The trainings that there are. A network that does not depend on a sweep variable is trained once for all its points.
    pub(crate) jobs: Vec<Job>,
    /// For each cell, the job of each repetition.
    pub(crate) places: Vec<Vec<usize>>,
    /// Which samples are for what.
    pub(crate) data: Data,
}

/// The training of one network.
#[derive(Debug)]
pub(crate) struct Job {
    /// The label of the network.
    pub network: String,
    /// The label of the network and the method.
    pub label: String,
    /// Values of the sweep variables, at the first of its points.
    pub variables: Vec<(String, f64)>,
    /// Which repetition.
    pub repeat: usize,
    /// Its shapes.
    pub architecture: Architecture,
    /// The law of its first parameters.
    pub initialisation: Initialisation,
    /// How it is trained.
    pub settings: TrainingSettings,
    /// Training and test samples as it sees them.
    pub samples: [Arc<dyn SampleSet>; 2],
    /// What is measured that is made of other quantities.
    pub defined: Vec<Defined>,
    /// The key of its random numbers, the same for all methods.
    pub key: StreamKey,
    /// A text that is the same for two runs exactly when one can go on where the other stopped.
    pub fingerprint: String,
}

impl Job {
    /// The cell of its first point.
    fn cell(&self) -> Cell {
        Cell {
            network: self.label.clone(),
            variables: self.variables.clone(),
            architecture: self.architecture.clone(),
            initialisation: self.initialisation.clone(),
            input: None,
            theory: Vec::new(),
        }
    }

    /// Bytes that its training holds, about: parameters with their gradient, velocity and best values, and what a batch has in
    /// every layer, forward, back, and in the derivative along a direction.
    fn bytes(&self) -> u64 {
        let values = self.architecture.nodes().iter().map(|node| node.output.len() as u64).sum::<u64>();
        let batch = (values + self.architecture.dimension() as u64) * self.settings.batch as u64;
        4 * (6 * self.architecture.parameter_count() as u64 + 4 * batch)
    }

    /// The network, the point and the repetition, for people.
    pub fn describe(&self) -> String {
        format!("{}, network {}", place(&self.label, &self.variables), self.repeat + 1)
    }

    /// Multiplications of a pass, about: longer jobs are begun first.
    pub fn cost(&self) -> f64 {
        let passes = self.settings.objective.passes(self.architecture.outputs());
        self.architecture.cost() * passes
    }
}

/// Networks that are trained side by side: where there are fewer than threads, they are trained one after the other.
fn together(networks: usize, threads: usize) -> usize {
    if networks < threads { 1 } else { threads }
}

impl Training {
    /// Opens the data and binds every job.
    ///
    /// # Errors
    /// The first thing in the spec or its data that is not allowed; nothing was written.
    pub fn prepare(spec: Spec<TrainSpec>, limits: &Limits) -> Result<Self, SpecError> {
        let grid = spec.sweep.points();
        let data = spec.work.data.open(&spec.origin, &grid, spec.seed)?;
        let (mut cells, mut jobs, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut known: HashMap<String, usize> = HashMap::new();
        let networks = spec.networks.len() * spec.work.methods.len() * grid.len() * spec.work.repeats;
        let together = together(networks, limits.threads);
        for network in &spec.networks {
            for method in &spec.work.methods {
                for variables in &grid {
                    let binder = Binder { spec: &spec, network, method, variables };
                    let mut repetitions = Vec::new();
                    for repeat in 0..spec.work.repeats {
                        let job = binder.job(&data, repeat)?;
                        if repeat == 0 {
                            binder.check_memory(&job, limits, together)?;
                            cells.push(job.cell());
                        }
                        let index = *known.entry(job.fingerprint.clone()).or_insert(jobs.len());
                        repetitions.push(index);
                        if index == jobs.len() {
                            jobs.push(job);
                        }
                    }
                    places.push(repetitions);
                }
            }
        }
        check(&spec, &cells.iter().collect::<Vec<_>>())?;
        let mut experiment = Self { spec, cells, jobs, places, data };
        experiment.resolve_constants();
        Ok(experiment)
    }

    /// The networks at the points of the sweep.
    pub fn cells(&self) -> Vec<&Cell> {
        self.cells.iter().collect()
    }

    /// Multiplications that all trainings take, about: forward, back, and for the weights.
    pub fn cost(&self) -> f64 {
        let samples = 3.0 * (self.data.training.len() * self.spec.work.settings.epochs) as f64;
        self.jobs.iter().map(|job| samples * job.cost()).sum()
    }

    /// Bytes that the networks under way on so many threads hold, at most.
    pub fn bytes(&self, threads: usize) -> u64 {
        let most = self.jobs.iter().map(Job::bytes).max().unwrap_or(0);
        most.saturating_mul(together(self.jobs.len(), threads) as u64)
    }

    /// The cells with the jobs of their repetitions.
    pub fn trainings(&self) -> impl Iterator<Item = (&Cell, &[usize])> {
        self.cells.iter().zip(self.places.iter().map(Vec::as_slice))
    }

    /// Writes the constants that were found for a network's first layer into the resolved spec, with which weights of the network
    /// can be used elsewhere; not where they differ from point to point, as the lengths of flat images do.
    fn resolve_constants(&mut self) {
        let cells = self.cells.len() / self.spec.networks.len().max(1);
        let Some(Value::Array(networks)) = self.spec.resolved.get_mut("network") else { return };
        let specs = networks.iter_mut().zip(&self.spec.networks);
        for ((table, network), cells) in specs.zip(self.cells.chunks(cells.max(1))) {
            // A layer inside a block or a repetition has its own constants, whatever the architecture begins with.
            let Some(LayerSpec::Layer(own)) = network.layers.first() else { continue };
            if !own.lacks_constants() {
                continue;
            }
            let first = |cell: &Cell| cell.architecture.nodes().first().map(|node| node.layer.clone());
            let Some(Some(Layer::Normalise(Normalise { mean, std }))) = cells.first().map(first) else { continue };
            if cells.iter().any(|cell| first(cell) != first(&cells[0])) {
                continue;
            }
            let layers = table.get_mut("layers").and_then(Value::as_array_mut);
            let Some(Value::Table(layer)) = layers.and_then(|layers| layers.first_mut()) else { continue };
            for (key, values) in [("mean", mean), ("std", std)] {
                layer.insert(key.into(), Value::Array(values.into_iter().map(Value::Float).collect()));
            }
        }
    }

    /// How the weights of a network are kept, if they are.
    pub(crate) fn kept(&self, job: &Job) -> Option<Provenance> {
        let provenance = || Provenance {
            version: env!("CARGO_PKG_VERSION").into(),
            network: job.network.clone(),
            label: job.label.clone(),
            variables: job.variables.clone(),
            repeat: job.repeat,
            fingerprint: job.fingerprint.clone(),
        };
        self.spec.work.keep_weights.then(provenance)
    }

    /// What is measured of every network, and which of these before training.
    pub fn quantities(&self, initial: bool) -> Vec<Quantity> {
        let measures = self.spec.observables.iter().map(|(_, measure)| measure);
        measures.filter(|measure| measure.initial == initial).map(|measure| measure.quantity).collect()
    }
}

struct Binder<'a> {
    spec: &'a Spec<TrainSpec>,
    network: &'a NetworkSpec,
    method: &'a MethodSpec,
    variables: &'a Variables,
}

impl Binder<'_> {
    fn job(&self, data: &Data, repeat: usize) -> Result<Job, SpecError> {
        let Self { spec, network, method, variables } = self;
        let constants = |input: &Shape| data.constants(input);
        let keys = || ArchitectureBinder {
            origin: &spec.origin,
            path: &network.path,
            variables,
            statistics: Statistics::Batch,
            constants: Some(&constants),
        };
        let architecture = keys().bind(&network.input, &network.layers)?;
        let initialisation = InitialisationBinder { network, variables, keys: keys() }.bind(&architecture)?;
        let input = format!("{}.input", network.path);
        let samples = spec.work.data.fit(data, &spec.origin, architecture.input(), &input, variables)?;
        self.check_labels(&architecture, data, &samples)?;
        let settings = self.settings()?;
        if settings.batch > data.training.len() {
            let message = format!("must be at most the {} training samples", data.training.len());
            return Err(spec.origin.error("training.batch", &settings.batch.to_string(), message));
        }
        let label = spec.work.label(&spec.networks, network, method);
        let key = StreamKey::new(spec.seed, &["training", &network.label, &repeat.to_string()]);
        let mut known = format!(
            "{TRAINING_FORMAT} {} {label} {repeat} {key:?} {architecture:?} {initialisation:?} {settings:?}",
            env!("CARGO_PKG_VERSION")
        );
        known.push_str(&format!(
            " {:?} {} {:?} {:?}",
            spec.work.data.without_paths(),
            spec.seed,
            data.contents,
            spec.observables
        ));
        if !spec.definitions.is_empty() {
            known.push_str(&format!(" {:?}", spec.definitions));
        }
        let dimension = architecture.dimension();
        let defined = spec
            .defined_at(&with_dimension(variables, dimension))
            .map_err(|message| spec.origin.error("define", "", keys().at(message)))?;
        Ok(Job {
            network: network.label.clone(),
            label,
            variables: variables.to_vec(),
            repeat,
            architecture,
            initialisation,
            settings,
            samples,
            defined,
            key,
            fingerprint: sha256(&known),
        })
    }

    fn check_memory(&self, job: &Job, limits: &Limits, together: usize) -> Result<(), SpecError> {
        let bytes = job.bytes().saturating_mul(together as u64);
        Limits { threads: together, ..*limits }.check(bytes, &job.architecture).map_err(|message| {
            let key = format!("{}.layers", self.network.path);
            self.spec.origin.error(&key, "", format!("{message}, or a smaller training.batch"))
        })
    }

    /// The network has a logit for every class, and every sample has a label.
    fn check_labels(
        &self,
        architecture: &Architecture,
        data: &Data,
        [training, test]: &[Arc<dyn SampleSet>; 2],
    ) -> Result<(), SpecError> {
        let labels = data.training.iter().chain(&data.validation).map(|&index| training.label(index));
        let labels = labels.chain(data.test.iter().map(|&index| test.label(index)));
        let refuse = |message: String| self.spec.origin.error(&format!("{}.layers", self.network.path), "", message);
        for label in labels {
            let Some(label) = label else {
                return Err(self.spec.origin.error("data", "", "has samples without labels"));
            };
            if label >= architecture.outputs() {
                let outputs = architecture.outputs();
                return Err(refuse(format!(
                    "must end in a logit for every class: {outputs} logits, but there is a label {label}"
                )));
            }
        }
        Ok(())
    }

    fn settings(&self) -> Result<TrainingSettings, SpecError> {
        let settings = &self.spec.work.settings;
        let positive = |key: &str, formula: &Expression, least: bool| {
            let origin = &self.spec.origin;
            match formula.evaluate(self.variables) {
                Ok(value) if value > 0.0 || (least && value == 0.0) => Ok(value),
                Ok(value) => {
                    let allowed = if least { "must not be negative" } else { "must be above 0" };
                    Err(origin.error(key, formula.text(), format!("{allowed}, but is {}", short(value))))
                }
                Err(message) => Err(origin.error(key, formula.text(), message)),
            }
        };
        let strength = positive(&format!("{}.strength", self.method.path), &self.method.strength, true)?;
        Ok(TrainingSettings {
            objective: (self.method.kind.chosen)(Choices { strength, ..self.method.choices }),
            epochs: settings.epochs,
            batch: settings.batch,
            schedule: Schedule {
                rate: positive("training.rate", &settings.rate, false)?,
                halve_every: settings.halve_every,
            },
            optimiser: Sgd { momentum: settings.momentum, weight_decay: settings.weight_decay },
            augmentation: Augmentation { crop: settings.crop, flip: settings.flip },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::specification::AnySpec;
    use crate::experiment::specification::load::parse;

    fn prepared(text: &str) -> Training {
        match parse("spec.toml", text, &[]) {
            Ok(AnySpec::Train(spec)) => Training::prepare(*spec, &Limits { threads: 2, memory: 1 << 30 }).unwrap(),
            other => panic!("{other:?} of {text}"),
        }
    }

    /// The resolved spec is read again, and its jobs are the same ones.
    #[test]
    fn resolved_specs_give_the_same_jobs() {
        let given = "{ type = \"normalise\", mean = 0.5, std = 2 }";
        let firsts = [
            ("{ type = \"normalise\" }", "[3, 4, 4]", true),
            ("{ type = \"normalise\" }", "[48]", true),
            (given, "[3, 4, 4]", false),
            (&format!("{{ type = \"repeat\", times = 1, layers = [{given}] }}"), "[3, 4, 4]", false),
            (&format!("{{ type = \"repeat\", times = 1, layers = {given} }}"), "[3, 4, 4]", false),
            (&format!("{{ type = \"residual\", layers = [{given}] }}"), "[3, 4, 4]", false),
            (
                &format!("{{ type = \"residual\", layers = [{{ type = \"relu\" }}], projection = {given} }}"),
                "[48]",
                false,
            ),
            (&format!("{{ type = \"repeat\", times = \"n\", layers = [{given}] }}"), "[48]", false),
        ];
        for (first, input, finds) in firsts {
            let sweep = if first.contains("\"n\"") { "[sweep]\nn = [1, 2]\n" } else { "" };
            let text = format!(
                "name = \"t\"\nobservables = [\"accuracy\"]\n{sweep}\
                 [data]\nset = \"synthetic\"\nsamples = 60\nside = 4\nclasses = 2\nvalidation = 10\ntest = 10\n\
                 [training]\nepochs = 1\nbatch = 8\nrate = 0.1\n\
                 [[network]]\ninput = {input}\nlayers = [{first}, {{ type = \"flatten\" }}, {{ type = \"dense\", units = 2 }}]"
            );
            let experiment = prepared(&text);
            let saved = toml::to_string(&experiment.spec.resolved).unwrap();
            let layer = &experiment.spec.resolved["network"][0]["layers"][0];
            assert_eq!(layer.get("mean").is_some_and(Value::is_array), finds, "{saved}");
            let again = prepared(&saved);
            let jobs = |experiment: &Training| -> Vec<String> {
                experiment.jobs.iter().map(|job| job.fingerprint.clone()).collect()
            };
            assert_eq!(jobs(&again), jobs(&experiment), "{saved}");
        }
    }

    /// Constants of flat images are as many as there are pixels: none are written where the sweep changes how many.
    #[test]
    fn constants_that_differ_between_points_are_found_again() {
        let text = "name = \"t\"\nobservables = [\"accuracy\"]\n[sweep]\nside = [4, 8]\n\
                    [data]\nset = \"synthetic\"\nsamples = 60\nside = 8\nresize = \"side\"\nclasses = 2\nvalidation = 10\ntest = 10\n\
                    [training]\nepochs = 1\nbatch = 8\nrate = 0.1\n\
                    [[network]]\ninput = [\"3 * side^2\"]\nlayers = [{ type = \"normalise\" }, { type = \"dense\", units = 2 }]";
        let experiment = prepared(text);
        let again = prepared(&toml::to_string(&experiment.spec.resolved).unwrap());
        let architectures = |experiment: Training| -> Vec<Architecture> {
            experiment.cells.into_iter().map(|cell| cell.architecture).collect()
        };
        assert_eq!(architectures(again), architectures(experiment));
    }
}
