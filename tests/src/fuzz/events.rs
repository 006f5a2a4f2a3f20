use hims_domain::{Aggregate, DomainEvent, Read as _, for_each_aggregate};
use hims_testing::Golden;
use proptest::prelude::*;
use proptest::sample::select;

use super::check;
use crate::support::broken;

/// Lets an event happen to nothing, and again to what became of it.
fn happens<A: Aggregate>(golden: &Golden) {
    if golden.stream_type() == A::STREAM
        && let Ok(event) = golden.clone().read::<A::Event>()
    {
        let state = A::evolve(None, &event);
        A::evolve(state, &event);
    }
}

#[test]
fn a_spoilt_event_is_read_or_refused() {
    let spoilt = select(hims_testing::all().to_vec()).prop_flat_map(|golden| {
        let data = broken(broken(Just(golden.data.clone()).boxed()));
        data.prop_map(move |data| Golden { data, ..golden.clone() })
    });
    let upcasters = hims_commands::upcasters();
    check(4_000, &spoilt, |golden| {
        let data = upcasters.apply(&golden.event_type, golden.schema_version, golden.data.clone());
        let golden = Golden { data, ..golden };
        let read = || DomainEvent::read(golden.stream_type(), golden.clone()).expect("a type of streams").ok();
        // What can be read is read in the same way the next time.
        assert_eq!(read(), read());
        macro_rules! happens_to {
            ($aggregate:ty) => {
                happens::<$aggregate>(&golden)
            };
        }
        for_each_aggregate!(happens_to);
    });
}
