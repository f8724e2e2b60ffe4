//! The exponent of a law in one call.

use std::error::Error;

use super::ExperimentBuilder;
use crate::experiment::claim::Claim;
use crate::experiment::results::Verdict;
use crate::experiment::specification::At;
use crate::experiment::work::{Limits, Unwatched};
use crate::network::{Architecture, Initialisation};

/// Most draws at a point until a claimed exponent is decided.
const MOST_DRAWS: u64 = 1 << 18;
/// Draws at a point of an exponent that is only asked for.
const DRAWS: u64 = 10_000;

/// The exponent b of a law mean ∝ d^b, of an observable over networks that `make` gives at each of these values of `d`, by the weighted fit
/// on logarithmic axes: the estimate with its standard error and interval, and the verdict on `claimed`, an exponent and its tolerance.
///
/// It is that of an experiment with one claim: networks are drawn until it is decided, or 10 000 times where nothing is claimed.
/// Seed, limits and all else of an [`ExperimentBuilder`] are those of a new one.
///
/// ```
/// use gradlaw::prelude::*;
///
/// let found = fit_exponent("loss.l1", [64.0, 256.0, 1024.0], Some((0.5, 0.02)), |at| {
///     let layers = vec![Dense::new(32).into(), Relu.into(), Dense::new(10).into()];
///     let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, layers)?;
///     let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
///     Ok((network, he))
/// })?;
/// assert_eq!(found.verdict, Outcome::Holds);
/// assert!((found.measured.ok_or("a number")? - 0.5).abs() < 0.02);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The observable is unknown, a network cannot be made, or needs more memory than there is.
pub fn fit_exponent(
    observable: &str,
    dimensions: impl Into<Vec<f64>>,
    claimed: Option<(f64, f64)>,
    make: impl Fn(&At) -> Result<(Architecture, Initialisation), Box<dyn Error>> + Send + Sync + 'static,
) -> Result<Verdict, Box<dyn Error>> {
    let builder =
        ExperimentBuilder::new("exponent").sweep("d", dimensions).network("network", make).observe(observable);
    let builder = match claimed {
        Some((exponent, tolerance)) => {
            builder.claim(Claim::exponent(observable, "d", exponent, tolerance)).until_decided(MOST_DRAWS)
        }
        None => builder.claim(Claim::fitted_exponent(observable, "d")).draws(DRAWS),
    };
    let mut verdicts = builder.build(&Limits::default())?.judged(&Unwatched)?;
    // One network and one claim on one variable.
    verdicts.pop().ok_or_else(|| "no exponent can be fitted: there are no points".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::Outcome;
    use crate::network::{Dense, Shape, WeightDistribution};

    fn linear(at: &At) -> Result<(Architecture, Initialisation), Box<dyn Error>> {
        let network = Architecture::new(Shape::new([at.size("d")?]).ok_or("no shape")?, vec![Dense::new(3).into()])?;
        let he = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        Ok((network, he))
    }

    #[test]
    fn an_exponent_is_found_and_judged() {
        let sizes = [16.0, 64.0, 256.0];
        let found = fit_exponent("logit.l1", sizes, None, linear).unwrap();
        assert_eq!(found.verdict, Outcome::Estimate);
        let (estimate, error) = (found.measured.unwrap(), found.std_error.unwrap());
        // Five standard errors: 6·10⁻⁷ of all seeds.
        assert!((estimate - 0.5).abs() < 5.0 * error && error < 0.01, "{estimate} ± {error}");
        let false_one = fit_exponent("logit.l1", sizes, Some((0.6, 0.05)), linear).unwrap();
        assert_eq!(false_one.verdict, Outcome::Refuted);
        assert!(fit_exponent("logit.l", sizes, None, linear).unwrap_err().to_string().contains("unknown observable"));
        assert!(fit_exponent("logit.l1", [], None, linear).is_err());
    }
}
