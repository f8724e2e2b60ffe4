//! Observables: the numbers that a draw gives, named as specs name them.
//!
//! | name | is |
//! |---|---|
//! | `loss.NORM`, `logit.NORM` | a norm of ∂ₓL or ∂ₓf₀ ([`GradientObservable`]) |
//! | `damage.ATTACK@E` and its kin | what an attack of size E does ([`AttackObservable`]) |
//! | `masks.…`, `weights.…`, `logit.l2sq.gap` | how far the hypotheses (H) hold ([`HypothesisObservable`]) |

mod attack;
mod gradient;
mod hypothesis;

pub use attack::{AttackObservable, Consequence};
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
}

impl Observable {
    /// What an observable may be, for error messages.
    pub const ALLOWED: &'static str = "loss or logit, then .l1, .l2, .l2sq, .linf, .lQ (a number Q >= 1), .coordinate or \
                                       .l1.rao-blackwell, then .scaled and .squared where wanted; damage, vulnerability or \
                                       changed, then .fgsm, .l2, .pgd or .pgd-l2, then @ and a size from 1e-10 to 1e30, then \
                                       .first-order for a damage; masks.open, masks.weight-correlation, \
                                       masks.square-correlation, weights.variance, weights.layer-correlation, \
                                       weights.unit-correlation, or logit.l2sq.gap";

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
                matches!(observable.consequence, Consequence::Vulnerability | Consequence::Changed)
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
