//! What theory says before anything is sampled: the exact law of the logit gradient of dense networks, and path theory by
//! the backward pass over variances, by random walks and by counting path-degrees for every layered network.

mod applicability;
mod dense;
mod graph;
mod mean_field;
mod random_walk;
mod shape;
mod symmetry;
mod variance;

pub use crate::scaled::Scaled;
pub use applicability::check_applies;
pub use dense::DenseLaw;
pub use graph::{GraphError, MOST_EDGES, PathGraph};
pub use mean_field::{FixedPoint, HiddenLayer, MeanField, Phase};
pub use random_walk::{Start, random_walks};
pub use shape::Shape;
pub use symmetry::{Condition, DegreeError, MOST_DEGREES, PathDegrees, relative_spread};
pub use variance::{PathVariances, path_variances};

use std::cell::OnceCell;
use std::f64::consts::FRAC_2_PI;

use crate::network::layer::NoPathTheory;
use crate::network::{Architecture, DenseChain, Initialisation, Norm, WeightDistribution};
use crate::observable::{Gradient, GradientObservable, HypothesisObservable, Observable};

/// What kind of statement a theoretical value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TheoryKind {
    /// True at every width, depth and dimension.
    Exact,
    /// Path theory: exact under the hypotheses (H), which hold better the larger every fan-in. A pool behind a first layer of few
    /// input channels keeps networks of any width from it: its units of one channel share few weights, and so their masks' law.
    Path,
    /// Path theory with Gaussian coordinates of the path variances; an upper bound up to that factor, by Jensen.
    Gaussian,
    /// The limit of wide layers, exact up to corrections of order depth/width.
    MeanField,
}

impl TheoryKind {
    /// The kind as result files name it.
    pub fn name(self) -> &'static str {
        match self {
            TheoryKind::Exact => "exact",
            TheoryKind::Path => "path",
            TheoryKind::Gaussian => "gaussian",
            TheoryKind::MeanField => "mean-field",
        }
    }
}

/// The theoretical mean of an observable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TheoryValue {
    /// The mean, which may be beyond double precision: 4⁻¹⁰⁰⁰ at depth 1000.
    pub mean: Scaled,
    /// What kind of statement it is.
    pub kind: TheoryKind,
    /// The shape of the observable's law, where theory knows it.
    pub shape: Option<Shape>,
}

/// What is known of the law of a network's inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownInput {
    /// Whether ties of pre-activations at zero have probability zero.
    pub is_continuous: bool,
    /// E‖x‖²/d, where ‖x‖²/d comes to it as d grows; `None` where it varies from input to input.
    pub mean_square: Option<f64>,
}

/// The theoretical means of the observables of one network; the pass over variances runs once, when it is first needed.
///
/// Dense chains with Gaussian weights have the whole law of the logit gradient ([`DenseLaw`]). For other symmetric
/// weights of continuous law the squared ℓ₂ norm keeps its exact mean. Elsewhere path theory gives E(∂f₀/∂xᵢ)² under (H)
/// ([`PathVariances`]): its sum for `.l2sq`, and √(2/π) Σ √E(∂f₀/∂xᵢ)² for `.l1` and `.coordinate`. Where that does not
/// apply, wide dense networks have a limit ([`MeanField`]). The loss gradient has no closed form. What (H) says of itself, such as ½ for the share of open masks, is of kind `path` too.
#[derive(Debug)]
pub struct Expectation<'a> {
    architecture: &'a Architecture,
    initialisation: &'a Initialisation,
    input: KnownInput,
    variances: OnceCell<Result<PathVariances, NoPathTheory>>,
}

impl<'a> Expectation<'a> {
    /// The means for this network at inputs of which this is known.
    pub fn new(architecture: &'a Architecture, initialisation: &'a Initialisation, input: KnownInput) -> Self {
        Self { architecture, initialisation, input, variances: OnceCell::new() }
    }

    /// The mean of an observable, where there is one.
    pub fn of(&self, observable: &Observable) -> Option<TheoryValue> {
        let observable = match observable {
            Observable::Gradient(observable) if observable.gradient == Gradient::Logit => observable,
            // A hypothesis says nothing of its own gap unless there is a pass over variances.
            Observable::Hypothesis(HypothesisObservable::Gap) => {
                return self.variances().is_ok().then_some(TheoryValue {
                    mean: Scaled::ZERO,
                    kind: TheoryKind::Path,
                    shape: None,
                });
            }
            Observable::Hypothesis(hypothesis) => {
                let predicted =
                    TheoryValue { mean: hypothesis.predicted().into(), kind: TheoryKind::Path, shape: None };
                return hypothesis.is_measurable(self.architecture).then_some(predicted);
            }
            _ => return None,
        };
        if let Ok(chain) = DenseChain::new(self.architecture, self.initialisation) {
            let squared = observable.needs_length_only() && observable.power == 2;
            match self.initialisation.distribution() {
                Some(WeightDistribution::Normal) => {
                    let shape = Some(Shape::of(&chain, observable));
                    let mean = DenseLaw::new(&chain).mean(observable);
                    return mean.map(|mean| TheoryValue { mean, kind: TheoryKind::Exact, shape });
                }
                // The signs of few Rademacher weights cancel with positive probability, which closes units more often.
                Some(WeightDistribution::Uniform) if squared && self.input.is_continuous => {
                    return self.by_paths(observable).map(|value| TheoryValue { kind: TheoryKind::Exact, ..value });
                }
                _ => {}
            }
        }
        self.by_paths(observable).or_else(|| self.in_the_limit(observable))
    }

    /// In words, why there is no mean of an observable.
    pub fn reason(&self, observable: &Observable) -> String {
        let gradient = match observable {
            Observable::Gradient(observable) => observable,
            Observable::Hypothesis(_) => return "it is not measured of such a network".into(),
            Observable::Attack(_) => return "what attacks do has no closed form".into(),
            Observable::Defined => return "no mean is known of an expression".into(),
        };
        if gradient.gradient == Gradient::Loss {
            return "gradients of the loss have no closed form".into();
        }
        match self.variances() {
            Err(reason) => reason.to_string(),
            Ok(_) => "no closed form of such a power of a norm is known".into(),
        }
    }

    /// The mean in the limit of wide layers, where all coordinates are independent Gaussians of one variance.
    fn in_the_limit(&self, observable: &GradientObservable) -> Option<TheoryValue> {
        let limit = MeanField::new(self.architecture, self.initialisation, self.input.mean_square?)?;
        let dimension = self.architecture.dimension();
        let factor = observable.value(Scaled::ONE, dimension);
        let size = (limit.total() / (dimension as f64).into()).sqrt().power(observable.power as u32);
        let mean = factor * size * dense::gaussian_moment(observable, dimension)?.into();
        Some(TheoryValue { mean, kind: TheoryKind::MeanField, shape: None })
    }

    fn variances(&self) -> &Result<PathVariances, NoPathTheory> {
        self.variances.get_or_init(|| PathVariances::new(self.architecture, self.initialisation))
    }

    fn by_paths(&self, observable: &GradientObservable) -> Option<TheoryValue> {
        let (length, sum) = (observable.needs_length_only(), observable.norm() == Some(Norm::ONE));
        let kind = match observable.power {
            2 if length => TheoryKind::Path,
            1 if sum => TheoryKind::Gaussian,
            _ => return None,
        };
        let variances = self.variances().as_ref().ok()?;
        let mean = match kind {
            TheoryKind::Path => variances.total(),
            _ => Scaled::from(FRAC_2_PI.sqrt()) * variances.total_of_roots(),
        };
        Some(TheoryValue {
            mean: observable.value(Scaled::ONE, self.architecture.dimension()) * mean,
            kind,
            shape: None,
        })
    }
}
