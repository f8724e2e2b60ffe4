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
    /// Two networks that a claim calls equal: the observable, draws, then what stands in their tables.
    Pair { observable: &'static str, draws: u32, intact: &'static str, planted: &'static str },
    /// The observables and draws of one network, what stands in its table, and the claim.
    Claim { observables: &'static str, draws: u32, sweep: &'static str, network: &'static str, claim: &'static str },
    /// Two methods of training that a claim calls equal, over six repetitions.
    Methods { observable: &'static str, intact: &'static str, planted: &'static str },
}

const fn pair(
    what: &'static str,
    observable: &'static str,
    draws: u32,
    intact: &'static str,
    planted: &'static str,
) -> Defect {
    Defect { what, plan: Plan::Pair { observable, draws, intact, planted } }
}

const fn claim(
    what: &'static str,
    observables: &'static str,
    draws: u32,
    sweep: &'static str,
    network: &'static str,
    claim: &'static str,
) -> Defect {
    Defect { what, plan: Plan::Claim { observables, draws, sweep, network, claim } }
}

const fn methods(what: &'static str, observable: &'static str, intact: &'static str, planted: &'static str) -> Defect {
    Defect { what, plan: Plan::Methods { observable, intact, planted } }
}

/// Draws of the collapsed sampler, and of networks with matrices.
const MANY: u32 = 40_000;
const FEW: u32 = 4_000;

const DENSE: &str = r#"input = [64]
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#;
const SWEPT: &str = r#"input = ["d"]
init = { scheme = "normal", variance = "2 / fan_in^1.02" }
layers = [{ type = "dense", units = 32 }, { type = "relu" }, { type = "dense", units = 10 }]"#;
const CONV: &str = r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, stride = 2, padding = 1 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#;
const RESIDUAL: &str = r#"input = [16]
layers = [{ type = "dense", units = 16 }, { type = "residual", layers = [{ type = "dense", units = 16 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#;
const POOLED: &str = r#"input = [2, 9, 9]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "avg-pool", size = 2 }, { type = "flatten" }, { type = "dense", units = 5 }]"#;

/// All of them.
pub const DEFECTS: [Defect; 30] = [
    pair(
        "variance 2.06/fan-in",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
init = { scheme = "normal", variance = "2.06 / fan_in" }
output_gain = 1
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "variance 2/(fan-in + 1)",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
init = { scheme = "normal", variance = "2 / (fan_in + 1)" }
output_gain = 1
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "variance 2/fan-out",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
init = { scheme = "normal", variance = "2 / fan_out" }
output_gain = 1
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "Xavier's variance",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
init = "xavier-normal"
output_gain = 1
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "an output gain of 1.04",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
output_gain = 1.04
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "the output layer has He's variance, too",
        "loss.l2",
        MANY,
        DENSE,
        r#"input = [64]
output_gain = 2
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "an activation left out",
        "logit.l2",
        MANY,
        DENSE,
        r#"input = [64]
layers = [{ type = "dense", units = 32 }, { type = "relu" }, { type = "dense", units = 32 }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "a layer too many",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
layers = [{ type = "repeat", times = 3, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "width 16 in place of 32",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [64]
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 16 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "66 inputs in place of 64",
        "logit.l1",
        MANY,
        DENSE,
        r#"input = [66]
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 10 }]"#,
    ),
    pair(
        "8 classes in place of 10",
        "loss.l1",
        MANY,
        DENSE,
        r#"input = [64]
layers = [{ type = "repeat", times = 2, layers = [{ type = "dense", units = 32 }, { type = "relu" }] }, { type = "dense", units = 8 }]"#,
    ),
    pair(
        "one sign for all weights of a unit",
        "logit.l1",
        FEW,
        r#"input = [16]
layers = [{ type = "dense", units = 8 }, { type = "relu" }, { type = "dense", units = 5 }]"#,
        r#"input = [16]
init = { scheme = "normal", variance = "2 / fan_in", unit_correlation = 0.5 }
output_gain = 1
layers = [{ type = "dense", units = 8 }, { type = "relu" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "biases that open every unit",
        "logit.l1",
        FEW,
        r#"input = [16]
layers = [{ type = "dense", units = 8, bias = true }, { type = "relu" }, { type = "dense", units = 5 }]"#,
        r#"input = [16]
init = { scheme = "normal", variance = "2 / fan_in", bias_mean = 1 }
output_gain = 1
layers = [{ type = "dense", units = 8, bias = true }, { type = "relu" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "two layers that share their weights",
        "logit.l1",
        FEW,
        r#"input = [8]
layers = [{ type = "repeat", times = 3, layers = [{ type = "dense", units = 8 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#,
        r#"input = [8]
init = { scheme = "normal", variance = "2 / fan_in", shared = true }
output_gain = 1
layers = [{ type = "repeat", times = 3, layers = [{ type = "dense", units = 8 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "average pools in place of strides",
        "logit.l1",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "avg-pool", size = 2 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "max pools in place of strides",
        "logit.l1",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, padding = 1 }, { type = "max-pool", size = 2 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "reflection in place of zeros at the border",
        "logit.l1",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 1, padding_mode = "reflect" }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, stride = 2, padding = 1, padding_mode = "reflect" }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "a dilation of 2",
        "logit.l1",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3, padding = 2, dilation = 2 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, stride = 2, padding = 1 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "kernels of 5 in place of 3",
        "logit.l1",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 5, padding = 2 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, stride = 2, padding = 1 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "no padding",
        "logit.l2",
        FEW,
        CONV,
        r#"input = [2, 8, 8]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "conv", channels = 4, kernel = 3, stride = 2 }, { type = "relu" }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "a residual block without its identity",
        "logit.l1",
        FEW,
        RESIDUAL,
        r#"input = [16]
layers = [{ type = "dense", units = 16 }, { type = "dense", units = 16 }, { type = "relu" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "a projection in place of the identity",
        "logit.l1",
        FEW,
        RESIDUAL,
        r#"input = [16]
layers = [{ type = "dense", units = 16 }, { type = "residual", projection = true, layers = [{ type = "dense", units = 16 }, { type = "relu" }] }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "pools of 3 in place of 2",
        "logit.l1",
        FEW,
        POOLED,
        r#"input = [2, 9, 9]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "avg-pool", size = 3 }, { type = "flatten" }, { type = "dense", units = 5 }]"#,
    ),
    pair(
        "an average over the whole image",
        "logit.l1",
        FEW,
        POOLED,
        r#"input = [2, 9, 9]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "global-avg-pool" }, { type = "dense", units = 5 }]"#,
    ),
    claim(
        "variance 2/fan-in^1.02, seen by the exponent",
        r#"["logit.l1"]"#,
        MANY,
        "[sweep]\nd = [64, 512, 4096]\n",
        SWEPT,
        r#"observable = "logit.l1"
exponent = 0.5
against = "d"
tolerance = 0.001"#,
    ),
    claim(
        "variance 2/fan-in^1.02, seen by a bound",
        r#"["logit.l2"]"#,
        MANY,
        "[sweep]\nd = [64, 512, 4096]\n",
        SWEPT,
        r#"observable = "logit.l2"
exponent = { at_least = 0 }
against = "d""#,
    ),
    claim(
        "variance 2/fan-in^1.02, seen by a fit",
        r#"["logit.l1"]"#,
        MANY,
        "[sweep]\nd = [64, 512, 4096]\n",
        SWEPT,
        r#"observable = "logit.l1"
fit = "c * d^a"
constants = { a = "0.5 ± 0.001" }"#,
    ),
    claim(
        "the mean norm in place of the root of the mean square",
        r#"["logit.l1", "logit.l2"]"#,
        MANY,
        "[sweep]\nd = [16]\n",
        r#"input = ["d"]
layers = [{ type = "dense", units = 4 }, { type = "relu" }, { type = "dense", units = 5 }]"#,
        r#"observable = "mean(logit.l2)"
value = 1
tolerance = 0.001"#,
    ),
    methods(
        "a gradient penalty of half the strength",
        "loss.l1",
        "objective = \"gradient-penalty\"\nnorm = 1\nstrength = 0.02",
        "objective = \"gradient-penalty\"\nnorm = 1\nstrength = 0.01",
    ),
    methods(
        "an ℓ₂ attack where the ℓ∞ attack is meant",
        "loss.l1",
        "objective = \"augmentation\"\nnorm = \"inf\"\nstrength = 0.02",
        "objective = \"augmentation\"\nnorm = 2\nstrength = 0.02",
    ),
];

impl Defect {
    /// The spec with the defect, its seed aside.
    pub fn spec(&self) -> String {
        match self.plan {
            Plan::Pair { observable, draws, intact, planted } => format!(
                "name = \"planted\"\ndraws = {draws}\nobservables = [\"{observable}\"]\n\
                 [[network]]\nlabel = \"intact\"\n{intact}\n[[network]]\nlabel = \"planted\"\n{planted}\n\
                 [[claim]]\nstatement = \"equal\"\nobservable = \"{observable}\"\n\
                 ratio = [\"planted\", \"intact\"]\ntolerance = 0.001\n"
            ),
            Plan::Claim { observables, draws, sweep, network, claim } => format!(
                "name = \"planted\"\ndraws = {draws}\nobservables = {observables}\n{sweep}\
                 [[network]]\nlabel = \"planted\"\n{network}\n[[claim]]\nstatement = \"true without the defect\"\n{claim}\n"
            ),
            Plan::Methods { observable, intact, planted } => format!(
                "name = \"planted\"\nrepeats = 6\nobservables = [\"{observable}\"]\n\
                 data = {{ set = \"synthetic\", side = 4, samples = 300, validation = 100 }}\n\
                 training = {{ epochs = 3, batch = 20, rate = 0.1 }}\n\
                 [[method]]\nlabel = \"intact\"\n{intact}\n[[method]]\nlabel = \"planted\"\n{planted}\n\
                 [[network]]\nlabel = \"network\"\ninput = [3, 4, 4]\n\
                 layers = [{{ type = \"flatten\" }}, {{ type = \"dense\", units = 10 }}]\n\
                 [[claim]]\nstatement = \"equal\"\nobservable = \"{observable}\"\n\
                 ratio = [\"planted\", \"intact\"]\ntolerance = 0.001\n"
            ),
        }
    }
}
