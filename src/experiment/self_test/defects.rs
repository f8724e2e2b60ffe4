//! Thirty planted defects: mistakes that a simulator, its theory or a spec could have, small where a small one is easy to make, each in a
//! claim that is true without it.

/// A mistake and a spec whose claim it makes false.
pub struct Defect {
    /// What is wrong.
    pub what: &'static str,
    plan: Plan,
}

/// How the spec is put together.
enum Plan {
    /// A network and itself with the defect, which a claim calls equal.
    Networks { observable: &'static str, draws: u32, intact: &'static str, change: Change },
    /// One network that has the defect: what is measured of it, and a claim.
    Claim { observables: &'static str, network: &'static str, claim: &'static str },
    /// Two methods of training that a claim calls equal.
    Methods { observable: &'static str, intact: &'static str, change: Change },
}

/// What the defect does to the text of a table.
enum Change {
    /// Another text for a part of it.
    Swap(&'static str, &'static str),
    /// More lines.
    Add(&'static str),
}
use Change::{Add, Swap};

impl Change {
    fn of(&self, intact: &str) -> String {
        match self {
            Self::Swap(from, to) => intact.replace(from, to),
            Self::Add(lines) => format!("{intact}\n{lines}"),
        }
    }
}

const fn networks(
    what: &'static str,
    observable: &'static str,
    draws: u32,
    intact: &'static str,
    change: Change,
) -> Defect {
    Defect { what, plan: Plan::Networks { observable, draws, intact, change } }
}

const fn claim(what: &'static str, observables: &'static str, network: &'static str, claim: &'static str) -> Defect {
    Defect { what, plan: Plan::Claim { observables, network, claim } }
}

const fn methods(what: &'static str, observable: &'static str, intact: &'static str, change: Change) -> Defect {
    Defect { what, plan: Plan::Methods { observable, intact, change } }
}

/// Draws of the collapsed sampler, and of networks with matrices.
const MANY: u32 = 40_000;
const FEW: u32 = 4_000;

const DENSE: &str = r#"input = [64]
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#;
const SMALL: &str = r#"input = [16]
layers = [{ type = "dense", units = 8, bias = true }, { type = "relu" }, { type = "dense", units = 5 }]"#;
const SQUARE: &str = r#"input = [8]
layers = [{ type = "repeat", times = 4, layers = [{ type = "dense", units = 8 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#;
const SWEPT: &str = r#"input = ["d"]
init = { scheme = "normal", variance = "2 / fan_in^1.02" }
layers = [{ type = "dense", units = 32 }, { type = "relu" }, { type = "dense", units = 10 }]"#;
const NARROW: &str = r#"input = ["d"]
layers = [{ type = "dense", units = 4 }, { type = "relu" }, { type = "dense", units = 5 }]"#;
const CONV: &str = r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, padding = 1, stride = 2 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#;
const RESIDUAL: &str = r#"input = [16]
layers = [{ type = "dense", units = 16 }, { type = "residual", layers = [{ type = "dense", units = 16 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#;
const POOLED: &str = r#"input = [2, 9, 9]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "avg-pool", size = 2 }, { type = "flatten" }, { type = "dense", units = 5 }]"#;

const VARIANCE_OF_206: &str = "init = { scheme = \"normal\", variance = \"2.06 / fan_in\" }\noutput_gain = 1";
const VARIANCE_OFF_BY_ONE: &str = "init = { scheme = \"normal\", variance = \"2 / (fan_in + 1)\" }\noutput_gain = 1";
const VARIANCE_OF_FAN_OUT: &str = "init = { scheme = \"normal\", variance = \"2 / fan_out\" }\noutput_gain = 1";
const XAVIER: &str = "init = \"xavier-normal\"\noutput_gain = 1";
const CORRELATED: &str =
    "init = { scheme = \"normal\", variance = \"2 / fan_in\", unit_correlation = 0.5 }\noutput_gain = 1";
const BIASED: &str = "init = { scheme = \"normal\", variance = \"2 / fan_in\", bias_mean = 1 }\noutput_gain = 1";
const SHARED: &str = "init = { scheme = \"normal\", variance = \"2 / fan_in\", shared = true }\noutput_gain = 1";

const STRIDE: &str = ", stride = 2 }";
const PADDED: &str = "kernel = 3, padding = 1";

/// All of them.
pub const DEFECTS: [Defect; 30] = [
    networks("variance 2.06/fan-in", "logit.l1", MANY, DENSE, Add(VARIANCE_OF_206)),
    networks("variance 2/(fan-in + 1)", "logit.l1", MANY, DENSE, Add(VARIANCE_OFF_BY_ONE)),
    networks("variance 2/fan-out", "logit.l1", MANY, DENSE, Add(VARIANCE_OF_FAN_OUT)),
    networks("Xavier's variance", "logit.l1", MANY, DENSE, Add(XAVIER)),
    networks("an output gain of 1.04", "logit.l1", MANY, DENSE, Add("output_gain = 1.04")),
    networks("the output layer has He's variance, too", "loss.l2", MANY, DENSE, Add("output_gain = 2")),
    networks("no activation", "logit.l2", MANY, DENSE, Swap(", { type = \"relu\" }", "")),
    networks("a layer too many", "logit.l1", MANY, DENSE, Swap("times = 2", "times = 3")),
    networks("width 16 in place of 32", "logit.l1", MANY, DENSE, Swap("units = 32", "units = 16")),
    networks("66 inputs in place of 64", "logit.l1", MANY, DENSE, Swap("input = [64]", "input = [66]")),
    networks("8 classes in place of 10", "loss.l1", MANY, DENSE, Swap("units = 10", "units = 8")),
    networks("weights of a unit that go together", "logit.l1", 4 * FEW, SMALL, Add(CORRELATED)),
    networks("biases that open every unit", "logit.l1", FEW, SMALL, Add(BIASED)),
    networks("layers that share their weights", "logit.l2", 4 * FEW, SQUARE, Add(SHARED)),
    networks(
        "average pools in place of strides",
        "logit.l1",
        FEW,
        CONV,
        Swap(STRIDE, " }, { type = \"avg-pool\", size = 2 }"),
    ),
    networks(
        "max pools in place of strides",
        "logit.l1",
        FEW,
        CONV,
        Swap(STRIDE, " }, { type = \"max-pool\", size = 2 }"),
    ),
    networks(
        "reflection in place of zeros at the border",
        "logit.l1",
        FEW,
        CONV,
        Swap(PADDED, "kernel = 3, padding = 1, padding_mode = \"reflect\""),
    ),
    networks("a dilation of 2", "logit.l1", FEW, CONV, Swap(PADDED, "kernel = 3, padding = 2, dilation = 2")),
    networks("kernels of 5 in place of 3", "logit.l1", FEW, CONV, Swap(PADDED, "kernel = 5, padding = 2")),
    networks("no padding", "logit.l2", FEW, CONV, Swap(PADDED, "kernel = 3")),
    networks(
        "a residual block without its identity",
        "logit.l1",
        FEW,
        RESIDUAL,
        Swap("{ type = \"residual\", layers", "{ type = \"repeat\", times = 1, layers"),
    ),
    networks(
        "a projection in place of the identity",
        "logit.l1",
        FEW,
        RESIDUAL,
        Swap("\"residual\", layers", "\"residual\", projection = [{ type = \"dense\", units = 16 }], layers"),
    ),
    networks("pools of 3 in place of 2", "logit.l1", FEW, POOLED, Swap("size = 2", "size = 3")),
    networks(
        "an average over the whole image",
        "logit.l1",
        FEW,
        POOLED,
        Swap("{ type = \"avg-pool\", size = 2 }, { type = \"flatten\" }", "{ type = \"global-avg-pool\" }"),
    ),
    claim(
        "variance 2/fan-in^1.02, seen by the exponent",
        "[\"logit.l1\"]",
        SWEPT,
        "observable = \"logit.l1\"\nexponent = 0.5\nagainst = \"d\"\ntolerance = 0.001",
    ),
    claim(
        "variance 2/fan-in^1.02, seen by a bound",
        "[\"logit.l2\"]",
        SWEPT,
        "observable = \"logit.l2\"\nexponent = { at_least = 0 }\nagainst = \"d\"",
    ),
    claim(
        "variance 2/fan-in^1.02, seen by a fit",
        "[\"logit.l1\"]",
        SWEPT,
        "observable = \"logit.l1\"\nfit = \"c * d^a\"\nconstants = { a = \"0.5 ± 0.001\" }",
    ),
    claim(
        "the mean norm in place of the root of the mean square",
        "[\"logit.l2\"]",
        NARROW,
        "observable = \"mean(logit.l2)\"\nvalue = 1\ntolerance = 0.001",
    ),
    methods(
        "a gradient penalty of half the strength",
        "loss.l1",
        "objective = \"gradient-penalty\"\nnorm = 1\nstrength = 0.1",
        Swap("0.1", "0.05"),
    ),
    methods(
        "an ℓ₂ attack where the ℓ∞ attack is meant",
        "loss.l2",
        "objective = \"augmentation\"\nnorm = \"inf\"\nstrength = 0.3",
        Swap("\"inf\"", "2"),
    ),
];

impl Defect {
    /// The spec with the defect, its seed aside.
    pub fn spec(&self) -> String {
        let networks = |table: &str, intact: &str, change: &Change| {
            format!(
                "[[{table}]]\nlabel = \"intact\"\n{intact}\n[[{table}]]\nlabel = \"planted\"\n{}\n",
                change.of(intact)
            )
        };
        let equal = |observable| {
            format!(
                "[[claim]]\nstatement = \"equal\"\nobservable = \"{observable}\"\nratio = [\"planted\", \"intact\"]\n\
                 tolerance = 0.001\n"
            )
        };
        match &self.plan {
            Plan::Networks { observable, draws, intact, change } => format!(
                "name = \"planted\"\ndraws = {draws}\nobservables = [\"{observable}\"]\n{}{}",
                networks("network", intact, change),
                equal(observable),
            ),
            Plan::Claim { observables, network, claim } => format!(
                "name = \"planted\"\ndraws = {MANY}\nobservables = {observables}\n[sweep]\nd = [64, 512, 4096]\n[[network]]\n\
                 label = \"planted\"\n{network}\n[[claim]]\nstatement = \"true without the defect\"\n{claim}\n"
            ),
            Plan::Methods { observable, intact, change } => format!(
                "name = \"planted\"\nrepeats = 12\nobservables = [\"{observable}\"]\n\
                 data = {{ set = \"synthetic\", side = 4, samples = 300, validation = 100 }}\n\
                 training = {{ epochs = 3, batch = 20, rate = 0.1 }}\n{}\
                 [[network]]\nlabel = \"network\"\ninput = [3, 4, 4]\n\
                 layers = [{{ type = \"flatten\" }}, {{ type = \"dense\", units = 10 }}]\n{}",
                networks("method", intact, change),
                equal(observable),
            ),
        }
    }

    /// Whether its change does anything to the table: of a claim on one network the network is the defect.
    #[cfg(test)]
    pub fn changes(&self) -> bool {
        match &self.plan {
            Plan::Networks { intact, change, .. } | Plan::Methods { intact, change, .. } => {
                change.of(intact) != *intact
            }
            Plan::Claim { .. } => true,
        }
    }
}
