use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How soon to ask again when only somebody else can make room, by giving a share back.
const A_WHILE: Duration = Duration::from_secs(5);

/// How much of something each key may use: the connections of an address, say, or the refused commands of a user. A
/// share of the allowance is in use until it is given back. A share that is spent comes back with time.
pub struct Allowances<K> {
    most: u32,
    /// How much of what was spent comes back in a second.
    regained: f64,
    ledger: Arc<Mutex<Ledger<K>>>,
}

/// What is used, by key. A key that uses nothing has no entry.
struct Ledger<K> {
    used: HashMap<K, Used>,
    /// With how many entries the ledger is next searched for keys whose spent shares have come back.
    swept_at: usize,
}

/// What a key uses: the shares that are in use, and those that were spent and have not come back at an instant.
#[derive(Clone, Copy)]
struct Used {
    in_use: u32,
    spent: f64,
    at: DateTime<Utc>,
}

impl Used {
    /// What is used at a later instant.
    fn at(self, now: DateTime<Utc>, regained: f64) -> Self {
        let passed = (now - self.at).to_std().unwrap_or_default();
        let spent = (self.spent - passed.as_secs_f64() * regained).max(0.0);
        Self { spent, at: self.at.max(now), ..self }
    }

    fn is_nothing(self) -> bool {
        self.in_use == 0 && self.spent <= 0.0
    }
}

/// The fewest entries with which a ledger is searched for entries that are no longer needed.
const FEW: usize = 1_024;

impl<K: Copy + Eq + Hash> Allowances<K> {
    /// Each key may use so many at the same time.
    pub fn at_once(most: u32) -> Self {
        let ledger = Ledger { used: HashMap::new(), swept_at: FEW };
        Self { most: most.max(1), regained: 0.0, ledger: Arc::new(Mutex::new(ledger)) }
    }

    /// Each key may spend so many, all of which come back evenly within a time.
    pub fn within(time: Duration, most: u32) -> Self {
        let allowances = Self::at_once(most);
        let seconds = time.as_secs_f64().max(f64::EPSILON);
        Self { regained: f64::from(allowances.most) / seconds, ..allowances }
    }

    /// Whether a key has a share left.
    ///
    /// # Errors
    /// When the key has none: how soon it may have one.
    pub fn check(&self, key: K, now: DateTime<Utc>) -> Result<(), Duration> {
        let used = lock(&self.ledger).used.get(&key).map(|it| it.at(now, self.regained));
        used.map_or(Ok(()), |used| self.is_left(used))
    }

    /// Takes a share, which is in use until it is dropped or spent.
    ///
    /// # Errors
    /// When the key has none: how soon it may have one.
    pub fn take(&self, key: K, now: DateTime<Utc>) -> Result<Share<K>, Duration> {
        let mut ledger = lock(&self.ledger);
        let used = ledger.entry(key, now, self.regained);
        self.is_left(*used)?;
        used.in_use += 1;
        drop(ledger);
        Ok(Share { key, ledger: Arc::clone(&self.ledger) })
    }

    /// Spends a share, also when the key has none left: the next one is then longer in coming.
    pub fn spend(&self, key: K, now: DateTime<Utc>) {
        lock(&self.ledger).entry(key, now, self.regained).spent += 1.0;
    }

    fn is_left(&self, used: Used) -> Result<(), Duration> {
        let missing = f64::from(used.in_use) + used.spent + 1.0 - f64::from(self.most);
        if missing <= 0.0 {
            return Ok(());
        }
        let comes_back = self.regained > 0.0 && missing <= used.spent;
        Err(if comes_back { Duration::from_secs_f64(missing / self.regained) } else { A_WHILE })
    }
}

impl<K: Copy + Eq + Hash> Ledger<K> {
    /// What a key uses at an instant.
    fn entry(&mut self, key: K, now: DateTime<Utc>, regained: f64) -> &mut Used {
        if self.used.len() >= self.swept_at {
            self.used.retain(|_, used| !used.at(now, regained).is_nothing());
            self.swept_at = (2 * self.used.len()).max(FEW);
        }
        let used = self.used.entry(key).or_insert(Used { in_use: 0, spent: 0.0, at: now });
        *used = used.at(now, regained);
        used
    }
}

fn lock<K>(ledger: &Mutex<Ledger<K>>) -> MutexGuard<'_, Ledger<K>> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A share of a key's allowance, which is given back when it is dropped.
pub struct Share<K: Copy + Eq + Hash> {
    key: K,
    ledger: Arc<Mutex<Ledger<K>>>,
}

impl<K: Copy + Eq + Hash> Share<K> {
    /// Spends the share, so that it comes back with time only.
    pub fn spend(self) {
        if let Some(used) = lock(&self.ledger).used.get_mut(&self.key) {
            used.spent += 1.0;
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut ledger = lock(&self.ledger);
        let Some(used) = ledger.used.get_mut(&self.key) else { return };
        used.in_use = used.in_use.saturating_sub(1);
        if used.is_nothing() {
            ledger.used.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::now;

    #[test]
    fn a_key_uses_so_many_at_once_and_no_more() {
        let allowances = Allowances::at_once(2);
        let first = allowances.take("a", now()).ok();
        let second = allowances.take("a", now()).ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(allowances.take("a", now() + TimeDelta::days(1)).err(), Some(A_WHILE));
        assert_eq!(allowances.check("a", now()), Err(A_WHILE));
        assert!(allowances.take("b", now()).is_ok(), "another key has shares of its own");
        drop(first);
        assert!(allowances.take("a", now()).is_ok());
        drop(second);
        assert!(lock(&allowances.ledger).used.is_empty(), "nobody is remembered who uses nothing");
    }

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let allowances = Allowances::within(Duration::from_mins(1), 60);
        for _ in 0..60 {
            assert_eq!(allowances.check("a", now()), Ok(()));
            allowances.spend("a", now());
        }
        assert_eq!(allowances.check("a", now()), Err(Duration::from_secs(1)));
        assert_eq!(allowances.check("b", now()), Ok(()));
        let later = now() + TimeDelta::seconds(1);
        allowances.take("a", later).expect("a share came back").spend();
        assert_eq!(allowances.check("a", later), Err(Duration::from_secs(1)));
        // What is spent beyond the allowance has to come back too.
        allowances.spend("a", later);
        assert_eq!(allowances.check("a", later), Err(Duration::from_secs(2)));
        assert_eq!(allowances.check("a", later + TimeDelta::hours(1)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back() {
        let allowances = Allowances::within(Duration::from_mins(1), 1);
        allowances.spend("a", now());
        assert!(allowances.check("a", now() - TimeDelta::days(1)).is_err());
        assert_eq!(allowances.check("a", now() + TimeDelta::minutes(1)), Ok(()));
    }

    #[test]
    fn whoever_has_everything_back_is_forgotten() {
        let allowances = Allowances::within(Duration::from_mins(1), 1);
        for key in 0..FEW {
            allowances.spend(key, now());
        }
        let held = allowances.take(FEW, now() + TimeDelta::hours(1));
        assert!(held.is_ok());
        assert_eq!(lock(&allowances.ledger).used.len(), 1);
    }
}
