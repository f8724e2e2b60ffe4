//! Checks the scaling laws of neural networks' input gradients by theory and by simulation.
#![warn(missing_docs)]
pub mod data;
pub mod experiment;
pub mod figure;
pub mod network;
pub mod sampling;
pub mod statistics;
pub mod theory;
