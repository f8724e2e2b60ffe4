//! What is written beside curves and axes: the paper's notation, the fitted numbers.

use super::Series;
use crate::experiment::claim::{Claim, Remark};
use crate::experiment::format::{rounded, unbroken, with_error};
use crate::experiment::results::{Outcome, Row, Verdict};
use crate::observable::{Gradient, GradientObservable, HypothesisObservable, Observable, Statistic};
use crate::short::short;
use crate::statistics::{Fit, WeightedPoint};

/// "slope 0.4998 ± 0.0004, predicted 0.5", and the verdict where the claim does not hold; `predictions` are the values that the
/// series's means are compared with.
pub(super) fn annotation(
    claim: &Claim,
    series: &Series<'_>,
    predictions: &[(f64, f64)],
    verdicts: &[Verdict],
) -> String {
    let verdict = verdicts.iter().find(|verdict| speaks_of(verdict, claim, series));
    let outcome =
        verdict.map(|verdict| verdict.verdict).filter(|outcome| !matches!(outcome, Outcome::Holds | Outcome::Estimate));
    let numbers = numbers(claim, series, predictions, verdict);
    let parts = [Some(numbers).filter(|numbers| !numbers.is_empty()), outcome.map(|outcome| outcome.name().into())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn numbers(claim: &Claim, series: &Series<'_>, predictions: &[(f64, f64)], verdict: Option<&Verdict>) -> String {
    if claim.is_of_value() {
        let all = |is: fn(&Row) -> bool| series.rows.iter().all(|(_, row, _)| is(row));
        let of = match claim.states_value() {
            true => "predicted",
            false if all(Row::has_exact_theory) => "exact",
            false if all(Row::has_mean_field_theory) => "mean field",
            false => "path theory",
        };
        return ratio_to(series, predictions).map(|ratio| format!("measured/{of} {ratio}")).unwrap_or_default();
    }
    verdict.and_then(Remark::of).map(|remark| claim.remark(&remark)).unwrap_or_default()
}

fn speaks_of(verdict: &Verdict, claim: &Claim, series: &Series<'_>) -> bool {
    verdict.claim.is_some_and(|index| claim.terms.path == format!("claim.{index}"))
        && (claim.pair().is_some() || verdict.network == series.network)
        && (verdict.variables.is_empty() || verdict.variables == series.others)
}

/// Weighted mean of measured over predicted, along one series.
fn ratio_to(series: &Series<'_>, predictions: &[(f64, f64)]) -> Option<String> {
    let ratios = series.rows.iter().zip(predictions).map(|((_, _, sampled), (_, predicted))| WeightedPoint {
        x: 1.0,
        y: sampled.mean / predicted,
        std_error: (sampled.std_error / predicted).abs(),
        degrees: sampled.draws.saturating_sub(1) as f64,
    });
    let fit = Fit::constant(&ratios.collect::<Vec<_>>())?;
    Some(unbroken(&with_error(fit.estimate, fit.std_error)))
}

/// A digit as a subscript; a point stays.
fn subscript(digit: char) -> char {
    digit.to_digit(10).and_then(|value| char::from_u32('₀' as u32 + value)).unwrap_or(digit)
}

/// What tells a series from the others of its figure.
pub(super) fn series_label(series: &Series<'_>, all: &[Series<'_>]) -> String {
    let several = |key: fn(&Series<'_>) -> String| all.iter().any(|other| key(other) != key(&all[0]));
    let mut parts = Vec::new();
    if several(|series| series.observable.to_owned()) {
        parts.push(symbol(series.observable));
    }
    if several(|series| series.network.to_owned()) {
        parts.push(series.network.to_owned());
    }
    // A variable of one value tells nothing apart.
    let telling = series.others.iter().filter(|other| all.iter().any(|series| !series.others.contains(other)));
    parts.extend(telling.map(|(name, value)| unbroken(&format!("{name} = {}", short(value)))));
    if parts.is_empty() { symbol(series.observable) } else { parts.join(", ") }
}

/// The observable in the paper's notation.
pub fn symbol(name: &str) -> String {
    match name.parse() {
        Ok(Observable::Gradient(observable)) => gradient_symbol(&observable),
        Ok(Observable::Hypothesis(HypothesisObservable::Gap)) => "‖∂ₓf‖₂²/path theory − 1".into(),
        _ => attack_symbol(name).unwrap_or_else(|| name.into()),
    }
}

/// `damage.fgsm@0.1` and its kin in words; a size that is a sweep variable stands on the abscissa or among the variables.
fn attack_symbol(name: &str) -> Option<String> {
    let (front, rest) = name.split_once('@')?;
    let (effect, attack) = front.split_once('.')?;
    let (size, first_order) = rest.strip_suffix(".first-order").map_or((rest, false), |size| (size, true));
    let what = match effect {
        "damage" if first_order => "damage/first order of",
        "damage" => "damage of",
        "vulnerability" => "vulnerability to",
        _ => "predictions changed by",
    };
    let at = size.parse().map_or(String::new(), |size: f64| format!(", ε = {}", rounded(size, 3)));
    Some(format!("{what} {}{at}", attack.to_uppercase()))
}

fn gradient_symbol(observable: &GradientObservable) -> String {
    let function = match observable.gradient {
        Gradient::Loss => "∂ₓL",
        Gradient::Logit => "∂ₓf",
    };
    let base = match observable.statistic {
        Statistic::Coordinate => match observable.gradient {
            Gradient::Loss => "|∂ᵢL|".into(),
            Gradient::Logit => "|∂ᵢf|".into(),
        },
        Statistic::RaoBlackwell => format!("E‖{function}‖₁ given scalars"),
        Statistic::Norm(norm) => {
            let order = match norm.order() {
                f64::INFINITY => "∞".into(),
                order => order.to_string().chars().map(subscript).collect::<String>(),
            };
            let scale = if observable.scaled { "εₚ " } else { "" };
            format!("{scale}‖{function}‖{order}")
        }
    };
    match observable.power {
        2 => format!("{base}²"),
        4 => format!("{base}⁴"),
        _ => base,
    }
}

/// The name of the upper panel's axis.
pub(super) fn ordinate_label(all_series: &[Series<'_>]) -> String {
    match all_series {
        [first, rest @ ..] if rest.iter().all(|series| series.observable == first.observable) => {
            // A statistic is what it is, and no mean.
            let is_statistic = first.observable.contains('(');
            if is_statistic { first.observable.into() } else { format!("mean of {}", symbol(first.observable)) }
        }
        _ => "mean".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observables_are_written_as_in_the_paper() {
        for (name, expected) in [
            ("loss.l1", "‖∂ₓL‖₁"),
            ("logit.l2sq", "‖∂ₓf‖₂²"),
            ("loss.linf.scaled", "εₚ ‖∂ₓL‖∞"),
            ("loss.l1.5", "‖∂ₓL‖₁.₅"),
            ("loss.coordinate", "|∂ᵢL|"),
            ("damage.pgd-l2@0.1", "damage of PGD-L2, ε = 0.1"),
            ("damage.fgsm@1e-3.first-order", "damage/first order of FGSM, ε = 0.001"),
            ("damage.fgsm@epsilon", "damage of FGSM"),
            ("masks.open", "masks.open"),
        ] {
            assert_eq!(symbol(name), expected);
        }
    }
}
