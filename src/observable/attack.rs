//! What an attack does to a sampled network: `damage.ATTACK@E`, `vulnerability.ATTACK@E`, `changed.ATTACK@E`.

use std::str::FromStr;

use super::{UnknownObservable, strip};
use crate::attack::{AnyAttack, Attack, SIZES};

/// What an attack of one size does to one network at one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttackObservable {
    /// What is observed.
    pub effect: Effect,
    /// The attack, one that takes the size it is given.
    pub attack: AnyAttack,
    /// Its size in ε_∞, a perturbation of one coordinate; an attack in ‖·‖ₚ has size εₚ = ε_∞ d^(1/p).
    pub epsilon: f64,
}

/// What is observed of an attack from x to x + δ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// `damage`: the increase of the loss, L(x + δ) − L(x).
    Damage,
    /// `damage.ATTACK@E.first-order`: the damage over what the gradient predicts, εₚ‖∂ₓL‖_q with 1/p + 1/q = 1. A network with ∂ₓL = 0
    /// predicts nothing and has no such ratio: the draw is left out.
    FirstOrder,
    /// `vulnerability`: the increase of the 0-1 loss, 1 where a right prediction becomes wrong, −1 where a wrong one becomes
    /// right.
    Vulnerability,
    /// `changed`: 1 where the prediction changes, whether it was right or not.
    Changed,
}

/// The forms of its names, and what they are.
pub(super) const SUMMARIES: [(&str, &str); 4] = [
    (
        "damage.ATTACK@E",
        "L(x + δ) − L(x), the increase of the loss by an attack of size E per pixel: εₚ = E d^(1/p) in ‖·‖ₚ",
    ),
    (
        "damage.ATTACK@E.first-order",
        "the damage over its prediction εₚ‖∂ₓL‖_q, 1/p + 1/q = 1; a draw with ∂ₓL = 0 has no such ratio and is left out",
    ),
    (
        "vulnerability.ATTACK@E",
        "increase of the 0-1 loss: 1 where a right prediction becomes wrong, −1 where a wrong one becomes right",
    ),
    ("changed.ATTACK@E", "1 where the prediction changes, whether it was right or not"),
];

impl AttackObservable {
    /// What its name may be, for error messages.
    pub fn allowed() -> String {
        let attacks: Vec<String> =
            AnyAttack::names().filter(|name| observed(name).is_some()).map(|name| format!(".{name}")).collect();
        let (last, others) = attacks.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        format!(
            "damage, vulnerability or changed, then {} or {last}, then @ and a size from {:e} to {:e}, then .first-order for a damage",
            others.join(", "),
            SIZES.start(),
            SIZES.end()
        )
    }
}

/// The attack of this name, where it can be observed: at initialisation labels are random, and an attack that changes a
/// prediction has none to change.
fn observed(name: &str) -> Option<AnyAttack> {
    AnyAttack::named(name).filter(|attack| !attack.finds_its_size())
}

impl FromStr for AttackObservable {
    type Err = UnknownObservable;

    fn from_str(name: &str) -> Result<Self, UnknownObservable> {
        let (rest, first_order) = strip(name, ".first-order");
        let (rest, size) = rest.split_once('@').ok_or(UnknownObservable)?;
        let (effect, attack) = rest.split_once('.').ok_or(UnknownObservable)?;
        let effect = match (effect, first_order) {
            ("damage", false) => Effect::Damage,
            ("damage", true) => Effect::FirstOrder,
            ("vulnerability", false) => Effect::Vulnerability,
            ("changed", false) => Effect::Changed,
            _ => return Err(UnknownObservable),
        };
        let attack = observed(attack).ok_or(UnknownObservable)?;
        let epsilon = size.parse().ok().filter(|epsilon| SIZES.contains(epsilon));
        Ok(Self { effect, attack, epsilon: epsilon.ok_or(UnknownObservable)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_observed_of_which_attack_at_which_size() {
        let parsed: AttackObservable = "damage.pgd-l2@1e-3.first-order".parse().unwrap();
        assert_eq!(parsed.effect, Effect::FirstOrder);
        assert_eq!(Some(parsed.attack), AnyAttack::named("pgd-l2"));
        assert_eq!(parsed.epsilon, 1e-3);
        assert_eq!("changed.l2@2".parse::<AttackObservable>().unwrap().effect, Effect::Changed);
        for name in [
            "damage.fgsm",
            "damage.fgsm@",
            "damage.fgsm@-1",
            "damage.fgsm@0",
            "damage.fgsm@nan",
            "damage.fgsm@1e-11",
            "loss.fgsm@1",
            "damage.deepfool@1",
        ] {
            assert_eq!(name.parse::<AttackObservable>(), Err(UnknownObservable), "{name}");
        }
        assert!("vulnerability.fgsm@0.1.first-order".parse::<AttackObservable>().is_err());
        assert!("damage.fgsm@1e300".parse::<AttackObservable>().is_err());
    }
}
