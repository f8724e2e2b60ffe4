//! What theory and samplers know of an activation, a function of each unit by itself: one notion for all of them.

/// An activation by what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(z, 0): f(αz) = αf(z) for α > 0, and a unit is let through as it is or not at all.
    Relu,
}

impl Activation {
    /// E f(z)²/E z² of a unit whose law is symmetric in sign: ½ for a ReLU.
    pub fn share_of_square(self) -> f64 {
        match self {
            Self::Relu => 0.5,
        }
    }

    /// Whether a unit is let through as it is or not at all, so that the activation is a mask of zeros and ones.
    pub fn is_mask(self) -> bool {
        match self {
            Self::Relu => true,
        }
    }

    /// Whether path theory needs inputs whose law is symmetric in sign, for masks that are fair coins.
    pub fn needs_symmetry(self) -> bool {
        match self {
            Self::Relu => true,
        }
    }
}
