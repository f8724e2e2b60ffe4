//! Observables: the numbers that a draw gives, named as specs name them.
//!
//! | name | is |
//! |---|---|
//! | `loss.NORM`, `logit.NORM` | a norm of ∂ₓL or ∂ₓf₀ ([`GradientObservable`]) |
//! | `damage.ATTACK@E` and its kin | what an attack of size E does ([`AttackObservable`]) |
//! | a name under `[define]` | a formula of others of the same draw ([`Defined`]) |
//! | `masks.…`, `weights.…`, `logit.l2sq.gap` | how far the hypotheses (H) hold ([`HypothesisObservable`]) |

mod attack;
mod defined;
mod gradient;
mod hypothesis;

pub use attack::{AttackObservable, Effect};
pub use defined::{Combine, Defined};
pub use gradient::{Gradient, GradientObservable, Statistic};
pub use hypothesis::HypothesisObservable;

use std::str::FromStr;

/// One number of a draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observable {
    /// Of a gradient.
    Gradient(GradientObservable),
    /// Of an attack.
    Attack(AttackObservable),
    /// Of the hypotheses that path theory rests on.
    Hypothesis(HypothesisObservable),
    /// Made of others of the same draw; which, and how, a [`Defined`] says.
    Defined,
}

impl Observable {
    /// What an observable may be, for error messages.
    pub fn allowed() -> String {
        let hypotheses: Vec<&str> = HypothesisObservable::names().collect();
        let (gradients, attacks) = (GradientObservable::ALLOWED, AttackObservable::allowed());
        format!("{gradients}; {attacks}; or {}", hypotheses.join(", "))
    }

    /// The forms of all names, and what they are, for the reference: Q stands for the order of a norm, ATTACK for the name of an attack
    /// and E for its size.
    pub fn summaries() -> impl Iterator<Item = (&'static str, &'static str)> {
        gradient::SUMMARIES.into_iter().chain(attack::SUMMARIES).chain(HypothesisObservable::summaries())
    }

    /// The observable of a gradient, where it is one.
    pub fn of_gradient(&self) -> Option<&GradientObservable> {
        match self {
            Observable::Gradient(observable) => Some(observable),
            _ => None,
        }
    }

    /// Whether it is 0 or 1, or the difference of two such numbers: its mean is then a share, or a difference of shares.
    pub fn is_share(&self) -> bool {
        match self {
            Observable::Attack(observable) => {
                matches!(observable.effect, Effect::Vulnerability | Effect::Changed)
            }
            _ => false,
        }
    }
}

/// A name that is not an observable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownObservable;

impl FromStr for Observable {
    type Err = UnknownObservable;

    fn from_str(name: &str) -> Result<Self, UnknownObservable> {
        let hypothesis = name.parse().map(Observable::Hypothesis);
        hypothesis.or_else(|_| name.parse().map(Observable::Attack)).or_else(|_| name.parse().map(Observable::Gradient))
    }
}

/// Removes a modifier from the end of a name, and says whether it was there.
fn strip<'a>(name: &'a str, modifier: &str) -> (&'a str, bool) {
    name.strip_suffix(modifier).map_or((name, false), |rest| (rest, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_reference_is_that_of_an_observable() {
        for (form, _) in Observable::summaries() {
            let name = form.replace('Q', "1.5").replace("ATTACK", "fgsm").replace('E', "0.01");
            assert!(name.parse::<Observable>().is_ok(), "{name}");
        }
    }

    /// Every name that can stand in an observable is in the message.
    #[test]
    fn what_is_allowed_names_everything_that_is() {
        let allowed = Observable::allowed();
        let words: Vec<&str> = allowed.split([' ', ',', ';']).collect();
        for attack in crate::attack::AnyAttack::names() {
            let is_allowed = format!("damage.{attack}@0.1").parse::<Observable>().is_ok();
            assert_eq!(words.contains(&&*format!(".{attack}")), is_allowed, "{attack}");
        }
        for name in HypothesisObservable::names() {
            assert!(name.parse::<Observable>().is_ok() && words.contains(&name), "{name}");
        }
    }
}
