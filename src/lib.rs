//! Checks the scaling laws of neural networks' input gradients by theory and by simulation.
//!
//! Data flows one way: a spec ([`experiment`]) becomes architectures ([`network`]); architectures become draws
//! ([`sampling`]) or exact values ([`theory`]); draws become moments ([`statistics`]); moments become verdicts, rows and
//! figures ([`experiment`], [`figure`]). Nothing below [`experiment`] knows of TOML or writes files, and nothing in the
//! library prints.
//!
//! To run a spec from a program:
//!
//! ```
//! use gradlaw::experiment::{Experiment, Limits, RunOptions, Unwatched, judge, load};
//!
//! let changes = ["draws=500".parse()?, "sweep.d=[64, 256]".parse()?];
//! let spec = load::load("dense-dimension", &changes)?;
//! let experiment = Experiment::prepare(spec, &Limits { threads: 2, memory: 1 << 30 })?;
//! let folder = std::env::temp_dir().join("gradlaw-example");
//! let results = experiment.run(&folder, RunOptions::default(), &Unwatched)?;
//! let verdicts = judge(&[experiment.measured(&results.measurements)]);
//! assert_eq!(verdicts[0].len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod array;
pub mod attack;
pub mod data;
mod digest;
pub mod experiment;
pub mod figure;
mod nearest;
pub mod network;
pub mod observable;
pub mod prelude;
#[cfg(feature = "report")]
pub mod report;
pub mod sampling;
mod scaled;
mod short;
pub mod statistics;
pub mod stop;
mod stream;
pub mod theory;
pub mod training;

/// The example of the library runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct Library;

/// So do the tutorial's.
#[cfg(doctest)]
#[doc = include_str!("../docs/tutorial.md")]
struct Tutorial;
