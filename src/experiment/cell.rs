//! A cell of an experiment: one network at one point of the sweep, with its shapes and the law of its first parameters.

use super::place::{abscissa, place, with_dimension};
use super::specification::expression::describe;
use crate::network::{Architecture, Initialisation};
use crate::observable::Observable;
use crate::sampling::StreamKey;
use crate::theory::{Expectation, KnownInput, TheoryValue};

/// One network at one point of the grid.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Label of the network; of the network and the method where it is trained.
    pub network: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Its shapes.
    pub architecture: Architecture,
    /// The law of its parameters; where it is trained, of the first ones.
    pub initialisation: Initialisation,
    /// What is known of its inputs; `None` where the network is trained, and no law of what is measured is known.
    pub input: Option<KnownInput>,
    /// Means that theory knows, one for each observable, once they were asked for.
    pub theory: Vec<Option<TheoryValue>>,
}

impl Cell {
    /// The exact mean of an observable of this network, where there is one.
    pub fn expected(&self, observable: &Observable) -> Option<TheoryValue> {
        self.expectation()?.of(observable)
    }

    /// Fills in what theory knows of these observables.
    pub fn with_theory<'o>(mut self, observables: impl Iterator<Item = &'o Observable>) -> Self {
        let expectation = self.expectation();
        let of = |observable| expectation.as_ref().and_then(|expectation| expectation.of(observable));
        let theory = observables.map(of).collect();
        self.theory = theory;
        self
    }

    /// In words, why there is no theoretical mean of these observables.
    pub fn no_theory<'o>(&self, observables: impl Iterator<Item = &'o Observable>) -> Vec<String> {
        let expectation = self.expectation();
        let unknown = || "nothing is known of the law of its inputs".into();
        observables
            .map(|observable| expectation.as_ref().map_or_else(unknown, |expectation| expectation.reason(observable)))
            .collect()
    }

    fn expectation(&self) -> Option<Expectation<'_>> {
        Some(Expectation::new(&self.architecture, &self.initialisation, self.input?))
    }

    /// Input dimension d.
    pub fn dimension(&self) -> usize {
        self.architecture.dimension()
    }

    /// The key of the random streams of this network at this point, for one use of them.
    pub fn stream_key(&self, seed: u64, using: &str) -> StreamKey {
        let values = self.variables.iter().map(|(name, value)| format!("{name}={value:e}"));
        let parts: Vec<String> = [using.to_owned(), self.network.clone()].into_iter().chain(values).collect();
        StreamKey::new(seed, &parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The network and the variables, for people.
    pub fn describe(&self) -> String {
        place(&self.network, &self.variables)
    }

    /// The values of the sweep variables, for people; the network where there are none.
    pub fn variables_in_words(&self) -> String {
        if self.variables.is_empty() { self.network.clone() } else { describe(&self.variables) }
    }

    /// What is on the abscissa `against`: a sweep variable, or the dimension.
    pub fn abscissa(&self, against: &str) -> f64 {
        abscissa(&self.variables, self.dimension(), against)
    }

    /// The variables of claims' formulas: those of the sweep, and `dimension`.
    pub fn variables_with_dimension(&self) -> Vec<(String, f64)> {
        with_dimension(&self.variables, self.dimension())
    }
}
