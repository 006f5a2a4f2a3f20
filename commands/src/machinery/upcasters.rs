use hims_event_store::Upcasters;

/// What lifts stored events of older schema versions to today's form. One line per lift, in order; each has a golden
/// file of the version that it lifts from.
pub fn upcasters() -> Upcasters {
    Upcasters::default()
}
