//! What attacks promise: they stay where they may, raise the loss as predicted, and find the boundaries of linear classifiers.

use super::*;
use crate::network::{
    Architecture, AveragePool, Conv, Dense, Flatten, GlobalMaxPool, Initialisation, MaxPool, Parameters, Part, Real,
    Relu, Shape, Tape, WeightDistribution, Window, loss,
};
use ndarray_rand::rand::{Rng, SeedableRng};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

/// The attacks that take the size they are given.
const SIZED: [&str; 6] = ["fgsm", "l2", "ifgsm", "il2", "pgd", "pgd-l2"];

/// A network of 12 inputs and 3 classes, linear or not, with its parameters.
fn network(linear: bool, rng: &mut ChaCha8Rng) -> (Architecture, Parameters<f64>) {
    let mut layers = vec![Dense::new(6).into()];
    if !linear {
        layers.push(Relu.into());
    }
    layers.push(Dense::new(3).into());
    let network = Architecture::new(Shape::new([12]).unwrap(), layers).unwrap();
    let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
    let parameters = initialisation.draw(&network, rng);
    (network, parameters)
}

fn difference(point: &[f64], input: &[f64]) -> Vec<f64> {
    point.iter().zip(input).map(|(moved, x)| moved - x).collect()
}

proptest! {
    /// Every attack stays inside its ball; a small step raises the loss by εₚ‖∂ₓL‖_q to first order, and a linear
    /// network's loss, which is convex along any line, by at least that at any size.
    #[test]
    fn attacks_keep_their_size_and_reach_the_first_order_damage(seed in any::<u64>(), epsilon in 1e-4f64..2.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let linear = seed % 2 == 0;
        let (network, parameters) = network(linear, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
        let mut tape = Tape::new(&network);
        let before = loss::cross_entropy(tape.forward(&network, &parameters, &input), 1);
        let gradient = tape.loss_gradient(&network, &parameters, 1).to_vec();
        let mut model = Model::new(&network, &parameters, &mut tape);
        for name in SIZED {
            let attack = AnyAttack::named(name).unwrap();
            let mut perturbed = vec![0.0; 12];
            let damage = |model: &mut Model<'_, f64>, size: f64, rng: &mut ChaCha8Rng, perturbed: &mut [f64]| {
                attack.perturb(model, &input, 1, Threat::unbounded(size), rng, perturbed);
                loss::cross_entropy(model.logits(perturbed), 1) - before
            };
            let raised = damage(&mut model, epsilon, &mut rng, &mut perturbed);
            let size = attack.norm().of(&difference(&perturbed, &input));
            prop_assert!(size <= epsilon * (1.0 + 1e-9), "{name}");
            let predicted = attack.norm().dual().of(&gradient);
            prop_assert!(!linear || !["fgsm", "l2"].contains(&name) || raised >= epsilon * predicted - 1e-12);
            let small = damage(&mut model, 1e-7, &mut rng, &mut perturbed) / 1e-7;
            // Steps cover 4/3 of the radius, so a coordinate that starts at the wrong edge ends at a third of it.
            let least = if name.starts_with("pgd") { 0.333 } else { 0.999 };
            prop_assert!(small >= least * predicted - 1e-6, "{name}: {small} {predicted}");
            prop_assert!(small <= 1.001 * predicted + 1e-6, "{name}: {small} {predicted}");
        }
    }

    /// In a box every attack stays in its ball and in the box; what it calls a success is one, of the size that it says.
    #[test]
    fn attacks_stay_in_the_box_and_successes_are_what_they_say(seed in any::<u64>(), epsilon in 0.01f64..1.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (network, parameters) = network(seed % 2 == 0, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| rng.random_range(0.0..1.0)).collect();
        let mut tape = Tape::new(&network);
        let mut model = Model::new(&network, &parameters, &mut tape);
        let label = model.state(&input, 0).prediction;
        let bounds = Some(Bounds::UNIT);
        for name in AnyAttack::names() {
            let attack = AnyAttack::named(name).unwrap();
            let mut perturbed = vec![f64::NAN; 12];
            let size = epsilon * attack.norm().uniform_size(12);
            attack.perturb(&mut model, &input, label, Threat { size, bounds }, &mut rng, &mut perturbed);
            prop_assert!(attack.norm().of(&difference(&perturbed, &input)) <= size * (1.0 + 1e-9), "{name}");
            prop_assert_eq!(Bounds::UNIT.outside(&perturbed), None, "{}", name);
            if let Some(smallest) = attack.smallest(&mut model, &input, label, bounds, &mut rng, &mut perturbed) {
                prop_assert!(smallest > 0.0 && model.is_fooled(&perturbed, label), "{name}");
                prop_assert_eq!(Bounds::UNIT.outside(&perturbed), None, "{}", name);
                let size = attack.norm().of(&difference(&perturbed, &input));
                prop_assert!(size <= smallest * (1.0 + 1e-9), "{name}");
                let wrong = (label + 1) % 3;
                let none_needed = attack.smallest(&mut model, &input, wrong, bounds, &mut rng, &mut perturbed);
                prop_assert_eq!(none_needed, Some(0.0));
                prop_assert_eq!(&perturbed, &input);
            }
        }
    }

    /// Of a linear classifier DeepFool finds |f_k − f_y|/‖w_k − w_y‖_q to the nearest boundary, and no attack comes nearer; with
    /// two classes the gradient points to the boundary, so that bisection finds it too.
    #[test]
    fn boundaries_of_linear_classifiers_are_found(seed in any::<u64>(), classes in 2usize..5) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = Architecture::new(Shape::new([12]).unwrap(), vec![Dense::new(classes).into()]).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
        let mut tape = Tape::new(&network);
        let logits = tape.forward(&network, &parameters, &input).to_vec();
        let label = loss::prediction(&logits);
        let rows: Vec<Vec<f64>> =
            (0..classes).map(|class| tape.logit_gradient(&network, &parameters, class).to_vec()).collect();
        let distances = |norm: Norm| {
            let others = (0..classes).filter(|&class| class != label);
            let distance = |class: usize| {
                (logits[label] - logits[class]) / norm.dual().of(&difference(&rows[class], &rows[label]))
            };
            others.map(distance).collect::<Vec<_>>()
        };
        let mut model = Model::new(&network, &parameters, &mut tape);
        for name in AnyAttack::names() {
            let attack = AnyAttack::named(name).unwrap();
            let distances = distances(attack.norm());
            let exact = distances.iter().copied().fold(f64::INFINITY, f64::min);
            let mut perturbed = vec![0.0; 12];
            let Some(found) = attack.smallest(&mut model, &input, label, None, &mut rng, &mut perturbed) else {
                // With more classes the gradient may climb along a boundary that is never crossed.
                prop_assert!(classes > 2 && SIZED.contains(&name), "{name}");
                continue;
            };
            prop_assert!(found >= exact * (1.0 - 1e-9), "{name}: {found} {exact}");
            let factor = match name {
                "deepfool" | "deepfool-linf" => 1.0 + 1e-6,
                // A walk that starts behind a farther boundary may stay there.
                "boundary" => 1.1 * distances.iter().copied().fold(0.0, f64::max) / exact,
                "fgsm" | "l2" | "ifgsm" | "il2" if classes == 2 => 1.0 + 3e-4,
                _ => f64::INFINITY,
            };
            prop_assert!(found <= exact * factor, "{name}: {found} {exact}");
        }
    }
}

/// The smallest ‖r‖ₚ, p = 2 or ∞, with w·r = rise and x + r in [0, 1]: rᵢ = sign(wᵢ) min(t·aᵢ, roomᵢ) with aᵢ = |wᵢ| or 1, t by
/// bisection. `None` where the box holds no such r.
fn nearest_in_the_unit_box(norm: Norm, slope: &[f64], rise: f64, input: &[f64]) -> Option<f64> {
    let room = |index: usize| if slope[index] > 0.0 { 1.0 - input[index] } else { input[index] };
    let weight = |index: usize| if norm == Norm::TWO { slope[index].abs() } else { 1.0 };
    let step = |t: f64| (0..slope.len()).map(|index| (t * weight(index)).min(room(index))).collect::<Vec<f64>>();
    let gain = |t: f64| step(t).iter().zip(slope).map(|(r, w)| r * w.abs()).sum::<f64>();
    let (mut low, mut high) = (0.0, 1e6);
    if gain(high) < rise {
        return None;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if gain(middle) < rise { low = middle } else { high = middle }
    }
    Some(norm.of(&step(high)))
}

proptest! {
    /// Of a linear classifier in a box, also at its edges and corners, DeepFool finds the nearest point of the other class, and finds
    /// none only where the box holds none.
    #[test]
    fn boundaries_of_linear_classifiers_are_found_in_the_box(seed in any::<u64>(), classes in 2usize..5) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network = Architecture::new(Shape::new([12]).unwrap(), vec![Dense::new(classes).into()]).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| [0.0, 1.0, rng.random_range(0.0..1.0)][rng.random_range(0..3)]).collect();
        let mut tape = Tape::new(&network);
        let logits = tape.forward(&network, &parameters, &input).to_vec();
        let label = loss::prediction(&logits);
        let rows: Vec<Vec<f64>> =
            (0..classes).map(|class| tape.logit_gradient(&network, &parameters, class).to_vec()).collect();
        let mut model = Model::new(&network, &parameters, &mut tape);
        for name in ["deepfool", "deepfool-linf"] {
            let attack = AnyAttack::named(name).unwrap();
            let distances = (0..classes).filter(|&class| class != label).filter_map(|class| {
                let rise = logits[label] - logits[class];
                nearest_in_the_unit_box(attack.norm(), &difference(&rows[class], &rows[label]), rise, &input)
            });
            let exact = distances.reduce(f64::min);
            let mut perturbed = vec![0.0; 12];
            let found = attack.smallest(&mut model, &input, label, Some(Bounds::UNIT), &mut rng, &mut perturbed);
            match (found, exact) {
                (Some(found), Some(exact)) => prop_assert!((found / exact - 1.0).abs() < 1e-6, "{name}: {found} {exact}"),
                _ => prop_assert!(found.is_none() && exact.is_none(), "{name}: {found:?} {exact:?}"),
            }
        }
    }
}

/// Inputs whose pixels are all at an end of the box leave half of the coordinates no way to go; of 200 random networks every one
/// is fooled, in both norms and both precisions.
#[test]
fn no_input_at_the_edge_of_the_box_is_given_up() {
    fn unfound<T: Real>(name: &str, seed: u64) -> bool {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers =
            vec![Dense::new(40).into(), Relu.into(), Dense::new(40).into(), Relu.into(), Dense::new(10).into()];
        let network = Architecture::new(Shape::new([30]).unwrap(), layers).unwrap();
        let parameters: Parameters<T> =
            Initialisation::he(&network, WeightDistribution::Normal, 1.0).draw(&network, &mut rng);
        let input: Vec<T> = (0..30).map(|_| if rng.random() { T::one() } else { T::zero() }).collect();
        let mut tape = Tape::new(&network);
        let mut model = Model::new(&network, &parameters, &mut tape);
        let label = model.state(&input, 0).prediction;
        let mut perturbed = vec![T::zero(); 30];
        let attack = AnyAttack::named(name).unwrap();
        let found = attack.smallest(&mut model, &input, label, Some(Bounds::UNIT), &mut rng, &mut perturbed);
        if found.is_some() {
            assert!(model.is_fooled(&perturbed, label) && Bounds::UNIT.outside(&perturbed).is_none(), "{name}: {seed}");
        }
        found.is_none()
    }
    for name in ["deepfool", "deepfool-linf"] {
        let single: Vec<u64> = (0..200).filter(|&seed| unfound::<f32>(name, seed)).collect();
        let double: Vec<u64> = (0..200).filter(|&seed| unfound::<f64>(name, seed)).collect();
        assert_eq!((single, double), (vec![], vec![]), "{name}");
    }
}

/// A linear classifier of two classes, of margin m and rows that differ by w, falls at ε = m/‖w‖₁ to FGSM and at ε√d = m/‖w‖₂ to the
/// ℓ₂ step, and to a random start at three times that; also where its softmax, or single coordinates of ∂ₓL, are below all numbers.
fn sure_classifiers_fall<T: Real>() {
    let network = Architecture::new(Shape::new([12]).unwrap(), vec![Dense::new(2).into()]).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rows: Vec<f64> = (0..24).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
    let weights: Vec<f64> = (0..12).map(|at| rows[at] - rows[12 + at]).collect();
    let mut parameters = Parameters::<T>::new(&network);
    let values = parameters.values_mut().iter_mut();
    values.zip(&rows).for_each(|(value, &row)| *value = T::from_f64(row));
    let mut tape = Tape::new(&network);
    let mut model = Model::new(&network, &parameters, &mut tape);
    for margin in [0.1, 5.0, 50.0, 80.0, 93.0, 100.0, 102.0, 103.5, 104.5, 200.0, 745.0, 800.0, 1e4] {
        let square: f64 = weights.iter().map(|weight| weight * weight).sum();
        let input: Vec<T> = weights.iter().map(|weight| T::from_f64(weight * margin / square)).collect();
        for name in SIZED {
            let attack = AnyAttack::named(name).unwrap();
            let slope = attack.norm().dual().of(&weights);
            let mut perturbed = vec![T::zero(); 12];
            let found = attack.smallest(&mut model, &input, 0, None, &mut rng, &mut perturbed).unwrap();
            let times = found * slope / margin;
            let most = if name.starts_with("pgd") { 3.01 } else { 1.0003 };
            assert!((0.99999..most).contains(&times), "{name} at {margin}: {times} of the margin");
            if !name.starts_with("pgd") {
                for (factor, falls) in [(0.9999, false), (1.0001, true)] {
                    let threat = Threat::unbounded(factor * margin / slope);
                    attack.perturb(&mut model, &input, 0, threat, &mut rng, &mut perturbed);
                    assert_eq!(model.is_fooled(&perturbed, 0), falls, "{name} at {margin}");
                }
            }
            let norm = model.loss_direction(&input, 0).norm(attack.norm().dual());
            let exact = slope / (1.0 + margin.exp());
            let allowed = 20.0 * T::epsilon().as_f64() * (1.0 + margin) * exact + 1e-300;
            assert!((norm - exact).abs() <= allowed, "{name} at {margin}: {norm:e} {exact:e}");
        }
    }
}

/// Rows that differ by 10⁻³¹⁰ in one coordinate: the boundary of a margin of 1 lies beyond all numbers, and the other coordinates stay.
#[test]
fn a_boundary_that_no_number_reaches_is_none() {
    let network = Architecture::new(Shape::new([2]).unwrap(), vec![Dense { units: 2, bias: true }.into()]).unwrap();
    let mut parameters = Parameters::<f64>::new(&network);
    parameters.values_mut().copy_from_slice(&[0.0, 0.0, 1e-310, 0.0, 1.0, 0.0]);
    let mut tape = Tape::new(&network);
    let mut model = Model::new(&network, &parameters, &mut tape);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for name in ["deepfool", "deepfool-linf"] {
        let attack = AnyAttack::named(name).unwrap();
        let mut perturbed = vec![f64::NAN; 2];
        attack.perturb(&mut model, &[0.3, 0.4], 0, Threat::unbounded(0.1), &mut rng, &mut perturbed);
        assert_eq!(perturbed, [0.3, 0.4], "{name}");
        assert_eq!(attack.smallest(&mut model, &[0.3, 0.4], 0, None, &mut rng, &mut perturbed), None, "{name}");
    }
}

#[test]
fn sure_classifiers_fall_where_doubtful_ones_do() {
    sure_classifiers_fall::<f32>();
    sure_classifiers_fall::<f64>();
}

/// Convolutional networks of equal weights up to signs at a constant image: a third has several largest logits, of the same row or of units
/// that are dead or equal, and some of those are not equal any more after rounding. What is predicted is the same in both precisions,
/// before and after an attack.
#[test]
fn tied_logits_predict_the_same_class_whatever_rounding_does() {
    let conv = |channels, size, padding| {
        Part::from(Conv { channels, window: Window { padding, ..Window::new(size, 1) }, bias: false })
    };
    let parts: Vec<Part> = vec![
        conv(5, 4, 2),
        Relu.into(),
        AveragePool(Window::new(3, 2)).into(),
        conv(4, 3, 1),
        MaxPool(Window::new(2, 1)).into(),
        Relu.into(),
        GlobalMaxPool.into(),
        Flatten.into(),
        Dense::new(7).into(),
    ];
    let network = Architecture::from_parts(Shape::new([1, 9, 7]).unwrap(), parts).unwrap();
    let initialisation = Initialisation::he(&network, WeightDistribution::Rademacher, 3.0);
    let (mut single_tape, mut double_tape) = (Tape::<f32>::new(&network), Tape::<f64>::new(&network));
    let attack = AnyAttack::named("pgd").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut tied, mut broken) = (0, 0);
    for _ in 0..4000 {
        let parameters: Parameters<f64> = initialisation.draw(&network, &mut rng);
        let rounded: Parameters<f32> = parameters.converted();
        let mut single = Model::new(&network, &rounded, &mut single_tape);
        let mut double = Model::new(&network, &parameters, &mut double_tape);
        let input = [0.7f32; 63];
        let mut perturbed = input;
        attack.perturb(&mut single, &input, rng.random_range(0..7), Threat::unbounded(0.2), &mut rng, &mut perturbed);
        for point in [input, perturbed] {
            let predicted = single.state(&point, 0).prediction;
            let logits = double.logits(&point.map(f64::from));
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(predicted, loss::prediction(logits), "{logits:?}");
            let leads = |slack: f64| logits.iter().filter(|logit| largest - **logit <= slack * largest.abs()).count();
            tied += usize::from(point == input && leads(0.0) > 1);
            broken += usize::from(point == input && leads(0.0) < leads(1e-13));
        }
    }
    assert!(tied > 1000 && broken > 0, "{tied} ties, {broken} that rounding breaks");
}

#[test]
fn a_clipped_step_is_the_step_within_the_box() {
    let network = Architecture::new(Shape::new([2]).unwrap(), vec![Dense::new(2).into()]).unwrap();
    let parameters: Parameters<f64> =
        Initialisation::he(&network, WeightDistribution::Normal, 1.0).draw(&network, &mut ChaCha8Rng::seed_from_u64(3));
    let mut tape = Tape::new(&network);
    let mut model = Model::new(&network, &parameters, &mut tape);
    let input = [0.95, 0.5];
    let signs: Vec<f64> = model.loss_direction(&input, 0).along.iter().map(|slope| slope.signum()).collect();
    let mut perturbed = [0.0; 2];
    let threat = Threat { size: 0.2, bounds: Some(Bounds::UNIT) };
    let fgsm = AnyAttack::named("fgsm").unwrap();
    fgsm.perturb(&mut model, &input, 0, threat, &mut ChaCha8Rng::seed_from_u64(1), &mut perturbed);
    assert_eq!(perturbed, [(0.95 + 0.2 * signs[0]).min(1.0), 0.5 + 0.2 * signs[1]]);
}

#[test]
fn steps_are_a_choice_of_those_that_take_them() {
    for name in AnyAttack::names() {
        let attack = AnyAttack::named(name).unwrap();
        assert_eq!(attack.name(), name);
        assert!(attack.with_steps(3).is_none_or(|attack| attack.name() == name));
    }
    assert_eq!(AnyAttack::named("fgsm").unwrap().with_steps(3), None);
    assert_eq!(AnyAttack::named("pgd").unwrap().steps(), Some(7));
    assert_eq!(AnyAttack::named("boundary").unwrap().with_steps(3).unwrap().steps(), Some(3));
    assert!(AnyAttack::named("magic").is_none());
}

proptest! {
    /// Aimed at a class, a small step lowers that class's loss by εₚ‖∂ₓL_C‖_q to first order; of a linear classifier DeepFool, whose steps
    /// in ‖·‖₂ project onto one half-space after the other, finds a point of the class; and what is called a success is one.
    #[test]
    fn aimed_attacks_make_the_prediction_their_target(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let linear = seed % 2 == 0;
        let (network, parameters) = network(linear, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| WeightDistribution::Normal.draw(&mut rng)).collect();
        let mut tape = Tape::new(&network);
        let label = loss::prediction(tape.forward(&network, &parameters, &input));
        let target = (label + 1) % 3;
        let before = loss::cross_entropy(tape.logits(), target);
        let gradient = tape.loss_gradient(&network, &parameters, target).to_vec();
        let mut model = Model::new(&network, &parameters, &mut tape).towards(Some(target));
        let mut perturbed = vec![0.0; 12];
        for name in AnyAttack::names() {
            let mut attack = AnyAttack::named(name).unwrap();
            if name == "deepfool" {
                attack = attack.with_steps(2000).unwrap();
            }
            if SIZED.contains(&name) {
                attack.perturb(&mut model, &input, label, Threat::unbounded(1e-7), &mut rng, &mut perturbed);
                let fallen = (before - loss::cross_entropy(model.logits(&perturbed), target)) / 1e-7;
                let predicted = attack.norm().dual().of(&gradient);
                let least = if name.starts_with("pgd") { 0.333 } else { 0.999 };
                prop_assert!(fallen >= least * predicted - 1e-6 && fallen <= 1.001 * predicted + 1e-6, "{name}");
            }
            let found = attack.smallest(&mut model, &input, label, None, &mut rng, &mut perturbed);
            prop_assert!(found.is_some() || !linear || name != "deepfool", "{name}");
            if let Some(size) = found {
                prop_assert_eq!(loss::prediction(model.logits(&perturbed)), target, "{}", name);
                prop_assert!(attack.norm().of(&difference(&perturbed, &input)) <= size * (1.0 + 1e-9), "{name}");
                let none_needed = attack.smallest(&mut model, &perturbed.clone(), label, None, &mut rng, &mut perturbed);
                prop_assert_eq!(none_needed, Some(0.0));
            }
        }
    }

    /// The first of several starts is the one that an attack takes alone, and more starts are never better for the network.
    #[test]
    fn more_starts_are_worse_for_the_network(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (network, parameters) = network(false, &mut rng);
        let input: Vec<f64> = (0..12).map(|_| rng.random_range(0.0..1.0)).collect();
        let mut tape = Tape::new(&network);
        let mut model = Model::new(&network, &parameters, &mut tape);
        let label = model.state(&input, 0).prediction;
        for name in ["pgd", "pgd-l2", "boundary"] {
            let attack = AnyAttack::named(name).unwrap();
            let threat = Threat { size: 0.1, bounds: Some(Bounds::UNIT) };
            let mut goals = Vec::new();
            let mut sizes = Vec::new();
            for count in [1, 2, 5] {
                let several = Restarts { attack, count };
                let mut perturbed = vec![0.0; 12];
                several.perturb(&mut model, &input, label, threat, &mut rng.clone(), &mut perturbed);
                goals.push(model.standing(&perturbed, label));
                let found = several.smallest(&mut model, &input, label, threat.bounds, &mut rng.clone(), &mut perturbed);
                sizes.push(found.unwrap_or(f64::INFINITY));
                if count == 1 {
                    let mut alone = vec![0.0; 12];
                    attack.smallest(&mut model, &input, label, threat.bounds, &mut rng.clone(), &mut alone);
                    prop_assert_eq!(alone, perturbed);
                }
            }
            prop_assert!(goals.is_sorted(), "{name}: {goals:?}");
            prop_assert!(sizes.is_sorted_by(|one, other| one >= other), "{name}: {sizes:?}");
        }
    }
}

#[test]
fn attacks_have_the_names_of_the_table_whatever_their_steps() {
    for name in AnyAttack::names() {
        let attack = AnyAttack::named(name).unwrap();
        assert_eq!(attack.with_steps(3).unwrap_or(attack).name(), name);
        assert_eq!(attack.with_step_size(0.25).unwrap_or(attack).name(), name);
    }
}
