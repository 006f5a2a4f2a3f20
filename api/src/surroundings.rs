use std::sync::Arc;

use chrono::{SubsecRound, Utc};
use hims_commands::Surroundings;

/// The system clock, cut to microseconds, and the operating system's random numbers.
///
/// # Panics
/// When the operating system gives no random numbers: ids and passwords would not be safe.
#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "this is the edge where the clock comes in")]
pub fn surroundings() -> Surroundings {
    Surroundings {
        clock: Arc::new(|| Utc::now().trunc_subsecs(6)),
        entropy: Arc::new(|| {
            let mut bytes = [0_u8; 16];
            getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
            u128::from_be_bytes(bytes)
        }),
    }
}
