//! Several processes that do the work of one: a leader, who has the results folder, and members, who have prepared the same experiments and
//! are told which draws to make and which networks to train. What carries their messages is theirs who start them ([`Link`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sampling::monte_carlo::Helpers;

/// Carries messages between the leader and the members. A process speaks from one thread.
pub trait Link {
    /// Members, for the leader; for a member, the leader alone.
    fn peers(&self) -> usize;

    /// Sends a message to one of them.
    fn send(&self, peer: usize, message: &[u8]);

    /// A message, and from whom; `None` where none came in this time.
    fn receive(&self, patience: Duration) -> Option<(usize, Vec<u8>)>;
}

/// What a member is told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Make these draws of a point.
    Draw { experiment: usize, point: usize, first: u64, draws: u64 },
    /// Train a network, from the state that follows, or from the beginning where none does.
    Train { experiment: usize, job: usize },
    /// There is nothing more to do.
    End,
}

/// The members, as the leader speaks to them about one experiment of the run.
#[derive(Clone, Copy)]
pub struct Crew<'a> {
    pub(super) link: &'a dyn Link,
    pub(super) experiment: usize,
}

/// The leader of whom a member knows.
pub(super) const LEADER: usize = 0;

impl<'a> Crew<'a> {
    /// The members, at work on the experiment at this place in the run.
    pub fn new(link: &'a dyn Link, experiment: usize) -> Self {
        Self { link, experiment }
    }

    /// Lets the members go.
    pub fn dismiss(link: &dyn Link) {
        (0..link.peers()).for_each(|member| link.send(member, &message(&Task::End, &[])));
    }
}

/// A head with what follows it.
pub(super) fn message(head: &impl Serialize, body: &[u8]) -> Vec<u8> {
    // Heads are numbers, words and lists of them, which JSON can hold; in it there is no line break.
    let head = serde_json::to_vec(head).unwrap_or_default();
    [&head[..], b"\n", body].concat()
}

/// A head and what follows it, as [`message`] wrote them.
pub(super) fn parted<T: for<'de> Deserialize<'de>>(message: &[u8]) -> Option<(T, &[u8])> {
    let end = message.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&message[..end]).ok()?, &message[end + 1..]))
}

/// The members, as one point is drawn.
pub(super) struct PointCrew<'a> {
    pub crew: Crew<'a>,
    pub point: usize,
}

impl Helpers for PointCrew<'_> {
    fn count(&self) -> usize {
        self.crew.link.peers()
    }

    fn ask(&self, helper: usize, first: u64, draws: u64) {
        let task = Task::Draw { experiment: self.crew.experiment, point: self.point, first, draws };
        self.crew.link.send(helper, &message(&task, &[]));
    }

    fn answer(&self, patience: Duration) -> Option<(usize, Vec<f64>)> {
        let (helper, bytes) = self.crew.link.receive(patience)?;
        let (numbers, _) = bytes.as_chunks::<8>();
        Some((helper, numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()))
    }
}
