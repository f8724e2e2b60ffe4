//! From an `init` as specs write it to an [`Initialisation`]: the variance of every layer, and broken_hypotheses from (H).

use super::architecture::ArchitectureBinder;
use super::specification::expression::{Expression, Variables, describe};
use super::specification::reader::SpecError;
use super::specification::{InitSpec, NetworkSpec, VarianceSpec, in_order_of_nodes};
use crate::network::initialisation::{last_weighted, weight_twin};
use crate::network::{Architecture, BrokenHypotheses, Initialisation, Variances};
use crate::short::short;

/// What the variances of a network depend on.
pub struct InitialisationBinder<'a> {
    /// The network's table.
    pub network: &'a NetworkSpec,
    /// Values of the sweep variables.
    pub variables: &'a Variables,
    /// Names keys in error messages.
    pub keys: ArchitectureBinder<'a>,
}

impl InitialisationBinder<'_> {
    /// The law of the parameters of this architecture.
    ///
    /// # Errors
    /// The first variance or departure that is not allowed, with its key.
    pub fn bind(&self, architecture: &Architecture) -> Result<Initialisation, SpecError> {
        let last = last_weighted(architecture);
        let gain = self.network.output_gain.as_ref();
        let gain = gain.map(|gain| self.positive("output_gain", gain, self.variables)).transpose()?;
        let layers = in_order_of_nodes(&self.network.layers, self.variables);
        let own = |index: usize| {
            let (key, layer) = layers.get(index)?.as_ref()?;
            layer.init.as_ref().map(|init| (key, init))
        };
        let distribution = self.network.init.distribution;
        let mut initialisation = Initialisation::by_layer(architecture, distribution, |index, fan_in, fan_out| {
            let sizes = [("fan_in".to_owned(), fan_in as f64), ("fan_out".to_owned(), fan_out as f64)];
            let variables = [self.variables, &sizes].concat();
            let (key, init, gain) = match own(index) {
                Some((key, init)) => (format!("{key}.init"), init, None),
                None => ("init".to_owned(), &self.network.init, gain),
            };
            let weight = match (&init.variance, gain) {
                (_, Some(gain)) if Some(index) == last => gain / fan_in as f64,
                (VarianceSpec::He, None) if Some(index) == last => 1.0 / fan_in as f64,
                (VarianceSpec::He, _) => architecture.he_factor(index) / fan_in as f64,
                (VarianceSpec::Xavier, _) => 2.0 / (fan_in as f64 + fan_out as f64),
                (VarianceSpec::Formula(formula), _) => {
                    self.positive(&format!("{key}.variance"), formula, &variables)?
                }
            };
            let bias = match &init.bias_variance {
                Some(formula) => self.positive(&format!("{key}.bias_variance"), formula, &variables)?,
                None => 0.0,
            };
            Ok(Variances { weight, bias })
        })?;
        for index in 0..architecture.nodes().len() {
            if let Some((_, init)) = own(index) {
                initialisation = initialisation.with_distribution(index, init.distribution);
            }
        }
        initialisation.broken_hypotheses = self.broken_hypotheses()?;
        let twins = (0..architecture.nodes().len()).any(|index| weight_twin(architecture, index).is_some());
        if initialisation.broken_hypotheses.shared && !twins {
            let message = self.keys.at("must be false where no two layers have weights of one shape to share");
            return Err(self.keys.refuse("init.shared", "true", message));
        }
        Ok(initialisation)
    }

    fn broken_hypotheses(&self) -> Result<BrokenHypotheses, SpecError> {
        let InitSpec { bias_mean, unit_correlation, shared, .. } = &self.network.init;
        let value = |key: &str, formula: &Option<Expression>, allowed: &str, is_allowed: fn(f64) -> bool| {
            let Some(formula) = formula else { return Ok(0.0) };
            match formula.evaluate(self.variables) {
                Ok(value) if is_allowed(value) => Ok(value),
                Ok(value) => Err(self.keys.refuse(
                    key,
                    formula.text(),
                    self.keys.at(format!("must be {allowed}, but is {}", short(value))),
                )),
                Err(message) => Err(self.keys.refuse(key, formula.text(), message)),
            }
        };
        let single = |mean: f64| (mean as f32).is_finite();
        let share = |correlation: f64| (0.0..=1.0).contains(&correlation);
        Ok(BrokenHypotheses {
            bias_mean: value("init.bias_mean", bias_mean, "a number within single precision", single)?,
            unit_correlation: value("init.unit_correlation", unit_correlation, "between 0 and 1", share)?,
            shared: *shared,
        })
    }

    fn positive(&self, key: &str, formula: &Expression, variables: &Variables) -> Result<f64, SpecError> {
        match formula.evaluate(variables) {
            Ok(value) if value > 0.0 => Ok(value),
            Ok(value) => {
                let at = if variables.is_empty() { String::new() } else { format!(" at {}", describe(variables)) };
                let message = format!("must be above 0, but is {}{at}", short(value));
                Err(self.keys.refuse(key, formula.text(), message))
            }
            Err(message) => Err(self.keys.refuse(key, formula.text(), message)),
        }
    }
}
