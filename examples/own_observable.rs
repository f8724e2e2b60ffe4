//! An observable of one's own, made of others draw by draw: how far the coordinates of a gradient are from Gaussian ones, by the quotient of its
//! norms. `cargo run --release --example own_observable`

use gradlaw::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let experiment = ExperimentBuilder::new("quotient")
        .sweep("d", [64.0, 256.0, 1024.0])
        .network("dense", |at: &At| {
            let layers = vec![Dense::new(128).into(), Relu.into(), Dense::new(10).into()];
            let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, layers)?;
            let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
            Ok((network, he))
        })
        .observe_made("quotient", &["loss.l1", "loss.l2"], |values| values[0] / values[1])
        .claim(Claim::value("quotient", "sqrt(2 * d / pi)".parse::<Expression>()?, 0.01))
        .until_decided(20_000)
        .build(&Limits::default())?;
    for verdict in experiment.judged(&Unwatched)? {
        println!("{}: {} ({:?})", verdict.statement, verdict.verdict.name(), verdict.interval);
    }
    Ok(())
}
