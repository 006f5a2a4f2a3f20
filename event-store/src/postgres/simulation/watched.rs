//! Values that tasks wait for.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A value that tasks wait for. A channel of tokio (`watch`) wakes those who wait in an order by chance; this wakes
/// them in the order in which they came, so that a seed repeats what happened.
pub(super) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Watched<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    pub(super) fn get(&self) -> T {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, value: T) {
        self.change(|it| *it = value);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
    }

    /// Waits until the value is as wanted, and answers it.
    pub(super) async fn until(&self, is_wanted: impl Fn(T) -> bool) -> T {
        loop {
            // Whoever is told of a change from here on is told of each.
            let changed = self.changed.notified();
            let value = self.get();
            if is_wanted(value) {
                return value;
            }
            changed.await;
        }
    }
}
