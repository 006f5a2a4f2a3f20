use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::PatientId;
use moka::Entry;
use moka::sync::Cache;
use uuid::Uuid;

/// For how long a screen that refreshes itself shows a patient without a further event.
const A_MINUTE: TimeDelta = TimeDelta::minutes(1);
/// How many screens are remembered at most. What is forgotten is recorded again.
const REMEMBERED: u64 = 100_000;

/// What was recorded within the last minute of what each screen shows, so that a screen that refreshes itself is
/// recorded when it shows somebody new, and else once a minute.
pub(crate) struct Looks(Cache<Uuid, Arc<Look>>);

/// When a screen was last recorded, and when with each patient.
#[derive(Default, Clone)]
struct Look {
    recorded_at: DateTime<Utc>,
    patients: HashMap<PatientId, DateTime<Utc>>,
}

impl Looks {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_idle(Duration::from_mins(2)).build())
    }

    /// The patients who are to be recorded, of those whom a screen is about to show; `None` if nothing is.
    pub(super) fn unrecorded(
        &self,
        screen: Uuid,
        patients: &BTreeSet<PatientId>,
        now: DateTime<Utc>,
    ) -> Option<BTreeSet<PatientId>> {
        let look = self.0.get(&screen).unwrap_or_default();
        let is_recent = |at: &DateTime<Utc>| now - *at < A_MINUTE;
        let new = patients.iter().copied().filter(|it| !look.patients.get(it).is_some_and(is_recent));
        let new: BTreeSet<_> = new.collect();
        (!new.is_empty() || !is_recent(&look.recorded_at)).then_some(new)
    }

    /// Takes note of what was recorded.
    pub(super) fn note(&self, screen: Uuid, patients: &BTreeSet<PatientId>, now: DateTime<Utc>) {
        self.0.entry(screen).and_upsert_with(|known| {
            let mut look = known.map(Entry::into_value).map(Arc::unwrap_or_clone).unwrap_or_default();
            look.recorded_at = now;
            look.patients.retain(|_, at| now - *at < A_MINUTE);
            look.patients.extend(patients.iter().map(|it| (*it, now)));
            Arc::new(look)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(patients: &[u128]) -> BTreeSet<PatientId> {
        patients.iter().map(|it| PatientId(Uuid::from_u128(*it))).collect()
    }

    #[test]
    fn a_screen_that_refreshes_itself_is_recorded_with_whom_it_newly_shows_and_once_a_minute() {
        let (looks, screen, begun) = (Looks::new(), Uuid::from_u128(7), DateTime::UNIX_EPOCH + TimeDelta::days(1));
        let at = |seconds| begun + TimeDelta::seconds(seconds);
        let shows = |patients: &[u128], seconds| {
            let unrecorded = looks.unrecorded(screen, &some(patients), at(seconds));
            if let Some(unrecorded) = &unrecorded {
                looks.note(screen, unrecorded, at(seconds));
            }
            unrecorded
        };
        assert_eq!(shows(&[1, 2], 0), Some(some(&[1, 2])));
        assert_eq!(shows(&[1, 2], 30), None);
        assert_eq!(shows(&[1, 2, 3], 40), Some(some(&[3])));
        assert_eq!(shows(&[1, 2, 3], 60), Some(some(&[1, 2])));
        assert_eq!(shows(&[], 90), None);
        assert_eq!(shows(&[], 120), Some(some(&[])));
        assert_eq!(looks.unrecorded(Uuid::from_u128(8), &some(&[1]), at(120)), Some(some(&[1])), "another screen");
    }
}
