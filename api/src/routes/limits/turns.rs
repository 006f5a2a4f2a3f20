use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// For how long after a pause a turn is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(10);

/// How many turns of a key are kept at most.
const MOST: usize = 1_000;

/// Those who share a key, such as the logins that are tried from a network, by the hash of their e-mail address. `None`
/// stands for everybody, where a key belongs to one alone.
pub(super) type Claimant = Option<[u8; 32]>;

/// Whose turn it is when the pause of a key is over.
///
/// Whoever is refused during the pause has a turn kept for them until shortly after the pause. Those with the fewest
/// failures come first, then those who asked first. So whoever goes on failing cannot keep a newcomer out by being
/// faster each time.
#[derive(Default)]
pub(super) struct Turns {
    failures: HashMap<Claimant, u32>,
    kept: HashMap<Claimant, Kept>,
}

/// A turn that is kept.
struct Kept {
    asked_at: Instant,
    until: Instant,
}

/// Somebody else whose turn comes first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// Until when their turn is kept.
    pub(super) until: Instant,
    /// Whether they have as many failures, and only asked earlier.
    pub(super) is_equal: bool,
}

impl Turns {
    /// Counts a failure.
    pub(super) fn has_failed(&mut self, who: Claimant) {
        *self.failures.entry(who).or_default() += 1;
    }

    /// Keeps a turn for somebody who asks while the pause lasts.
    pub(super) fn keep(&mut self, who: Claimant, now: Instant, until: Instant) {
        self.drop_those_before(now);
        if let Some(kept) = self.kept.get_mut(&who) {
            kept.until = until;
            return;
        }
        if self.kept.len() >= MOST {
            // Whoever has failed least is given the place of somebody else.
            let last = self.kept.keys().copied().max_by_key(|it| self.failures_of(it));
            let Some(last) = last.filter(|last| self.failures_of(last) > self.failures_of(&who)) else { return };
            self.kept.remove(&last);
        }
        self.kept.insert(who, Kept { asked_at: now, until });
    }

    /// Gives up the turn that is kept for somebody, who takes it or needs none.
    pub(super) fn give_up(&mut self, who: Claimant) {
        self.kept.remove(&who);
    }

    /// Who comes before somebody, if anybody does.
    pub(super) fn before(&mut self, who: Claimant, now: Instant) -> Option<Before> {
        self.drop_those_before(now);
        let place = |it: &Claimant, asked_at| (self.failures_of(it), asked_at);
        let own = place(&who, self.kept.get(&who).map_or(now, |it| it.asked_at));
        let others = self.kept.iter().filter(|(it, _)| **it != who);
        let (first, kept) = others.min_by_key(|(it, kept)| place(it, kept.asked_at))?;
        (place(first, kept.asked_at) < own)
            .then(|| Before { until: kept.until, is_equal: self.failures_of(first) == own.0 })
    }

    /// Forgets all failures and turns.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn failures_of(&self, who: &Claimant) -> u32 {
        self.failures.get(who).copied().unwrap_or_default()
    }

    fn drop_those_before(&mut self, now: Instant) {
        self.kept.retain(|_, it| it.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROSA: Claimant = Some([1; 32]);
    const IVAN: Claimant = Some([2; 32]);

    #[test]
    fn whoever_has_failed_least_comes_first_and_then_whoever_asked_first() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let until = now + KEPT_FOR;
        turns.has_failed(IVAN);
        turns.keep(IVAN, now, until);
        let later = now + Duration::from_secs(1);
        assert_eq!(turns.before(ROSA, later), None, "without having asked, too");
        turns.keep(ROSA, later, until);
        assert_eq!(turns.before(ROSA, later), None);
        assert_eq!(turns.before(IVAN, later), Some(Before { until, is_equal: false }));
        turns.has_failed(ROSA);
        assert_eq!(turns.before(ROSA, later), Some(Before { until, is_equal: true }));
        assert_eq!(turns.before(IVAN, later), None);
        turns.give_up(IVAN);
        assert_eq!(turns.before(ROSA, later), None);
        assert_eq!(turns.before(IVAN, until), None, "nothing is kept for longer");
    }

    #[test]
    fn a_newcomer_finds_a_place_where_all_are_taken() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for number in 0..MOST {
            let mut who = [0; 32];
            who[..8].copy_from_slice(&number.to_be_bytes());
            turns.has_failed(Some(who));
            turns.keep(Some(who), now, now + KEPT_FOR);
        }
        turns.keep(ROSA, now, now + KEPT_FOR);
        assert_eq!((turns.before(ROSA, now), turns.kept.len()), (None, MOST));
        assert!(turns.before(Some([0; 32]), now).is_some(), "the turn of the newcomer is kept");
    }
}
