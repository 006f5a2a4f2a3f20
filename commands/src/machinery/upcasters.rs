use hims_event_store::Upcasters;

/// The upcasters, which lift stored events of older schema versions to the current form when events are read. Each one
/// has a golden file of the version that it lifts from; the order is that of the versions.
pub fn upcasters() -> Upcasters {
    Upcasters::default()
}
