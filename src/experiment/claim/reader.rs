//! A table `[[claim]]` that is read: names in it are those that there are.

use toml::Value;

use crate::experiment::specification::expression::Expression;
use crate::experiment::specification::reader::{Reader, SpecError, as_number, did_you_mean, unknown};
use crate::experiment::specification::statistic::{self, StatisticSpec};

/// What claims may speak of.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Labels of networks.
    pub labels: &'a [&'a str],
    /// Names of observables.
    pub observables: &'a [&'a str],
    /// Sweep variables.
    pub variables: &'a [&'a str],
    /// Whether networks are trained.
    pub trains: bool,
}

/// A table `[[claim]]` with what it may speak of.
pub struct ClaimReader<'a> {
    pub reader: Reader<'a>,
    /// The key that says what kind of claim it is.
    pub key: &'static str,
    pub scope: Scope<'a>,
}

impl ClaimReader<'_> {
    /// The key `observable`.
    pub fn observable(&self) -> Result<String, SpecError> {
        let name = self.reader.required_string("observable")?;
        self.known_observable("observable", name)
    }

    fn known_observable(&self, key: &str, name: &str) -> Result<String, SpecError> {
        if self.scope.observables.contains(&name) {
            return Ok(name.into());
        }
        if let Some(statistic) = StatisticSpec::parse(name, self.scope.observables)
            .map_err(|message| self.reader.complain(key, name, message))?
        {
            return self.statistic(key, name, &statistic);
        }
        let message = format!(
            "must be among this spec's observables ({}), or a statistic of them ({}){}",
            self.scope.observables.join(", "),
            statistic::ALLOWED,
            did_you_mean(name, self.scope.observables.iter().copied())
        );
        Err(self.reader.complain(key, name, message))
    }

    /// A formula of statistics that can be judged.
    fn statistic(&self, key: &str, name: &str, statistic: &StatisticSpec) -> Result<String, SpecError> {
        let known = self.abscissae();
        if let Some(stray) = statistic.variables().find(|name| !known.contains(name)) {
            return Err(self.reader.complain(key, name, unknown("variable", stray, &known)));
        }
        if self.scope.trains && !statistic.is_of_means() {
            let message =
                "must be a formula of means, mean(x): of a trained network there are means over test samples alone";
            return Err(self.reader.complain(key, name, message));
        }
        Ok(name.into())
    }

    pub fn label(&self, key: &str, name: &str) -> Result<String, SpecError> {
        if self.scope.labels.contains(&name) {
            return Ok(name.into());
        }
        Err(self.reader.complain(key, name, unknown("network", name, self.scope.labels)))
    }

    /// Two labels of networks under the claim's own key.
    pub fn networks(&self) -> Result<[String; 2], SpecError> {
        let allowed = format!("must be the labels of two networks (known: {})", self.scope.labels.join(", "));
        match self.reader.strings(self.key, &allowed)?.as_deref() {
            Some(&[first, second]) if first != second => {
                Ok([self.label(self.key, first)?, self.label(self.key, second)?])
            }
            _ => Err(self.reader.refuse(self.key, allowed)),
        }
    }

    /// Two observables under the claim's own key.
    pub fn observables(&self) -> Result<[String; 2], SpecError> {
        let allowed = format!("must be two of this spec's observables ({})", self.scope.observables.join(", "));
        match self.reader.strings(self.key, &allowed)?.as_deref() {
            Some(&[first, second]) if first != second => {
                Ok([self.known_observable(self.key, first)?, self.known_observable(self.key, second)?])
            }
            _ => Err(self.reader.refuse(self.key, allowed)),
        }
    }

    /// A formula that must be there.
    pub fn formula(&self, key: &str) -> Result<Expression, SpecError> {
        self.reader.expression(key)?.ok_or_else(|| self.reader.missing(key, "a number or an expression"))
    }

    /// What may be on an abscissa: `dimension`, and the sweep variables.
    pub fn abscissae(&self) -> Vec<&str> {
        std::iter::once("dimension").chain(self.scope.variables.iter().copied()).collect()
    }

    /// `dimension`, or a sweep variable.
    pub fn against(&self) -> Result<String, SpecError> {
        let known = self.abscissae();
        let name = self.reader.string("against")?.unwrap_or("dimension");
        if known.contains(&name) {
            Ok(name.into())
        } else {
            Err(self.reader.refuse("against", unknown("variable", name, &known)))
        }
    }

    /// `within = { strength = [0.001, 0.01] }`.
    pub fn within(&self) -> Result<Vec<(String, [f64; 2])>, SpecError> {
        let Some(table) = self.reader.table("within")? else { return Ok(Vec::new()) };
        let range = |(name, value): (&String, &Value)| {
            if !self.scope.variables.contains(&name.as_str()) {
                let message = format!("must be a sweep variable: {}", unknown("variable", name, self.scope.variables));
                return Err(self.reader.complain("within", name, message));
            }
            let ends = value.as_array().map(Vec::as_slice);
            let ends = if let Some([low, high]) = ends { as_number(low).zip(as_number(high)) } else { None };
            match ends {
                Some((low, high)) if low <= high => Ok((name.clone(), [low, high])),
                _ => Err(self
                    .reader
                    .refuse("within", "must be a table of sweep variables, each with its [lowest, highest] value")),
            }
        };
        table.iter().map(range).collect()
    }
}
