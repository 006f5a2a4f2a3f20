//! What the demo hospital shows.

use super::Hospital;
use super::tables::contents;

/// What goes wrong, which a demo does not show.
const FAILURES: [&str; 2] = ["process_failures", "projection_failures"];

#[tokio::test]
async fn every_table_of_the_demo_has_rows() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let rows = contents(hospital.owner(), "hims").await;
    let empty: Vec<_> = rows.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert_eq!(empty, FAILURES);
}
