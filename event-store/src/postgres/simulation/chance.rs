//! Chance that a seed decides, so that a run can be repeated.

use std::sync::Mutex;
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};
use tokio::time::sleep;

pub(super) struct Chance(Mutex<Xoshiro256PlusPlus>);

impl Chance {
    pub(super) fn of(seed: u64) -> Self {
        Self(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)))
    }

    /// A number below another one.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.0.lock().expect("no panic under the lock").next_u64() % end
    }

    /// Lets up to three milliseconds pass.
    pub(super) async fn pause(&self) {
        sleep(Duration::from_millis(self.below(4))).await;
    }
}
