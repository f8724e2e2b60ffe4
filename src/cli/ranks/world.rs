//! The ranks of MPI.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gradlaw::experiment::{Crew, Link};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, MatchedReceiveVec, Source};

use super::Failure;
use super::parcels::{Parcels, parcels};

/// Most bytes of one message of MPI, which counts them in 31 bits.
const MOST: usize = 1 << 30;

/// How long to sleep between two looks for a message: short beside a piece of work, long beside a look.
const NAP: Duration = Duration::from_micros(100);

/// The ranks that the launcher started. MPI is spoken from the thread that started it alone.
pub struct Ranks {
    // Ends MPI when it goes.
    _universe: Universe,
    way: Way,
}

struct Way {
    world: SimpleCommunicator,
    /// Messages that have come in part.
    parcels: RefCell<Parcels>,
}

impl Ranks {
    pub(super) fn start(count: usize) -> Result<Self, Failure> {
        let failed = |reason: &str| Failure::Usage(format!("mpirun has started {count} processes, and MPI {reason}"));
        let (universe, _) =
            mpi::initialize_with_threading(Threading::Funneled).ok_or_else(|| failed("is in use already"))?;
        let world = universe.world();
        Ok(Self { _universe: universe, way: Way { world, parcels: RefCell::default() } })
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        self.way.world.rank() == 0
    }

    /// The way to the others.
    pub fn link(&self) -> &dyn Link {
        &self.way
    }

    /// Ends the run of all ranks: in good order, or at once where it failed, for some may be at work.
    pub fn end(self, in_order: bool, code: u8) -> ExitCode {
        if self.leads() {
            if !in_order {
                self.way.world.abort(code.into());
            }
            Crew::dismiss(self.link());
        }
        ExitCode::from(code)
    }
}

impl Link for Way {
    fn peers(&self) -> usize {
        // There are fewer than 2³¹, and at least one.
        if self.world.rank() == 0 { self.world.size() as usize - 1 } else { 1 }
    }

    fn send(&self, peer: usize, message: &[u8]) {
        let rank = if self.world.rank() == 0 { peer as i32 + 1 } else { 0 };
        for (parcel, more) in parcels(message, MOST) {
            self.world.process_at_rank(rank).send_with_tag(parcel, i32::from(more));
        }
    }

    fn receive(&self, patience: Duration) -> Option<(usize, Vec<u8>)> {
        let began = Instant::now();
        loop {
            // What one rank sends comes in the order in which it was sent, whatever its tag.
            if let Some(matched) = self.world.any_process().immediate_matched_probe() {
                let (parcel, status) = matched.matched_receive_vec::<u8>();
                let peer = (status.source_rank() as usize).saturating_sub(1);
                if let Some(message) = self.parcels.borrow_mut().take(peer, parcel, status.tag() != 0) {
                    return Some((peer, message));
                }
                continue;
            }
            if began.elapsed() > patience {
                return None;
            }
            std::thread::sleep(NAP);
        }
    }
}
