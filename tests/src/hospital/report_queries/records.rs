//! What is not signed, what was done with the records of a patient, and to whom they were disclosed.

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
                         "role": "nurse", "purpose_of_use": "TREAT", "action": "patient.changed",
                         "resource_id": patient.map(id), "patient_id": patient.map(id)});
        patched(row, more)
    };
    let refused = json!({"action": "access.command_refused", "success": false, "ip_address": "192.0.2.7"});
    let rows = [
        row(1, "2026-02-28T12:00:00Z", Some(31), json!({"user_id": null, "role": null, "purpose_of_use": null})),
        row(2, "2026-03-01T04:59:00Z", Some(31), json!({"user_id": id(99)})),
        row(3, "2026-03-01T05:00:00Z", Some(33), refused),
        row(4, "2026-03-02T12:00:00Z", Some(32), json!({})),
        row(5, "2026-03-03T04:59:00Z", Some(31), json!({"resource_type": "appointment", "resource_id": id(101)})),
        row(
            6,
            "2026-03-03T05:00:00Z",
            Some(31),
            json!({"action": "access.read", "resource_type": "access",
                                                        "new_values": {"source": "lab_results"}}),
        ),
        row(7, "2026-03-02T12:00:00Z", None, json!({})),
    ];
    house.fill("audit_logs", rows).await;
    let emergency = json!({"id": id(971), "granted_at": "2026-03-03T05:00:00Z", "ends_at": "2026-03-03T06:00:00Z"});
    house.fill("emergency_accesses", [emergency]).await;
    // The role is the one of then, although Ada Adler is a doctor by now.
    let ada = "#21 | Ada Adler | nurse | TREAT";
    let all = [
        "1 | 2026-02-28 12:00 | - | - | - | - | patient.changed | patient | #31 | #31 | yes | - | -".to_owned(),
        // A user whose row is not there, or not to be read.
        "2 | 2026-03-01 04:59 | #99 | - | nurse | TREAT | patient.changed | patient | #31 | #31 | yes | - | -"
            .to_owned(),
        format!("3 | 2026-03-01 05:00 | {ada} | access.command_refused | patient | #33 | #33 | no | 192.0.2.7 | -"),
        format!("5 | 2026-03-03 04:59 | {ada} | patient.changed | appointment | #101 | #31 | yes | - | -"),
        format!("6 | 2026-03-03 05:00 | {ada} | access.read | lab_results | #31 | #31 | yes | - | #971"),
    ];
    let other = [format!("4 | 2026-03-02 12:00 | {ada} | patient.changed | patient | #32 | #32 | yes | - | -")];
    for (asked, expected) in [
        (json!({"patient": id(31)}), &all[..]),
        (json!({"patient": id(33)}), &all),
        (json!({"patient": id(31), "from": "2026-03-01", "to": "2026-03-02"}), &all[2..4]),
        (json!({"patient": id(31), "to": "2026-02-28"}), &all[..2]),
        (json!({"patient": id(32)}), &other),
    ] {
        assert_eq!(house.report("audit_logs,staff", "patient-access", asked).await, expected);
    }
}

#[tokio::test]
async fn the_account_of_disclosures_goes_back_six_years_and_includes_the_records_that_were_merged() {
    let mut house = House::new("2026-03-10T12:00:00Z").await;
    let disclosed = |nth: u32, at: &str, more: Value| patched(json!({"id": id(nth), "disclosed_at": at}), more);
    let statement = json!({"patient_id": id(33), "recipient_address": "1 Mill Lane", "statement": "notifiable"});
    let rows = [
        // The day six years ago begins in New York at 4:00 (UTC).
        disclosed(951, "2020-03-10T03:59:00Z", json!({})),
        disclosed(952, "2020-03-10T04:00:00Z", json!({})),
        disclosed(953, "2026-03-09T12:00:00Z", statement),
        disclosed(954, "2026-03-09T12:00:00Z", json!({"patient_id": id(32)})),
        disclosed(955, "2026-03-09T12:00:00Z", json!({"status": "entered_in_error"})),
    ];
    house.fill("disclosures", rows).await;
    let old = "2020-03-10 04:00 | Board of Health | - | A test for measles | public_health | - | #31 | #952";
    let new = "2026-03-09 12:00 | Board of Health | 1 Mill Lane | A test for measles | \
               public_health | notifiable | #33 | #953";
    for (asked, expected) in [
        (json!({"patient": id(31)}), &[old, new][..]),
        (json!({"patient": id(33), "years": 6}), &[old, new]),
        (json!({"patient": id(31), "years": 5}), &[new]),
    ] {
        assert_eq!(house.report("disclosures,audit_logs", "disclosures", asked).await, expected);
    }
}

#[tokio::test]
async fn accesses_in_emergencies_are_listed_until_somebody_has_reviewed_them() {
    let mut house = House::new("2026-03-10T12:00:00Z").await;
    let taken = |nth: u32, at: &str, more: Value| {
        patched(json!({"id": id(nth), "granted_at": at, "ends_at": "2026-03-10T12:30:00Z"}), more)
    };
    let reviewed = json!({"review": "justified", "reviewed_by": id(22), "reviewed_at": "2026-03-10T11:00:00Z"});
    let rows = [
        taken(961, "2026-03-10T11:30:00Z", json!({})),
        taken(962, "2026-03-08T12:00:00Z", json!({"user_id": id(22), "patient_id": id(32), "reason": "unconscious"})),
        taken(963, "2026-03-10T10:00:00Z", reviewed),
    ];
    house.fill("emergency_accesses", rows).await;
    let new = "#961 | #21 | Ada Adler | Doctor | #31 | collapsed | 2026-03-10 11:30 | 2026-03-10 12:30 | 0";
    let old = "#962 | #22 | Bea Brown | Doctor | #32 | unconscious | 2026-03-08 12:00 | 2026-03-10 12:30 | 48";
    for (asked, expected) in [(json!({}), &[old, new][..]), (json!({"older_than_hours": 24}), &[old])] {
        assert_eq!(house.report("audit_logs,staff", "open-emergency-accesses", asked).await, expected);
    }
}
