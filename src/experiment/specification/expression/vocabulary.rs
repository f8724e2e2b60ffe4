//! What formulas know by name: functions of one number, functions of two, and constants.

use std::f64::consts::{E, PI, TAU};

/// A function of one number.
pub type One = fn(f64) -> f64;
/// A function of two numbers.
pub type Two = fn(f64, f64) -> f64;

/// A function with the numbers that it takes.
#[derive(Clone, Copy)]
pub enum Function {
    /// Of one number.
    One(One),
    /// Of two numbers.
    Two(Two),
}

/// Functions by name; `log` is the natural logarithm.
const FUNCTIONS: [(&str, Function); 29] = [
    ("sqrt", Function::One(f64::sqrt)),
    ("cbrt", Function::One(f64::cbrt)),
    ("exp", Function::One(f64::exp)),
    ("ln", Function::One(f64::ln)),
    ("log", Function::One(f64::ln)),
    ("log2", Function::One(f64::log2)),
    ("log10", Function::One(f64::log10)),
    ("abs", Function::One(f64::abs)),
    ("signum", Function::One(f64::signum)),
    ("floor", Function::One(f64::floor)),
    ("ceil", Function::One(f64::ceil)),
    ("round", Function::One(f64::round)),
    ("trunc", Function::One(f64::trunc)),
    ("fract", Function::One(f64::fract)),
    ("sin", Function::One(f64::sin)),
    ("cos", Function::One(f64::cos)),
    ("tan", Function::One(f64::tan)),
    ("asin", Function::One(f64::asin)),
    ("acos", Function::One(f64::acos)),
    ("atan", Function::One(f64::atan)),
    ("sinh", Function::One(f64::sinh)),
    ("cosh", Function::One(f64::cosh)),
    ("tanh", Function::One(f64::tanh)),
    ("asinh", Function::One(f64::asinh)),
    ("acosh", Function::One(f64::acosh)),
    ("atanh", Function::One(f64::atanh)),
    ("min", Function::Two(f64::min)),
    ("max", Function::Two(f64::max)),
    ("atan2", Function::Two(f64::atan2)),
];

/// Constants by name.
const CONSTANTS: [(&str, f64); 8] =
    [("pi", PI), ("PI", PI), ("π", PI), ("tau", TAU), ("TAU", TAU), ("τ", TAU), ("e", E), ("E", E)];

/// The function of this name.
pub fn function(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|&(_, function)| function)
}

/// The constant of this name.
pub fn constant(name: &str) -> Option<f64> {
    CONSTANTS.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
}

/// Names of all functions.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|&(name, _)| name)
}

/// Names that have a meaning of their own in every formula: functions and constants.
pub fn reserved_names() -> impl Iterator<Item = &'static str> {
    function_names().chain(CONSTANTS.iter().map(|&(name, _)| name))
}
