//! Real networks whose law is known: intervals and tests of exact values and of statistics, at fixed numbers of draws, at a precision, and
//! until decided, also where tails are heavy.

use super::kinds::Sharp;

/// A spec of one network at one point, and what its claims speak of.
pub struct Sampled {
    /// What is drawn, and how long.
    pub what: &'static str,
    /// The spec without its seed and claims.
    pub spec: String,
    /// The claims: what each speaks of, its table, and the truth as its verdict shows it.
    pub claims: Vec<(&'static str, String, f64)>,
    /// How sharp what is said of it is.
    pub sharp: Sharp,
}

/// Ten layers of width 8: the squared norm is a product of ten sums of a few squares, of a heavy tail.
const HEAVY: &str = "[[network]]\nlabel = \"ten layers of width 8\"\ninput = [32]\nlayers = [{ type = \"repeat\", times = 10, \
                     layers = [{ type = \"dense\", units = 8 }, { type = \"relu\" }] }, { type = \"dense\", units = 2 }]\n";

/// One layer of 50 inputs: the squared norm has the law χ²₅₀/50.
const PLAIN: &str = "define = { square = \"logit.l2^2\" }\n[[network]]\nlabel = \"one layer\"\ninput = [50]\n\
                     layers = [{ type = \"dense\", units = 3 }]\n";

/// Numbers of χ²₅₀/50: the median, the quantile of 0.9.
const MEDIAN: f64 = 0.986_699;
const NINE_TENTHS: f64 = 1.263_342;

/// All of them.
pub fn all() -> Vec<Sampled> {
    let theory = "observable = \"logit.l1\"\nvalue = \"theory\"\ntolerance = 0.5";
    let heavy = |what, rule: &str, sharp| Sampled {
        what,
        spec: format!("name = \"heavy\"\nobservables = [\"logit.l1\"]\n{rule}\n{HEAVY}"),
        claims: vec![("its exact mean", theory.into(), 1.0)],
        sharp,
    };
    let deviation = (2.0_f64 / 50.0).sqrt();
    let value = |name: &'static str, truth: f64| {
        (name, format!("observable = \"{name}\"\nvalue = {{ at_most = {truth} }}"), truth)
    };
    vec![
        heavy("ten layers of width 8, 4 000 draws", "draws = 4000", Sharp::All),
        heavy("ten layers of width 8, to a precision of 3 %", "precision = 0.03\nmax_draws = 100000", Sharp::All),
        Sampled {
            claims: vec![(
                "its exact mean",
                "observable = \"logit.l1\"\nvalue = \"theory\"\ntolerance = 0.001".into(),
                1.0,
            )],
            ..heavy("ten layers of width 8, until decided", "draws = \"decide\"\nmax_draws = 4000", Sharp::Nothing)
        },
        Sampled {
            what: "statistics of 20 000 draws of χ²",
            spec: format!("name = \"plain\"\nobservables = [\"square\"]\ndraws = 20000\n{PLAIN}"),
            claims: vec![
                value("mean(square)", 1.0),
                value("std(square)", deviation),
                value("cv(square)", deviation),
                value("var(square) / mean(square)^2", deviation * deviation),
                value("median(square)", MEDIAN),
                value("quantile(square, 0.9)", NINE_TENTHS),
            ],
            // They share the level, with the comparison of the mean with its exact value.
            sharp: Sharp::Interval,
        },
    ]
}
