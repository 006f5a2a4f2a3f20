//! Rows of the read tables as the tests of reports need them.

use serde_json::{Value, json};

use super::id;

/// Two departments with rooms, three providers, and two patients, one of whom has two records.
pub(super) fn house() -> Vec<(&'static str, Vec<Value>)> {
    let department = |nth, code, name, zone| json!({"id": id(nth), "code": code, "name": name, "time_zone": zone});
    let room = |nth, department, number| json!({"id": id(nth), "department_id": id(department), "room_number": number});
    let user = |nth, first, last, department: Option<u32>| {
        json!({"id": id(nth), "email": format!("{last}@house.example"), "first_name": first, "last_name": last,
               "department_id": department.map(id)})
    };
    let patient = |nth, mrn, first, last| json!({"id": id(nth), "mrn": mrn, "first_name": first, "last_name": last, "name_folded": last});
    vec![
        ("user_roles", vec![json!({"id": id(5), "name": "doctor", "display_name": "Doctor"})]),
        (
            "departments",
            vec![
                department(1, "CAR", "Cardiology", "America/New_York"),
                department(2, "DER", "Dermatology", "Europe/Berlin"),
            ],
        ),
        ("rooms", vec![room(11, 1, "R1"), room(12, 2, "R2"), room(13, 1, "R3")]),
        (
            "users",
            vec![user(21, "Ada", "Adler", Some(1)), user(22, "Bea", "Brown", Some(2)), user(23, "Cora", "Clark", None)],
        ),
        (
            "patients",
            vec![
                patient(31, "MRN-1", "Paul", "Peters"),
                patient(32, "MRN-2", "Rita", "Ross"),
                patient(33, "MRN-3", "P", "Peters"),
            ],
        ),
        (
            "patient_links",
            vec![json!({"id": id(33), "duplicate_id": id(33), "patient_id": id(31), "merged_into_id": id(31)})],
        ),
    ]
}

/// What a row of a table has unless a test says otherwise.
pub(super) fn usual(table: &str) -> Value {
    const AT: &str = "2026-03-01T12:00:00Z";
    let mut row = match table {
        "user_roles" => json!({"permissions": {}, "is_system_role": true}),
        "departments" | "payers" => json!({"is_active": true}),
        "rooms" => json!({"room_type": "exam", "capacity": 1, "status": "active"}),
        "users" => json!({"password_hash": "!", "role_id": id(5), "is_active": true, "is_email_verified": true,
                          "must_change_password": false, "has_second_factor": false, "is_service_account": false}),
        "patients" => json!({"gender": "unknown", "name_unknown": false, "birth_date_precision": "unknown",
                             "country": "US", "preferred_language": "en", "organ_donor": false,
                             "advance_directive": false}),
        "appointments" => json!({"patient_id": id(31), "provider_id": id(21), "department_id": id(1),
                                 "appointment_type": "follow_up", "duration_minutes": 30, "status": "completed",
                                 "time_zone": "America/New_York", "priority": "normal", "insurance_verified": false,
                                 "outside_hours": false}),
        "provider_schedules" => json!({"effective_from": "2026-01-01", "slot_minutes": 15,
                                       "minimum_notice_minutes": 0, "horizon_days": 180}),
        "schedule_exceptions" => json!({"status": "active"}),
        "provider_leaves" => json!({"kind": "vacation", "status": "active"}),
        "consultations" => json!({"patient_id": id(31), "provider_id": id(21), "consultation_type": "standard",
                                  "workflow_type": "standard", "status": "completed", "started_at": AT}),
        "lab_tests" => json!({"components": [], "is_active": true, "turnaround_minutes": {}}),
        "lab_orders" => json!({"patient_id": id(31), "provider_id": id(21), "status": "completed",
                               "priority": "normal", "is_fasting": false, "is_unsolicited": false}),
        "lab_order_items" => json!({"patient_id": id(31), "line_number": 1, "diagnosis_ids": [],
                                    "status": "resulted"}),
        "specimens" => json!({"patient_id": id(31), "specimen_type": "SER", "status": "received"}),
        "lab_results" => json!({"patient_id": id(31), "test_code": "2823-3", "test_name": "Potassium",
                                "status": "completed", "result_status": "F", "revision": 1, "is_abnormal": false,
                                "delta_flag": false, "performed_at": AT}),
        "lab_result_components" => json!({"patient_id": id(31), "revision": 1, "is_current": true, "sequence": 1,
                                          "component_code": "2823-3", "code_system": "http://loinc.org",
                                          "component_name": "Potassium"}),
        "medications" => json!({"controlled_substance": false, "requires_prescription": true, "is_active": true,
                                "units": []}),
        "prescriptions" => json!({"patient_id": id(31), "provider_id": id(21), "status": "dispensed",
                                  "priority": "normal"}),
        "prescription_items" => json!({"patient_id": id(31), "line_number": 1, "as_needed": false,
                                       "quantity_unit": "tablet", "quantity_dispensed": 0, "refills_allowed": 0,
                                       "refills_used": 0, "substitution_allowed": true, "status": "active"}),
        "prescription_alerts" => json!({"patient_id": id(31), "kind": "interaction", "severity": "major",
                                        "is_overridden": false}),
        "medication_inventory" => json!({"location_id": id(11), "expiry_date": "2030-01-01", "quantity_on_hand": 0,
                                         "quantity_reserved": 0, "quantity_pending": 0, "pending_changes": [],
                                         "unit": "tablet", "status": "available", "received_at": AT}),
        "insurance_policies" => json!({"patient_id": id(31), "relationship_to_subscriber": "self",
                                       "effective_from": "2026-01-01", "status": "draft"}),
        "billing_records" => json!({"patient_id": id(31), "status": "billed", "currency": "USD", "total_amount": 0,
                                    "tax_amount": 0, "discount_amount": 0, "adjustment_amount": 0,
                                    "written_off_amount": 0, "paid_amount": 0, "credit_amount": 0,
                                    "insurance_due": 0, "opened_on": "2026-03-01"}),
        "billing_items" => json!({"patient_id": id(31), "code_system": "cpt", "code": "99213", "modifiers": [],
                                  "diagnosis_pointers": [], "quantity": 1, "discount_amount": 0, "tax_rate": 0,
                                  "tax_amount": 0, "needs_price": false, "status": "billed"}),
        "billing_payments" | "billing_adjustments" => json!({"patient_id": id(31)}),
        "insurance_claims" => json!({"patient_id": id(31), "claim_type": "professional", "frequency_code": "1",
                                     "service_date": "2026-03-01", "diagnoses": [], "lines": [], "billed_amount": 0,
                                     "paid_amount": 0, "status": "accepted", "denial_codes": []}),
        "claim_payments" => json!({"patient_id": id(31), "payment_method": "ACH", "claim_status_code": "1",
                                   "paid_amount": 0, "patient_responsibility": 0, "adjustments": [],
                                   "is_reversal": false, "posted_at": AT}),
        "waitlist_entries" => json!({"patient_id": id(31), "department_id": id(1), "appointment_type": "follow_up",
                                     "duration_minutes": 30, "priority": "normal", "earliest": "2026-03-01",
                                     "latest": "2026-06-01", "time_zone": "America/New_York",
                                     "offers": 0, "unanswered_offers": 0}),
        "emergency_accesses" => json!({"patient_id": id(31), "user_id": id(21), "review": "open",
                                       "reason": "collapsed", "awaits_second": false}),
        "disclosures" => json!({"patient_id": id(31), "purpose": "public_health", "status": "recorded",
                                "recipient_name": "Board of Health", "description": "A test for measles"}),
        "inventory_transactions" | "patient_links" => json!({}),
        "audit_logs" => json!({"resource_type": "patient", "success": true}),
        _ => panic!("the tests know no usual row of {table}"),
    };
    row["version"] = json!(1);
    for (column, tables_without) in [
        ("created_at", &["audit_logs"][..]),
        (
            "updated_at",
            &[
                "audit_logs",
                "inventory_transactions",
                "billing_payments",
                "billing_adjustments",
                "claim_payments",
                "prescription_alerts",
            ],
        ),
    ] {
        if !tables_without.contains(&table) {
            row[column] = json!(AT);
        }
    }
    row
}
