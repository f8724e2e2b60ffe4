//! Every kind of claim: one that is true of a made-up world, one that is false of it, and one whose truth lies on the edge of what it
//! allows, where both of its tests have the error that they state.

use super::world::{Truth, usual};
use super::{Expected, LEVEL};

/// A kind of claim with what is known about it.
pub struct Kind {
    /// The kind, and what of it.
    pub name: &'static str,
    /// True of the [`usual`] world.
    pub right: &'static str,
    /// False of `wrong_world`.
    pub wrong: &'static str,
    /// The world of which it is false.
    pub wrong_world: Truth,
    /// Whether drawn networks have it; trained ones have all.
    pub for_drawn: bool,
    /// Repetitions of training that show clearly what is true and what is false.
    pub many_repeats: usize,
    /// The truth on the edge.
    pub edge: Edge,
}

/// A claim in a world whose truth is on the edge of what it allows.
pub struct Edge {
    pub claim: &'static str,
    pub world: Truth,
    /// What is measured, without noise, as the last of the claim's verdicts shows it of draws and of repetitions; NaN where its interval
    /// is not of 95 %.
    pub measured: [f64; 2],
    /// How sharp what is said of draws is, and of repetitions.
    pub sharp: [Sharp; 2],
}

/// Whether errs as often as stated, or at most so.
#[derive(Clone, Copy, PartialEq)]
pub enum Sharp {
    /// Both tests and the interval err as often as they say.
    All,
    /// The interval does; the tests share their level with others of the claim.
    Interval,
    /// Each errs at most as often as it says.
    Nothing,
}
use Sharp::{All, Interval, Nothing};

impl Sharp {
    /// How often intervals of 95 % should cover.
    pub fn of_intervals(self) -> Expected {
        if self == Nothing { Expected::Covers(1.0 - LEVEL) } else { Expected::Exactly(1.0 - LEVEL) }
    }

    /// How often tests should err.
    pub fn of_tests(self) -> Expected {
        if self == All { Expected::Exactly(LEVEL) } else { Expected::AtMost(LEVEL) }
    }
}

/// Repetitions of a made-up training where there is more to see.
const MANY_REPEATS: usize = 24;
/// The same for claims on distributions, which show little of their distance with few.
const REPEATS_OF_LAWS: usize = 300;

/// The same mean for all.
fn flat(_: &str, _: &str, _: f64) -> f64 {
    1.0
}

/// Two networks of one law.
fn same(_: &str, observable: &str, d: f64) -> f64 {
    usual("A", observable, d)
}

/// Two laws at the Kolmogorov-Smirnov distance 0.2: Gaussians around 1 and around m with a relative scatter of 0.2.
fn distant(network: &str, _: &str, _: f64) -> f64 {
    if network == "A" { 1.0 } else { DISTANT }
}

/// The mean at which sup |Φ((x − 1)/0.2) − Φ((x − m)/(0.2 m))| is 0.2.
const DISTANT: f64 = 1.10461;

/// The second network's exponent is 0.6, the first one's 0.5.
fn steeper(network: &str, observable: &str, d: f64) -> f64 {
    usual(network, observable, d) * if network == "A" { 1.0 } else { d.powf(0.1) }
}

/// All kinds.
pub const KINDS: [Kind; 15] = [
    Kind {
        name: "exponent",
        right: "exponent = 0.5\nagainst = \"d\"\nobservable = \"loss.l1\"\ntolerance = 0.06",
        wrong: "exponent = 0.9\nagainst = \"d\"\nobservable = \"loss.l1\"\ntolerance = 0.06",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "exponent = 0.4\nagainst = \"d\"\nobservable = \"loss.l1\"\nnetwork = \"A\"\ntolerance = 0.1",
            world: usual,
            measured: [0.5; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "value",
        right: "value = \"sqrt(d)\"\nnetwork = \"A\"\nobservable = \"loss.l1\"\ntolerance = 0.25",
        wrong: "value = \"4 * sqrt(d)\"\nnetwork = \"A\"\nobservable = \"loss.l1\"\ntolerance = 0.25",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "value = \"sqrt(d) / 1.1\"\nobservable = \"loss.l1\"\nnetwork = \"A\"\ntolerance = 0.1\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [1.1, 4.0],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "ratio",
        right: "ratio = [\"B\", \"A\"]\nfactor = 2\nobservable = \"loss.l1\"\ntolerance = 0.1",
        wrong: "ratio = [\"B\", \"A\"]\nfactor = 3\nobservable = \"loss.l1\"\ntolerance = 0.1",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "ratio = [\"B\", \"A\"]\nfactor = \"2 / 1.1\"\nobservable = \"loss.l1\"\ntolerance = 0.1\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [2.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "quotient",
        right: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = 2\ntolerance = 0.1",
        wrong: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = \"d\"\ntolerance = 0.1",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = \"2 / 1.1\"\nnetwork = \"A\"\ntolerance = 0.1\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [1.1, 2.0],
            sharp: [Nothing, All],
        },
    },
    Kind {
        name: "less",
        right: "less = [\"A\", \"B\"]\nobservable = \"loss.l1\"",
        wrong: "less = [\"B\", \"A\"]\nobservable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "less = [\"A\", \"B\"]\nobservable = \"loss.l1\"",
            world: same,
            measured: [0.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "same_law",
        right: "same_law = [\"A\", \"B\"]\nobservable = \"loss.l1\"\ntolerance = 1.9",
        wrong: "same_law = [\"A\", \"B\"]\nobservable = \"loss.l1\"\ntolerance = 0.1",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: REPEATS_OF_LAWS,
        edge: Edge {
            claim: "same_law = [\"A\", \"B\"]\nobservable = \"loss.l1\"\ntolerance = 0.2\nwithin = { d = [16, 16] }",
            world: distant,
            measured: [f64::NAN; 2],
            sharp: [Nothing; 2],
        },
    },
    Kind {
        name: "rank_correlation",
        right: "rank_correlation = [\"loss.l1\", \"loss.l2\"]\nat_least = 0.5",
        wrong: "rank_correlation = [\"loss.l1\", \"loss.l2\"]\nat_least = 0.8",
        wrong_world: flat,
        for_drawn: false,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "rank_correlation = [\"loss.l1\", \"loss.l2\"]\nat_least = 0",
            world: flat,
            measured: [f64::NAN; 2],
            sharp: [Nothing; 2],
        },
    },
    Kind {
        name: "exponent, bound",
        right: "exponent = { at_most = 0.6 }\nagainst = \"d\"\nobservable = \"loss.l1\"",
        wrong: "exponent = { at_most = 0.3 }\nagainst = \"d\"\nobservable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "exponent = { at_most = 0.5 }\nagainst = \"d\"\nobservable = \"loss.l1\"\nnetwork = \"A\"",
            world: usual,
            measured: [0.5; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "value, bound",
        right: "value = { at_least = \"0.5 * sqrt(d)\" }\nobservable = \"loss.l1\"",
        wrong: "value = { at_most = \"0.5 * sqrt(d)\" }\nobservable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "value = { at_least = \"sqrt(d)\" }\nobservable = \"loss.l1\"\nnetwork = \"A\"\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [4.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "ratio, bound",
        right: "ratio = [\"B\", \"A\"]\nfactor = { at_least = 1 }\nobservable = \"loss.l1\"",
        wrong: "ratio = [\"B\", \"A\"]\nfactor = { at_most = 1 }\nobservable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "ratio = [\"B\", \"A\"]\nfactor = { at_most = 2 }\nobservable = \"loss.l1\"\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [2.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "quotient, bound",
        right: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = { at_least = 1 }",
        wrong: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = { at_most = 1 }",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "quotient = [\"loss.l1\", \"loss.l2\"]\nvalue = { at_least = 2 }\nnetwork = \"A\"\nwithin = { d = [16, 16] }",
            world: usual,
            measured: [1.0, 2.0],
            sharp: [Nothing, All],
        },
    },
    Kind {
        name: "increasing",
        right: "increasing = true\nagainst = \"d\"\nobservable = \"loss.l1\"",
        wrong: "decreasing = \"d\"\nobservable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "increasing = \"d\"\nobservable = \"loss.l1\"\nnetwork = \"A\"\nwithin = { d = [16, 64] }",
            world: flat,
            measured: [0.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "decreasing",
        right: "increasing = \"loss.l2\"\nagainst = \"d\"",
        wrong: "decreasing = \"loss.l2\"\nagainst = \"d\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "decreasing = \"d\"\nobservable = \"loss.l1\"\nnetwork = \"A\"\nwithin = { d = [16, 64] }",
            world: flat,
            measured: [0.0; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "same_exponent",
        right: "same_exponent = [\"A\", \"B\"]\nagainst = \"d\"\nobservable = \"loss.l1\"\ntolerance = 0.1",
        wrong: "same_exponent = [\"A\", \"B\"]\nagainst = \"d\"\nobservable = \"loss.l1\"\ntolerance = 0.05",
        wrong_world: steeper,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "same_exponent = [\"A\", \"B\"]\nagainst = \"d\"\nobservable = \"loss.l1\"\ntolerance = 0.1",
            world: steeper,
            measured: [-0.1; 2],
            sharp: [All; 2],
        },
    },
    Kind {
        name: "fit",
        right: "fit = \"c * d^a\"\nconstants = { a = \"0.5 ± 0.06\", c = { at_least = 0.1 } }\nobservable = \"loss.l1\"\ntolerance = 0.25",
        wrong: "fit = \"c * d^a\"\nconstants = { a = { value = 0.9, tolerance = 0.06 }, c = { at_most = 0.1 } }\n\
         observable = \"loss.l1\"",
        wrong_world: usual,
        for_drawn: true,
        many_repeats: MANY_REPEATS,
        edge: Edge {
            claim: "fit = \"c * d^a\"\nconstants = { a = \"0.4 ± 0.1\" }\nobservable = \"loss.l1\"\nnetwork = \"A\"",
            world: usual,
            measured: [0.5; 2],
            sharp: [Interval, All],
        },
    },
];
