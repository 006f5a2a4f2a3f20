//! What is not signed, and what was done with the records of a patient.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};

#[tokio::test]
async fn consultations_are_listed_that_were_completed_long_ago_and_are_not_signed() {
    let mut house = House::new("2026-03-10T12:00:00Z").await;
    let consultation =
        |nth: u32, completed_at: &str, more: Value| patched(json!({"id": id(nth), "completed_at": completed_at}), more);
    let consultations = [
        consultation(801, "2026-03-09T12:00:00Z", json!({})),
        consultation(802, "2026-03-09T12:01:00Z", json!({"provider_id": id(22)})),
        consultation(803, "2026-03-01T12:59:00Z", json!({"provider_id": id(22)})),
        consultation(804, "2026-03-01T12:00:00Z", json!({"signed_at": "2026-03-02T12:00:00Z", "signed_by": id(21)})),
        json!({"id": id(805), "status": "in_progress"}),
        consultation(806, "2026-03-01T12:00:00Z", json!({"status": "cancelled"})),
    ];
    house.fill("consultations", consultations).await;
    let old = "#803 | #22 | Bea Brown | 2026-03-01 12:59 | 215";
    let day = "#801 | #21 | Ada Adler | 2026-03-09 12:00 | 24";
    let new = "#802 | #22 | Bea Brown | 2026-03-09 12:01 | 23";
    for (asked, expected) in [
        (json!({}), &[old, day][..]),
        (json!({"older_than_hours": 0}), &[old, day, new]),
        (json!({"older_than_hours": 25}), &[old]),
    ] {
        assert_eq!(house.report("clinical_records,staff", "unsigned-consultations", asked).await, expected);
    }
}

#[tokio::test]
async fn the_access_to_a_patient_includes_the_records_that_were_merged() {
    let mut house = House::new("2026-03-10T12:00:00Z").await;
    for month in ["2026-02-01", "2026-03-01"] {
        let sql = "select hims.create_monthly_partition('hims.audit_logs', $1::text::date)";
        sqlx::query(sql).bind(month).execute(&mut house.superuser).await.expect("a partition");
    }
    let row = |position: u32, at: &str, patient: Option<u32>, more: Value| {
        let row = json!({"id": id(900 + position), "position": position, "timestamp": at, "user_id": id(21),
                         "action": "patient.changed", "resource_id": patient.map(id), "patient_id": patient.map(id)});
        patched(row, more)
    };
    let refused = json!({"action": "access.command_refused", "success": false, "ip_address": "192.0.2.7"});
    let rows = [
        row(1, "2026-02-28T12:00:00Z", Some(31), json!({"user_id": null})),
        row(2, "2026-03-01T04:59:00Z", Some(31), json!({"user_id": id(99)})),
        row(3, "2026-03-01T05:00:00Z", Some(33), refused),
        row(4, "2026-03-02T12:00:00Z", Some(32), json!({})),
        row(5, "2026-03-03T04:59:00Z", Some(31), json!({"resource_type": "appointment", "resource_id": id(101)})),
        row(6, "2026-03-03T05:00:00Z", Some(31), json!({})),
        row(7, "2026-03-02T12:00:00Z", None, json!({})),
    ];
    house.fill("audit_logs", rows).await;
    let all = [
        "1 | 2026-02-28 12:00 | - | - | - | patient.changed | patient | #31 | #31 | yes | -",
        // A user whose row is not there, or not to be read.
        "2 | 2026-03-01 04:59 | #99 | - | - | patient.changed | patient | #31 | #31 | yes | -",
        "3 | 2026-03-01 05:00 | #21 | Ada Adler | Doctor | access.command_refused | patient | #33 | #33 | no | 192.0.2.7",
        "5 | 2026-03-03 04:59 | #21 | Ada Adler | Doctor | patient.changed | appointment | #101 | #31 | yes | -",
        "6 | 2026-03-03 05:00 | #21 | Ada Adler | Doctor | patient.changed | patient | #31 | #31 | yes | -",
    ];
    let other = "4 | 2026-03-02 12:00 | #21 | Ada Adler | Doctor | patient.changed | patient | #32 | #32 | yes | -";
    for (asked, expected) in [
        (json!({"patient": id(31)}), &all[..]),
        (json!({"patient": id(33)}), &all),
        (json!({"patient": id(31), "from": "2026-03-01", "to": "2026-03-02"}), &all[2..4]),
        (json!({"patient": id(31), "to": "2026-02-28"}), &all[..2]),
        (json!({"patient": id(32)}), &[other]),
    ] {
        assert_eq!(house.report("audit_logs,staff", "patient-access", asked).await, expected);
    }
}
