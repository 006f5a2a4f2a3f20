use hims_event_store::Upcasters;

/// The upcasters, which lift stored events of older schema versions to the current form when events are read. Each
/// upcaster has a golden file of its source version, and the upcasters are listed in the order of versions.
pub fn upcasters() -> Upcasters {
    Upcasters::default()
}
