//! What attacks do to one sampled network: the loss and the prediction before and after each of them.

use ndarray_rand::rand::Rng;

use super::monte_carlo::LEFT_OUT;
use crate::attack::{AnyAttack, Attack, Model, State, Threat};
use crate::network::{Norm, Real};
use crate::observable::{AttackObservable, Effect, Observable};
use crate::stream::StreamKey;

/// Memory to attack with, kept between draws.
#[derive(Debug, Default)]
pub struct Attacked<T> {
    input: Vec<T>,
    perturbed: Vec<T>,
}

impl<T: Real> Attacked<T> {
    /// Writes the attack observables of a network whose tape holds its last forward pass; each attack of one size runs
    /// once, with random numbers that follow from those of the draw and the attack's name: which other attacks there are, and in which
    /// order, changes nothing, and all sizes of one attack start alike. Leaves the tape at a perturbed input.
    pub fn measure(
        &mut self,
        mut model: Model<'_, T>,
        observables: &[Observable],
        label: usize,
        rng: &mut impl Rng,
        values: &mut [f64],
    ) {
        if !observables.iter().any(|observable| matches!(observable, Observable::Attack(_))) {
            return;
        }
        self.input.clear();
        self.input.extend_from_slice(model.input());
        self.perturbed.resize(self.input.len(), T::zero());
        let before = State::new(model.last_logits(), label);
        let key = StreamKey::from_random(rng);
        let mut norms: Vec<(Norm, f64)> = Vec::new();
        let mut done: Vec<(AnyAttack, f64, State)> = Vec::new();
        for (value, observable) in values.iter_mut().zip(observables) {
            let Observable::Attack(AttackObservable { effect, attack, epsilon }) = *observable else { continue };
            let size = epsilon * attack.norm().uniform_size(self.input.len());
            let known = done.iter().find(|(other, at, _)| (*other, *at) == (attack, epsilon)).map(|(.., after)| *after);
            let after = known.unwrap_or_else(|| {
                let threat = Threat::unbounded(size);
                let mut stream = key.named(attack.name());
                attack.perturb(&mut model, &self.input, label, threat, &mut stream, &mut self.perturbed);
                let after = model.state(&self.perturbed, label);
                done.push((attack, epsilon, after));
                after
            });
            *value = match effect {
                Effect::Damage => after.loss - before.loss,
                Effect::FirstOrder => {
                    let dual = attack.norm().dual();
                    let known = norms.iter().find(|(norm, _)| *norm == dual).map(|(_, length)| *length);
                    let length = known.unwrap_or_else(|| {
                        let length = model.loss_direction(&self.input, label).norm(dual);
                        norms.push((dual, length));
                        length
                    });
                    // Nothing is predicted where there is no gradient.
                    if length == 0.0 { LEFT_OUT } else { (after.loss - before.loss) / (size * length) }
                }
                Effect::Vulnerability => after.error(label) - before.error(label),
                Effect::Changed => after.changed(&before),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::explicit::ExplicitSampler;
    use super::super::input::{InputLaw, LabelRule};
    use super::super::monte_carlo::{StoppingRule, Tally, Unobserved, run};
    use super::*;
    use crate::network::{
        Architecture, Dense, Initialisation, Parameters, Relu, Shape, Tape, WeightDistribution, loss,
    };
    use crate::stream::StreamKey;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn observables_are_what_an_attack_by_hand_gives() {
        let layers = vec![Dense::new(30).into(), Relu.into(), Dense::new(4).into()];
        let network = Architecture::new(Shape::new([20]).unwrap(), layers).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let names = [
            "damage.fgsm@0.3",
            "damage.fgsm@0.3.first-order",
            "vulnerability.fgsm@0.3",
            "changed.fgsm@0.3",
            "damage.l2@0.3",
        ];
        let observables = names.map(|name| name.parse().unwrap());
        let mut seen = [false; 2];
        for seed in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
            let input: Vec<f64> = (0..20).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
            let mut tape = Tape::new(&network);
            let logits = tape.forward(&network, &parameters, &input).to_vec();
            let mut values = [f64::NAN; 5];
            let model = Model::new(&network, &parameters, &mut tape);
            Attacked::default().measure(model, &observables, 1, &mut rng, &mut values);

            tape.forward(&network, &parameters, &input);
            let gradient = tape.loss_gradient(&network, &parameters, 1).to_vec();
            let moved =
                |step: &dyn Fn(f64) -> f64| input.iter().zip(&gradient).map(|(x, g)| x + step(*g)).collect::<Vec<_>>();
            let after = Tape::new(&network).forward(&network, &parameters, &moved(&|g| 0.3 * g.signum())).to_vec();
            let damage = loss::cross_entropy(&after, 1) - loss::cross_entropy(&logits, 1);
            assert!((values[0] - damage).abs() < 1e-12);
            assert!((values[1] - damage / (0.3 * Norm::ONE.of(&gradient))).abs() < 1e-12);
            let best = |logits: &[f64]| (0..4).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            let changed = best(&after) != best(&logits);
            assert_eq!(values[3], f64::from(u8::from(changed)));
            assert_eq!(values[2], f64::from(u8::from(best(&after) != 1)) - f64::from(u8::from(best(&logits) != 1)));
            seen[usize::from(changed)] = true;
            let length = 0.3 * 20f64.sqrt() / Norm::TWO.of(&gradient);
            let after = Tape::new(&network).forward(&network, &parameters, &moved(&|g| length * g)).to_vec();
            assert!((values[4] - (loss::cross_entropy(&after, 1) - loss::cross_entropy(&logits, 1))).abs() < 1e-12);
        }
        assert_eq!(seen, [true, true], "both outcomes were tested");
    }

    /// What an attack does is the same bits, whichever others are observed beside it.
    #[test]
    fn attacks_have_random_numbers_of_their_own() {
        let layers = vec![Dense::new(30).into(), Relu.into(), Dense::new(4).into()];
        let network = Architecture::new(Shape::new([20]).unwrap(), layers).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let measured = |names: &[&str]| -> Vec<f64> {
            let observables: Vec<Observable> = names.iter().map(|name| name.parse().unwrap()).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(8);
            let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
            let mut tape = Tape::new(&network);
            tape.forward(&network, &parameters, &[0.5; 20]);
            let mut values = vec![f64::NAN; names.len()];
            let model = Model::new(&network, &parameters, &mut tape);
            Attacked::default().measure(model, &observables, 1, &mut rng, &mut values);
            values
        };
        let [pgd, l2] = ["damage.pgd@0.1", "damage.pgd-l2@0.1"];
        let alone = measured(&[pgd])[0];
        assert_eq!(measured(&[pgd, l2])[0], alone);
        assert_eq!(measured(&[l2, "damage.fgsm@0.2", pgd])[2], alone);
        assert_eq!(measured(&["damage.pgd@0.3", pgd])[1], alone);
        assert_eq!(measured(&[l2])[0], measured(&[pgd, l2])[1]);
    }

    /// Four layers of one unit each let a draw in sixteen through: within 4.5 standard errors of 125 of 2000 (a false alarm below 10⁻⁵).
    /// Those have a ratio, near 1 for a small step; the others have none.
    #[test]
    fn networks_without_a_gradient_have_no_ratio_to_it() {
        let mut layers = Vec::new();
        for _ in 0..4 {
            layers.extend([Dense::new(1).into(), Relu.into()]);
        }
        layers.push(Dense::new(3).into());
        let architecture = Architecture::new(Shape::new([5]).unwrap(), layers).unwrap();
        let sampler = ExplicitSampler {
            initialisation: Initialisation::he(&architecture, WeightDistribution::Normal, 1.0),
            architecture,
            input: InputLaw::Gaussian,
            label: LabelRule::Random,
            observables: ["damage.fgsm@1e-6.first-order", "damage.fgsm@1e-6"].map(|name| name.parse().unwrap()).into(),
            batch: 1,
            path_total: None,
        };
        let key = StreamKey::new(4, &["left-out"]);
        let tally = run(&sampler, &key, StoppingRule::Draws(2000), Tally::new(2), &Unobserved).unwrap();
        let [ratio, damage] = &tally.summaries[..] else { panic!("two observables") };
        let count = ratio.moments.count();
        assert!((76..174).contains(&count), "{count}");
        assert_eq!((damage.moments.count(), damage.zeros, ratio.non_finite), (2000, 2000 - count, 0));
        assert!((ratio.moments.mean() - 1.0).abs() < 1e-3, "{}", ratio.moments.mean());
    }
}
