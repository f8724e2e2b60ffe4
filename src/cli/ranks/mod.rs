//! Many processes as one run, as `mpirun -n N gradlaw run …` starts them: rank 0 leads, the others make draws and train networks for it.
//! MPI is spoken where the program is built with the feature `mpi`.

#[cfg(any(feature = "mpi", test))]
mod parcels;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use world::Ranks;

#[cfg(not(feature = "mpi"))]
pub use alone::Ranks;

use super::failure::Failure;

/// How many processes a launcher says that it has started, where one did.
fn launched() -> Option<usize> {
    let said = |name: &&str| std::env::var(name).ok()?.parse().ok();
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].iter().find_map(said)
}

impl Ranks {
    /// The ranks that this process is among; none where it was started alone.
    ///
    /// # Errors
    /// A launcher has started several, and MPI cannot be spoken.
    pub fn of_this_process() -> Result<Option<Self>, Failure> {
        match launched() {
            Some(count) if count > 1 => Self::start(count).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(not(feature = "mpi"))]
mod alone {
    use std::process::ExitCode;

    use gradlaw::experiment::Link;

    use super::Failure;

    /// There are none without MPI.
    #[derive(Debug)]
    pub enum Ranks {}

    impl Ranks {
        pub(super) fn start(count: usize) -> Result<Self, Failure> {
            let message =
                "this program is built without MPI, so that each would do the whole run: build it with --features mpi";
            Err(Failure::Usage(format!("mpirun has started {count} processes, and {message}")))
        }

        /// Whether this process leads.
        pub fn leads(&self) -> bool {
            match *self {}
        }

        /// The way to the others.
        pub fn link(&self) -> &dyn Link {
            match *self {}
        }

        /// Ends the run of all ranks: in good order, or at once where it failed.
        pub fn end(self, _: bool, _: u8) -> ExitCode {
            match self {}
        }
    }
}
