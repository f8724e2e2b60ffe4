//! Messages of any length over a network whose own hold at most 2 GiB: in parcels, each of which says whether more follow.

use std::collections::HashMap;

/// A message in parcels of at most so many bytes, and whether more follow; an empty one is one parcel.
pub fn parcels(message: &[u8], most: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let count = message.len().div_ceil(most).max(1);
    (0..count).map(move |index| {
        let end = message.len().min((index + 1) * most);
        (&message[index * most..end], index + 1 < count)
    })
}

/// What has come so far, by sender.
#[derive(Debug, Default)]
pub struct Parcels(HashMap<usize, Vec<u8>>);

impl Parcels {
    /// Takes a parcel in; gives the message that it completes.
    pub fn take(&mut self, sender: usize, parcel: Vec<u8>, more: bool) -> Option<Vec<u8>> {
        let message = match self.0.remove(&sender) {
            None => parcel,
            Some(mut begun) => {
                begun.extend(parcel);
                begun
            }
        };
        if more {
            self.0.insert(sender, message);
            return None;
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_come_whole_whoever_speaks_between() {
        let message: Vec<u8> = (0..23).collect();
        for (length, most) in (0..=23).flat_map(|length| (1..=24).map(move |most| (length, most))) {
            let message = &message[..length];
            let mut come = Parcels::default();
            let mut whole = None;
            for (parcel, more) in parcels(message, most) {
                assert!(parcel.len() <= most && whole.is_none());
                assert_eq!(come.take(7, vec![1], false), Some(vec![1]));
                whole = come.take(3, parcel.to_vec(), more);
            }
            assert_eq!(whole.as_deref(), Some(message), "{length} in parcels of {most}");
        }
    }
}
