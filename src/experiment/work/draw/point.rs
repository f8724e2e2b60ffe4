//! A sweep point of one network, bound: every expression evaluated, every size checked, the sampler chosen.
//!
//! Binding allocates nothing of a network's size, so that a spec is refused before anything is sampled or written.

use std::ops::Deref;

use super::inputs::Source;
use crate::digest::sha256;
use crate::experiment::architecture::ArchitectureBinder;
use crate::experiment::cell::Cell;
use crate::experiment::initialisation::InitialisationBinder;
use crate::experiment::specification::expression::Variables;
use crate::experiment::specification::reader::SpecError;
use crate::experiment::specification::{DrawSpec, InputDistribution, LabelSpec, NetworkSpec, SamplerChoice, Spec};
use crate::experiment::work::Limits;
use crate::network::{Architecture, Initialisation, Statistics};
use crate::observable::{HypothesisObservable, Observable, Statistic};
use crate::sampling::{
    CollapsedSampler, ConditionedSampler, ExplicitSampler, InputLaw, LabelRule, Sampler, StoppingRule, StreamKey,
    WithDefined,
};
use crate::scaled::Scaled;
use crate::theory::{KnownInput, PathVariances};

/// Raised whenever a sampler's draws change, so that old states are not continued by new code.
const SAMPLING_FORMAT: u32 = 7;

/// One network at one point of the grid, ready to be sampled.
pub struct Point {
    /// The network and the point, with what theory knows.
    pub cell: Cell,
    /// What draws it.
    pub sampler: Box<dyn Sampler + Send>,
    /// Key of its random streams.
    pub key: StreamKey,
    /// A text that is the same for two runs exactly when one can go on where the other stopped.
    pub fingerprint: String,
}

impl Deref for Point {
    type Target = Cell;

    fn deref(&self) -> &Cell {
        &self.cell
    }
}

/// Binds every network at every point of the grid.
///
/// # Errors
/// The first size, shape, variance, sampler or memory need that is not allowed, with its key.
pub fn bind(spec: &Spec<DrawSpec>, source: &Source, limits: &Limits) -> Result<Vec<Point>, SpecError> {
    each(spec, |binder| binder.point(source, limits))
}

/// Binds shapes and variances only: what theory needs, without data and at any size.
///
/// # Errors
/// The first size, shape or variance that is not allowed, with its key.
pub fn cells(spec: &Spec<DrawSpec>) -> Result<Vec<Cell>, SpecError> {
    each(spec, |binder| binder.cell())
}

fn each<T>(spec: &Spec<DrawSpec>, bind: impl Fn(Binder<'_>) -> Result<T, SpecError>) -> Result<Vec<T>, SpecError> {
    let grid = spec.sweep.points();
    let places = spec.networks.iter().flat_map(|network| grid.iter().map(move |variables| (network, variables)));
    places.map(|(network, variables)| bind(Binder { spec, network, variables })).collect()
}

/// What theory knows of a law of inputs.
fn known_input(distribution: &InputDistribution) -> KnownInput {
    let mean_square = match *distribution {
        InputDistribution::Gaussian => Some(1.0),
        InputDistribution::Uniform { low, high } => Some((low * low + low * high + high * high) / 3.0),
        InputDistribution::Constant(value) => Some(value * value),
        _ => None,
    };
    let is_continuous = matches!(distribution, InputDistribution::Gaussian | InputDistribution::Uniform { .. });
    KnownInput { is_continuous, mean_square }
}

struct Binder<'a> {
    spec: &'a Spec<DrawSpec>,
    network: &'a NetworkSpec,
    variables: &'a Variables,
}

impl Binder<'_> {
    fn cell(&self) -> Result<Cell, SpecError> {
        let (architecture, initialisation) = self.network()?;
        let distribution = &self.spec.work.input.distribution;
        Ok(Cell {
            network: self.network.label.clone(),
            variables: self.variables.to_vec(),
            initialisation,
            architecture,
            input: Some(known_input(distribution)),
            theory: Vec::new(),
        })
    }

    fn point(&self, source: &Source, limits: &Limits) -> Result<Point, SpecError> {
        let Self { spec, network, variables } = self;
        let cell = self.cell()?.with_theory(spec.observables.iter().map(|(_, observable)| observable));
        let Cell { architecture, initialisation, .. } = &cell;
        let input = source.fit(spec, network, architecture, variables)?;
        let label = self.label(architecture, &input)?;
        let (sampler, name) = self.sampler(architecture, initialisation, input, label, limits)?;
        let defined = spec
            .defined_at(&cell.variables_with_dimension())
            .map_err(|message| spec.origin.error("define", "", self.at(message)))?;
        let sampler = if defined.is_empty() { sampler } else { Box::new(WithDefined { sampler, defined }) };
        let key = cell.stream_key(spec.seed, name);
        let fingerprint = self.fingerprint(&key, &cell, source);
        Ok(Point { cell, sampler, key, fingerprint })
    }

    /// An error about a key of the network, at this point.
    fn refuse(&self, key: &str, value: &str, message: impl std::fmt::Display) -> SpecError {
        self.architecture_binder().refuse(key, value, message)
    }

    fn architecture_binder(&self) -> ArchitectureBinder<'_> {
        let Self { spec, network, variables } = self;
        ArchitectureBinder {
            origin: &spec.origin,
            path: &network.path,
            variables,
            statistics: Statistics::Batch,
            constants: None,
        }
    }

    /// A message with the values of the sweep variables.
    fn at(&self, message: impl std::fmt::Display) -> String {
        self.architecture_binder().at(message)
    }

    fn network(&self) -> Result<(Architecture, Initialisation), SpecError> {
        let Self { network, variables, .. } = self;
        if let Some(make) = &network.made {
            return make.at(variables).map_err(|message| self.refuse("", "", self.at(message)));
        }
        let architecture = self.architecture_binder().bind(&network.input, &network.layers)?;
        let keys = self.architecture_binder();
        let initialisation = InitialisationBinder { network, variables, keys }.bind(&architecture)?;
        Ok((architecture, initialisation))
    }

    fn label(&self, architecture: &Architecture, input: &InputLaw) -> Result<LabelRule, SpecError> {
        let outputs = architecture.outputs();
        let refuse = |value: &str, message: String| Err(self.spec.origin.error("input.label", value, message));
        match self.spec.work.input.label {
            LabelSpec::Random => Ok(LabelRule::Random),
            LabelSpec::Fixed(label) if label < outputs => Ok(LabelRule::Fixed(label)),
            LabelSpec::Fixed(label) => {
                let message = format!("must be below the number of logits of \"{}\", {outputs}", self.network.label);
                refuse(&label.to_string(), message)
            }
            LabelSpec::True => {
                let largest = match input {
                    InputLaw::Samples(samples) => (0..samples.count()).filter_map(|index| samples.label(index)).max(),
                    _ => None,
                };
                match largest {
                    Some(largest) if largest >= outputs => refuse(
                        "true",
                        format!("needs more than {largest} logits, and \"{}\" has {outputs}", self.network.label),
                    ),
                    _ => Ok(LabelRule::OfSample),
                }
            }
        }
    }

    /// The sampler, and its name in the key of the streams.
    fn sampler(
        &self,
        architecture: &Architecture,
        initialisation: &Initialisation,
        input: InputLaw,
        label: LabelRule,
        limits: &Limits,
    ) -> Result<(Box<dyn Sampler + Send>, &'static str), SpecError> {
        let observables = self.spec.observables_at(self.variables);
        let choice = self.network.sampler;
        if matches!(choice, SamplerChoice::Auto | SamplerChoice::Collapsed) {
            let sampler =
                CollapsedSampler::new(architecture, initialisation, input.clone(), label, observables.clone());
            match sampler {
                Ok(sampler) => {
                    self.check_memory(&sampler, architecture, limits)?;
                    return Ok((Box::new(sampler), "collapsed"));
                }
                Err(reason) if choice == SamplerChoice::Collapsed => {
                    let message = format!(
                        "is exact only for dense layers without biases, alternating with relu (or leaky-relu, abs, identity), and Gaussian \
                         weights: {reason}"
                    );
                    return Err(self.refuse("sampler", "collapsed", self.at(message)));
                }
                Err(_) => {}
            }
        }
        let conditional = |(_, observable): &&(String, Observable)| {
            observable.of_gradient().is_some_and(|observable| observable.statistic == Statistic::RaoBlackwell)
        };
        if let Some((name, _)) = self.spec.observables.iter().find(conditional) {
            let message =
                format!("needs the collapsed sampler, and \"{}\" is drawn by another one", self.network.label);
            return Err(self.spec.origin.error("observables", name, message));
        }
        self.check_measurable(architecture)?;
        let mut sampler = ExplicitSampler {
            architecture: architecture.clone(),
            initialisation: initialisation.clone(),
            input,
            label,
            observables,
            batch: self.batch(architecture)?,
            path_total: None,
        };
        let conditioned = self.conditioned(&sampler)?;
        match &conditioned {
            Some(conditioned) => self.check_memory(conditioned, architecture, limits)?,
            None => self.check_memory(&sampler, architecture, limits)?,
        }
        sampler.check().map_err(|message| self.refuse("layers", "", self.at(message)))?;
        sampler.path_total = self.path_total(architecture, initialisation)?;
        Ok(match conditioned {
            Some(conditioned) => (Box::new(conditioned.with_path_total(sampler.path_total)), "conditioned"),
            None => (Box::new(sampler), "explicit"),
        })
    }

    /// The same networks by what their weights do, where that is asked for, or exact and cheaper.
    fn conditioned(&self, networks: &ExplicitSampler) -> Result<Option<ConditionedSampler>, SpecError> {
        let choice = self.network.sampler;
        if choice == SamplerChoice::Explicit {
            return Ok(None);
        }
        match ConditionedSampler::new(networks.clone()) {
            Ok(sampler) => Ok((choice == SamplerChoice::Conditioned || sampler.pays()).then_some(sampler)),
            Err(reason) if choice == SamplerChoice::Conditioned => {
                let message =
                    format!("is exact only for independent Gaussian weights of which gradients are asked: {reason}");
                Err(self.refuse("sampler", "conditioned", self.at(message)))
            }
            Err(_) => Ok(None),
        }
    }

    /// Samples that run together: one, unless a layer normalises by the statistics of its batch.
    fn batch(&self, architecture: &Architecture) -> Result<usize, SpecError> {
        let (batch, least) = (self.spec.work.input.batch, architecture.least_batch());
        if !architecture.mixes_batch() {
            return Ok(1);
        }
        if batch < least {
            let message = format!(
                "must be at least {least}, since \"{}\" normalises single values by the statistics of the batch",
                self.network.label
            );
            return Err(self.spec.origin.error("input.batch", &batch.to_string(), message));
        }
        Ok(batch)
    }

    /// Refuses an observable of a hypothesis that speaks of layers which the network does not have.
    fn check_measurable(&self, architecture: &Architecture) -> Result<(), SpecError> {
        let absent = |(_, observable): &&(String, Observable)| match observable {
            Observable::Hypothesis(hypothesis) => !hypothesis.is_measurable(architecture),
            _ => false,
        };
        match self.spec.observables.iter().find(absent) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!(
                    "speaks of layers that \"{}\" does not have (masks: a relu right behind weights; layers: two of one shape; \
                     variance: a hidden one)",
                    self.network.label
                );
                Err(self.spec.origin.error("observables", name, self.at(message)))
            }
        }
    }

    /// What the gap to path theory is measured from, where it is.
    fn path_total(
        &self,
        architecture: &Architecture,
        initialisation: &Initialisation,
    ) -> Result<Option<Scaled>, SpecError> {
        let gap =
            |(_, observable): &&(String, Observable)| *observable == Observable::Hypothesis(HypothesisObservable::Gap);
        let Some((name, _)) = self.spec.observables.iter().find(gap) else { return Ok(None) };
        match PathVariances::new(architecture, initialisation) {
            Ok(variances) => Ok(Some(variances.total())),
            Err(reason) => {
                let message =
                    format!("has no path theory to be compared with for \"{}\": {reason}", self.network.label);
                Err(self.spec.origin.error("observables", name, message))
            }
        }
    }

    fn check_memory(
        &self,
        sampler: &dyn Sampler,
        architecture: &Architecture,
        limits: &Limits,
    ) -> Result<(), SpecError> {
        let bytes = sampler.bytes_per_worker().saturating_mul(limits.threads as u64);
        limits.check(bytes, architecture).map_err(|message| self.refuse("layers", "", self.at(message)))
    }

    fn fingerprint(&self, key: &StreamKey, cell: &Cell, source: &Source) -> String {
        let precision = match self.spec.work.rule {
            StoppingRule::Draws(_) => None,
            rule => Some(rule),
        };
        let names: Vec<&str> = self.spec.observables.iter().map(|(name, _)| name.as_str()).collect();
        let Cell { architecture, initialisation, .. } = cell;
        let text = format!(
            "{SAMPLING_FORMAT} {} {key:?} {architecture:?} {initialisation:?} {:?} {} {names:?} {precision:?}{}",
            env!("CARGO_PKG_VERSION"),
            self.spec.work.input.without_paths(),
            source.contents(),
            if self.spec.definitions.is_empty() { String::new() } else { format!(" {:?}", self.spec.definitions) },
        );
        sha256(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::inputs;
    use super::*;
    use crate::experiment::{AnySpec, load};
    use crate::network::Activation;

    const SPEC: &str = r#"
        name = "keys"
        observables = ["loss.l1"]
        sweep = { d = [11, 12, 13], a = [1, 2] }
        [[network]]
        label = "A"
        input = ["d"]
        init = { scheme = "normal", variance = "a / fan_in" }
        layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = "d" }, { type = "relu" }] }, { type = "dense", units = 3 }]
        [[network]]
        label = "B"
        sampler = "explicit"
        input = ["d"]
        layers = [{ type = "dense", units = 3 }]
        [[network]]
        label = "C"
        input = ["d"]
        output_gain = 3
        init = "xavier-normal"
        layers = [{ type = "dense", units = 7, bias = true }, { type = "relu" }, { type = "dense", units = 3 }]
    "#;

    /// Two layers with laws of their own, one of them in a block that is repeated.
    const OWN: &str = r#"
        name = "own"
        observables = ["loss.l1"]
        sweep = { a = [3] }
        [[network]]
        input = [5]
        layers = [
          { type = "dense", units = 4, bias = true, init = { scheme = "rademacher", variance = "a / fan_in", bias_variance = "0.5" } },
          { type = "repeat", times = 2, layers = [
            { type = "residual", layers = [{ type = "dense", units = 4 }, { type = "tanh" }], projection = [{ type = "dense", units = 4, init = "xavier-normal" }] },
          ] },
          { type = "dense", units = 3 },
        ]
    "#;

    #[test]
    fn layers_may_have_laws_of_their_own() {
        let point = &points(OWN)[0];
        let tanh = Activation::Tanh.he_factor() / 4.0;
        let nodes = point.architecture.nodes().iter().enumerate().filter(|(_, node)| node.fan().is_some());
        let weights: Vec<f64> = nodes.map(|(index, _)| point.initialisation.variances(index).weight).collect();
        assert_eq!(weights, [3.0 / 5.0, tanh, 0.25, tanh, 0.25, 0.25]);
        assert_eq!(point.initialisation.variances(0).bias, 0.5);
        assert_eq!(point.initialisation.distribution(), None);
        let refused = |from: &str, to: &str| {
            let spec = OWN.replace(from, to);
            match load::parse("own.toml", &spec, &[]).map(|spec| match spec {
                AnySpec::Draw(spec) => cells(&spec).map(|_| ()),
                AnySpec::Train(_) => Ok(()),
            }) {
                Err(error) | Ok(Err(error)) => error.to_string(),
                Ok(Ok(())) => String::new(),
            }
        };
        let error = refused("a / fan_in", "a - 3");
        assert!(error.contains("network.0.layers.0.init.variance") && error.contains("above 0"), "{error}");
        let error = refused("bias_variance = \"0.5\"", "shared = true");
        assert!(error.contains("layers.0.init.shared"), "{error}");
        let error = refused("{ type = \"tanh\" }", "{ type = \"tanh\", init = \"he-normal\" }");
        assert!(error.contains("init"), "{error}");
    }

    fn points(spec: &str) -> Vec<Point> {
        let AnySpec::Draw(spec) = load::parse("keys.toml", spec, &[]).unwrap() else { panic!("drawn networks") };
        bind(&spec, &inputs::open(&spec).unwrap(), &Limits { threads: 1, memory: 1 << 30 }).unwrap()
    }

    #[test]
    fn no_two_points_networks_or_seeds_share_a_stream() {
        let mut points = points(SPEC);
        points.extend(self::points(&format!("seed = 2\n{SPEC}")));
        assert_eq!(points.len(), 2 * 3 * 6);
        for (index, point) in points.iter().enumerate() {
            let twin =
                points[..index].iter().find(|other| other.key == point.key || other.fingerprint == point.fingerprint);
            assert!(twin.is_none(), "{} and {}", point.describe(), twin.unwrap().describe());
        }
    }

    #[test]
    fn variances_follow_the_scheme_layer_by_layer() {
        let points = points(SPEC);
        let weights = |point: &Point| -> Vec<f64> {
            let weighted = point.architecture.nodes().iter().enumerate().filter(|(_, node)| node.fan().is_some());
            weighted.map(|(index, _)| point.initialisation.variances(index).weight).collect()
        };
        // d = 11, a = 2: the formula governs the last layer too, where no gain is given.
        assert_eq!(weights(&points[1]), [2.0 / 11.0; 3]);
        assert_eq!(weights(&points[6]), [1.0 / 11.0], "He: the only layer is the last, of gain 1");
        assert_eq!(weights(&points[12]), [2.0 / 18.0, 3.0 / 7.0]);
        assert_eq!(points[12].initialisation.variances(0).bias, 0.0);
    }
}
