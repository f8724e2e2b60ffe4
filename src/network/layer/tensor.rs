//! A layer's parameters: what each array is called, its shape, and what it is for.

/// One array of a layer's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in files of weights, after the layer's position: `weight`, `bias`, `running_mean`, `running_var`.
    pub name: &'static str,
    /// Its sizes, outermost first.
    pub sizes: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

/// What an array of parameters is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weights, which an initialisation draws.
    Weight(Fan),
    /// Biases, which start at zero or are drawn.
    Bias,
    /// Factors of a normalisation, which start at one.
    Scale,
    /// Shifts of a normalisation, which start at zero.
    Shift,
    /// Running means of a normalisation, which start at zero.
    RunningMean,
    /// Running variances of a normalisation, which start at one.
    RunningVariance,
}

/// Between how many units a weight stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fan {
    /// Inputs that one output unit sums over (fan-in).
    pub inputs: usize,
    /// Outputs that one input unit contributes to (fan-out).
    pub outputs: usize,
}

impl Tensor {
    /// An array of this name, shape and role.
    pub fn new(name: &'static str, sizes: impl Into<Vec<usize>>, role: Role) -> Self {
        Self { name, sizes: sizes.into(), role }
    }

    /// Number of values. Saturates where it overflows.
    #[expect(clippy::len_without_is_empty, reason = "no layer has an empty array")]
    pub fn len(&self) -> usize {
        self.sizes.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// The biases of `units` units.
    pub fn biases(units: usize) -> Self {
        Self::new("bias", [units], Role::Bias)
    }
}

impl Role {
    /// The value that the array holds before anything is drawn or learned.
    pub fn initial_value(self) -> f64 {
        match self {
            Role::Weight(_) | Role::Bias | Role::Shift | Role::RunningMean => 0.0,
            Role::Scale | Role::RunningVariance => 1.0,
        }
    }
}
