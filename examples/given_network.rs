//! Gradients and an attack of a network whose weights are at hand: here a random one, as another program would hand them over.
//! `cargo run --release --example given_network`

use gradlaw::attack::AnyAttack;
use gradlaw::data::Npy;
use gradlaw::experiment::given::{AttackRequest, Engine, GivenNetwork, Precision, Request, Which, parse_architecture};
use gradlaw::network::weights::NamedArray;
use gradlaw::network::{Matching, Norm, WeightFile};
use gradlaw::prelude::*;

const NETWORK: &str = r#"
input = [64]
layers = [{ type = "dense", units = 32, weights = "fc1" }, { type = "gelu" }, { type = "dense", units = 10, weights = "fc2" }]
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wave = |name: &str, shape: [usize; 2]| {
        let scale = (shape[1] as f64).sqrt().recip();
        let values = (0..shape[0] * shape[1]).map(|index| scale * (index as f64 * 0.7).sin());
        NamedArray { name: name.into(), shape: shape.into(), values: values.collect() }
    };
    let weights = WeightFile::of_arrays(vec![wave("fc1.weight", [32, 64]), wave("fc2.weight", [10, 32])])?;
    let architecture = parse_architecture("network", NETWORK, &[], &Which::default())?;
    let network = GivenNetwork::<f64>::of(architecture, ("weights", weights), Matching::Names, &Limits::default())?;

    let pixels: Vec<f64> = (0..5 * 64).map(|index| (index as f64 * 0.3).cos()).collect();
    let samples = || Npy::of_values(&pixels, &[5, 64], &[64]);
    let labels = vec![3; 5];
    let norms = [Norm::ONE, Norm::TWO];
    let request =
        Request { samples: &samples()?, labels: Some(&labels), norms: &norms, engine: Engine::Backpropagation };
    for sample in f64::gradients(&network, &request)?.samples {
        println!("loss {:.4}, ‖∂ₓL‖₁ {:.4}, ‖∂ₓL‖₂ {:.4}", sample.loss, sample.loss_norms[0], sample.loss_norms[1]);
    }

    let attack = AnyAttack::named("pgd").ok_or("an attack")?;
    let request = AttackRequest { attack, epsilons: &[0.01, 0.1], seed: 1, restarts: 3, target: None, keep: false };
    let samples = f64::of_array(&network, samples()?, Some(labels), None)?;
    for size in f64::attacks(&network, &samples, &request, &Unwatched).0.thresholds {
        println!("ε = {}: damage {:.4}, to first order {:.4}", size.epsilon, size.damage.mean, size.first_order);
    }
    Ok(())
}
