//! What only makes sense from outside: the command line, whole experiments, laws, properties. One program, so that the library is linked
//! and its generic code compiled once.

mod attack;
mod browser;
mod calibration;
mod command_line;
mod data;
mod fuzz;
mod generator;
mod golden;
mod gradient;
mod laws;
mod layers;
mod observables;
mod own_laws;
mod paths;
mod place;
mod reference;
mod reliability;
mod shipped;
mod stacks;
mod trained;
mod training;
