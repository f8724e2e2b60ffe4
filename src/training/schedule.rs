//! The learning rate over the epochs.

/// The rate begins at `rate` and is halved every so many epochs, each time from the best validated weights so far, as the paper's
/// authors do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The first rate, η.
    pub rate: f64,
    /// Epochs between two halvings; 0 for never.
    pub halve_every: usize,
}

impl Schedule {
    /// The rate in an epoch, counted from 0.
    pub fn rate(&self, epoch: usize) -> f64 {
        let halvings = epoch.checked_div(self.halve_every).unwrap_or(0);
        self.rate * 0.5f64.powi(i32::try_from(halvings).unwrap_or(i32::MAX))
    }

    /// Whether an epoch begins with a halving.
    pub fn halves_at(&self, epoch: usize) -> bool {
        epoch > 0 && self.halve_every > 0 && epoch.is_multiple_of(self.halve_every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_halved_every_so_many_epochs() {
        let schedule = Schedule { rate: 0.1, halve_every: 30 };
        assert_eq!([0, 29, 30, 89].map(|epoch| schedule.rate(epoch)), [0.1, 0.1, 0.05, 0.025]);
        assert!(!schedule.halves_at(0) && schedule.halves_at(30) && !schedule.halves_at(31));
        let constant = Schedule { halve_every: 0, ..schedule };
        assert!(constant.rate(1000) == 0.1 && !constant.halves_at(30));
    }
}
