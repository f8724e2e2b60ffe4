//! The square-root law in Rust: ‖∂ₓL‖₁ of ReLU networks at He initialisation grows as √d, whatever their width.
//! `cargo run --release --example width_free`

use gradlaw::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = |width: usize| {
        move |at: &At| {
            let layers = vec![Dense::new(width).into(), Relu.into(), Dense::new(10).into()];
            let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, layers)?;
            let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
            Ok((network, he))
        }
    };
    let experiment = ExperimentBuilder::new("width-free")
        .sweep("d", [64.0, 256.0, 1024.0, 4096.0])
        .network("narrow", network(64))
        .network("wide", network(512))
        .observe("loss.l1")
        .claim(Claim::exponent("loss.l1", "dimension", 0.5, 0.02))
        .claim(Claim::ratio(["narrow", "wide"], "loss.l1", 1.0, 0.05))
        .draws(20_000)
        .build(&Limits::default())?;
    for verdict in experiment.judged(&Unwatched)? {
        println!("{} [{}]: {}", verdict.statement, verdict.network, verdict.verdict.name());
    }
    Ok(())
}
