//! Experiments built by a program: networks, a sweep, observables and claims in Rust, in place of a spec in TOML.

use std::error::Error;
use std::sync::Arc;

use toml::Table;

use super::Drawing;
use crate::experiment::claim::Claim;
use crate::experiment::specification::reader::{Origin, SpecError, unknown};
use crate::experiment::specification::{
    At, Definition, DrawSpec, Heading, InputSpec, Make, Making, NetworkSpec, Spec, Sweep, names_of, statistics_of,
};
use crate::experiment::work::Limits;
use crate::network::{Architecture, Initialisation};
use crate::observable::Observable;
use crate::sampling::StoppingRule;

/// Builds an experiment on networks at initialisation.
///
/// ```
/// use gradlaw::prelude::*;
///
/// let experiment = ExperimentBuilder::new("narrow")
///     .sweep("d", [16.0, 64.0, 256.0])
///     .network("linear", |at| {
///         let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, vec![Dense::new(3).into()])?;
///         let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
///         Ok((network, he))
///     })
///     .observe("logit.l2sq")
///     .claim(Claim::exponent("logit.l2sq", "dimension", 0.0, 0.05))
///     .draws(4000)
///     .build(&Limits::default())?;
/// let verdicts = experiment.judged(&Unwatched)?;
/// assert_eq!(verdicts[0].verdict, Outcome::Holds);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExperimentBuilder {
    name: String,
    seed: u64,
    sweep: Sweep,
    networks: Vec<NetworkSpec>,
    observables: Vec<String>,
    definitions: Vec<Definition>,
    claims: Vec<Claim>,
    rule: StoppingRule,
    decides: bool,
    input: InputSpec,
    family_error: f64,
}

impl ExperimentBuilder {
    /// An experiment of this name, with seed 1, Gaussian inputs, random labels, and 4 000 draws a point.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            seed: 1,
            sweep: Sweep::default(),
            networks: Vec::new(),
            observables: Vec::new(),
            definitions: Vec::new(),
            claims: Vec::new(),
            rule: StoppingRule::Draws(4000),
            decides: false,
            input: InputSpec::default(),
            family_error: 1e-3,
        }
    }

    /// The seed of all random numbers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sweeps a variable over these values; several variables make a grid.
    #[must_use]
    pub fn sweep(mut self, variable: &str, values: impl Into<Vec<f64>>) -> Self {
        self.sweep.0.push((variable.into(), values.into()));
        self
    }

    /// A network, made at each point of the sweep with the law of its parameters.
    #[must_use]
    pub fn network(
        mut self,
        label: &str,
        make: impl Fn(&At) -> Result<(Architecture, Initialisation), Box<dyn Error>> + Send + Sync + 'static,
    ) -> Self {
        let path = format!("network.{}", self.networks.len());
        self.networks.push(NetworkSpec::made(label, path, Make::new(make)));
        self
    }

    /// Where inputs and labels come from.
    #[must_use]
    pub fn input(mut self, input: InputSpec) -> Self {
        self.input = input;
        self
    }

    /// Measures, of every draw, what a function makes of other observables of that draw, which it is given in their order.
    ///
    /// It runs on the same samplers as they do.
    #[must_use]
    pub fn observe_made(
        mut self,
        name: &str,
        of: &[&str],
        function: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let bases = of.iter().map(|base| (*base).to_owned()).collect();
        self.definitions.push(Definition { name: name.into(), making: Making::Function(bases, Arc::new(function)) });
        self
    }

    /// Measures an observable, by the name that specs have for it.
    #[must_use]
    pub fn observe(mut self, name: &str) -> Self {
        self.observables.push(name.into());
        self
    }

    /// Claims something of what is measured.
    #[must_use]
    pub fn claim(mut self, mut claim: Claim) -> Self {
        claim.terms.path = format!("claim.{}", self.claims.len());
        self.claims.push(claim);
        self
    }

    /// Draws every network until every claim is decided, at most this many times.
    #[must_use]
    pub fn until_decided(mut self, most: u64) -> Self {
        (self.rule, self.decides) = (StoppingRule::Draws(most), true);
        self
    }

    /// Draws so many networks at every point.
    #[must_use]
    pub fn draws(mut self, draws: u64) -> Self {
        self.rule = StoppingRule::Draws(draws);
        self
    }

    /// When to stop drawing.
    #[must_use]
    pub fn stop(mut self, rule: StoppingRule) -> Self {
        self.rule = rule;
        self
    }

    /// The family-wise error rate of its verdicts, 10⁻³ unless given.
    #[must_use]
    pub fn family_error(mut self, rate: f64) -> Self {
        self.family_error = rate;
        self
    }

    /// Makes every network and checks every claim.
    ///
    /// # Errors
    /// The first thing that is not allowed: an unknown observable, a claim on what is not measured, a network that cannot be made, or
    /// one that needs more memory than `limits`.
    pub fn build(self, limits: &Limits) -> Result<Drawing, SpecError> {
        let origin = Origin { file: self.name.clone(), overridden: Vec::new() };
        let observable = |(index, name): (usize, String)| match name.parse::<Observable>() {
            Ok(observable) => Ok((name, observable)),
            Err(_) => {
                let message = format!("unknown observable; must be {}", Observable::allowed());
                Err(origin.error(&format!("observables.{index}"), &name, message))
            }
        };
        let mut observables: Vec<_> =
            self.observables.into_iter().enumerate().map(observable).collect::<Result<_, _>>()?;
        let bases = self.definitions.iter().flat_map(|definition| definition.names());
        for base in bases {
            if observables.iter().all(|(name, _)| name != base)
                && let Ok(observable) = base.parse()
            {
                observables.push((base.clone(), observable));
            }
        }
        observables.extend(self.definitions.iter().map(|made| (made.name.clone(), Observable::Defined)));
        let statistics = statistics_of(&self.claims, &names_of(&observables));
        let heading = Heading {
            title: self.name.clone(),
            name: self.name,
            source: String::new(),
            formula: String::new(),
            explanation: String::new(),
            seconds: None,
            seed: self.seed,
        };
        let spec = Spec {
            heading,
            family_error: self.family_error,
            observables,
            definitions: self.definitions,
            statistics,
            sweep: self.sweep,
            networks: self.networks,
            claims: self.claims,
            panels: Vec::new(),
            work: DrawSpec { rule: self.rule, decides: self.decides, input: self.input },
            resolved: Table::new(),
            origin,
        };
        check_names(&spec)?;
        Drawing::prepare(spec, limits)
    }
}

/// Claims speak of what is there.
fn check_names(spec: &Spec<DrawSpec>) -> Result<(), SpecError> {
    let labels = spec.labels();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let observables = names_of(&spec.observables);
    let variables: Vec<&str> = std::iter::once("dimension").chain(spec.sweep.names()).collect();
    for claim in &spec.claims {
        let own = claim.terms.network.iter().chain(claim.pair().into_iter().flatten()).map(String::as_str).collect();
        let against: Vec<&str> = claim.against().into_iter().collect();
        for (what, names, known) in [
            ("observable", claim.observables(), &observables),
            ("network", own, &labels),
            ("variable", against, &variables),
        ] {
            if let Some(name) = names.into_iter().find(|name| !known.contains(name)) {
                return Err(spec.origin.error(&claim.terms.path, name, unknown(what, name, known)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::Outcome;
    use crate::experiment::work::Unwatched;
    use crate::network::{Dense, Relu, Shape, WeightDistribution};

    fn builder() -> ExperimentBuilder {
        ExperimentBuilder::new("built")
            .sweep("d", [16.0, 64.0])
            .sweep("n", [8.0, 32.0])
            .network("A", |at| {
                let layers = vec![Dense::new(at.size("n")?).into(), Relu.into(), Dense::new(2).into()];
                let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, layers)?;
                let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
                Ok((network, he))
            })
            .observe("logit.l2sq")
    }

    #[test]
    fn a_built_experiment_holds_what_is_true_and_refutes_what_is_false() {
        let limits = Limits::default();
        let experiment = builder()
            .claim(Claim::value_of_theory("logit.l2sq", 0.1))
            .claim(Claim::exponent("logit.l2sq", "d", 1.0, 0.1))
            .build(&limits)
            .unwrap();
        let outcomes: Vec<Outcome> =
            experiment.judged(&Unwatched).unwrap().iter().map(|verdict| verdict.verdict).collect();
        assert_eq!(outcomes, [Outcome::Holds, Outcome::Refuted, Outcome::Refuted]);
    }

    #[test]
    fn names_that_are_not_there_are_refused() {
        let limits = Limits::default();
        for (claim, says) in [
            (Claim::exponent("logit.l2", "d", 1.0, 0.1), "claim.0 = logit.l2: unknown observable"),
            (Claim::exponent("logit.l2sq", "m", 1.0, 0.1), "unknown variable"),
            (Claim::ratio(["A", "B"], "logit.l2sq", 1.0, 0.1), "unknown network"),
        ] {
            let error = builder().claim(claim).build(&limits).err().unwrap().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = builder().observe("loss.l").build(&limits).err().unwrap().to_string();
        assert!(error.contains("observables.1 = loss.l: unknown observable"), "{error}");
        let broken = builder().network("B", |at| Err(at.size("m").unwrap_err().into())).build(&limits);
        assert!(broken.err().unwrap().to_string().contains("uses `m`"));
    }
}
