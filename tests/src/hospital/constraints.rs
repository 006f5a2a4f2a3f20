//! What keeps the way to several servers open (ADR 35): no rule rests on a constraint of a read table alone, and rows
//! about a patient say so.

use hims_commands::scopes;
use hims_projections::TABLES;
use hims_testing::{assert_same, rust_files};

use crate::support::database;

/// On what a constraint between rows rests, so that it holds without the constraint.
#[derive(Debug, Clone, Copy)]
enum Ground {
    /// The log has a claim of each key in this scope.
    Claim(&'static str),
    /// The log has a booking of each time.
    Booking,
    /// Rows with one value of this column are of one stream, whose commands are decided on all of them.
    OneStream(&'static str),
    /// The id of the stream follows from the values, so a second row would be a second beginning of one stream.
    Id,
}
use Ground::{Booking, Claim, Id, OneStream};

/// Every constraint of a read table that compares rows. Primary keys are ids of streams or of their parts, which the
/// log claims. Archives have the constraints of their tables.
const CONSTRAINTS: [(&str, &str, Ground); 52] = [
    ("appointment_notes", "appointment_notes_amended_by_id_key", Claim(scopes::NOTE_AMENDS)),
    ("appointment_notes", "appointment_notes_amends_id_key", Claim(scopes::NOTE_AMENDS)),
    ("appointments", "chk_no_double_booking", Booking),
    ("appointments", "chk_no_patient_clash", Booking),
    ("appointments", "chk_no_room_clash", Booking),
    ("billing_items", "billing_items_billing_record_id_line_number_key", OneStream("billing_record_id")),
    ("billing_payments", "billing_payments_receipt_number_key", Claim(scopes::RECEIPT_NUMBER)),
    ("billing_records", "billing_records_invoice_number_key", Claim(scopes::INVOICE_NUMBER)),
    ("claim_payments", "claim_payments_trace", Claim(scopes::CLAIM_TRACE)),
    ("consultation_amendments", "consultation_amendments_consultation_id_number_key", OneStream("consultation_id")),
    ("consultation_steps", "consultation_steps_consultation_id_step_number_key", OneStream("consultation_id")),
    ("consultations", "consultations_one_of_an_appointment", Claim(scopes::APPOINTMENT_CONSULTATION)),
    ("departments", "departments_code_key", Claim(scopes::DEPARTMENT_CODE)),
    ("diagnoses", "diagnoses_rank", OneStream("consultation_id")),
    ("drug_interactions", "drug_interactions_pair", OneStream("ingredient_a")),
    ("emergency_contacts", "emergency_contacts_patient_id_priority_key", OneStream("patient_id")),
    ("insurance_claims", "insurance_claims_claim_number_key", Claim(scopes::CLAIM_NUMBER)),
    ("insurance_policies", "chk_no_coverage_overlap", Booking),
    ("inventory_items", "inventory_items_sku_key", Claim(scopes::INVENTORY_ITEM_SKU)),
    ("inventory_levels", "inventory_levels_inventory_item_id_location_id_key", Id),
    ("lab_order_items", "lab_order_items_lab_order_id_line_number_key", OneStream("lab_order_id")),
    ("lab_orders", "lab_orders_order_number_key", Claim(scopes::LAB_ORDER_NUMBER)),
    ("lab_reference_ranges", "chk_no_range_overlap", OneStream("lab_test_id")),
    ("lab_result_components", "lab_result_components_lab_result_id_revision_sequence_key", OneStream("lab_result_id")),
    ("lab_tests", "lab_tests_code_key", Claim(scopes::LAB_TEST_CODE)),
    (
        "medication_ingredients",
        "medication_ingredients_medication_id_rxnorm_ingredient_key",
        OneStream("medication_id"),
    ),
    (
        "medication_inventory",
        "medication_inventory_medication_id_location_id_lot_number_key",
        Claim(scopes::LOT_NUMBER),
    ),
    ("medication_lists", "medication_lists_patient_id_key", Id),
    ("medications", "medications_rxnorm_code_key", Claim(scopes::MEDICATION_RXNORM)),
    ("notification_preferences", "notification_preferences_patient_id_key", Id),
    ("notification_preferences", "notification_preferences_user_id_key", Id),
    ("patient_identifiers", "patient_identifiers_one_patient", Claim(scopes::PATIENT_IDENTIFIER)),
    ("patient_links", "patient_links_duplicate_id_key", Id),
    ("patients", "patients_mrn_key", Claim(scopes::PATIENT_MRN)),
    ("payers", "payers_code_key", Claim(scopes::PAYER_CODE)),
    ("prescription_items", "prescription_items_prescription_id_line_number_key", OneStream("prescription_id")),
    ("prescriptions", "prescriptions_prescription_number_key", Claim(scopes::PRESCRIPTION_NUMBER)),
    ("price_list_items", "chk_no_price_overlap", OneStream("price_id")),
    ("provider_schedules", "provider_schedules_provider_id_department_id_effective_from_key", OneStream("provider_id")),
    ("reports", "reports_code_key", Id),
    ("rooms", "rooms_department_id_room_number_key", Claim(scopes::ROOM_NUMBER)),
    ("schedule_exceptions", "schedule_exceptions_provider_id_department_id_date_key", OneStream("provider_id")),
    ("specimens", "specimens_specimen_number_key", Claim(scopes::SPECIMEN_NUMBER)),
    ("suppliers", "suppliers_code_key", Claim(scopes::SUPPLIER_CODE)),
    ("user_role_assignments", "user_role_assignments_user_id_role_id_key", OneStream("user_id")),
    ("user_roles", "user_roles_name_key", Claim(scopes::ROLE_NAME)),
    ("user_sessions", "user_sessions_token_hash_key", Claim(scopes::SESSION_TOKEN)),
    ("users", "users_email_key", Claim(scopes::USER_EMAIL)),
    ("users", "users_patient_id_key", Claim(scopes::USER_PATIENT)),
    ("waitlist_entries", "chk_no_double_offer", Booking),
    ("waitlist_entries", "chk_no_patient_offered_twice", Booking),
    ("waitlist_entries", "chk_no_room_held_twice", Booking),
];

#[tokio::test]
async fn the_ground_of_every_constraint_is_known() {
    let database = database().await;
    let sql = "select t.relname::text, k.conname::text, pg_get_constraintdef(k.oid)
                 from pg_constraint k join pg_class t on t.oid = k.conrelid
                where t.relnamespace = 'hims'::regnamespace and k.contype in ('u', 'x') and k.conparentid = 0
                  and t.relname not like '%\\_archive'";
    let found: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(&database.owner).await.expect("rows");
    let known = CONSTRAINTS.map(|(table, name, _)| (table, name));
    assert_same(known, found.iter().map(|it| (it.0.as_str(), it.1.as_str())));
    for (table, name, ground) in CONSTRAINTS {
        let definition = &found.iter().find(|it| (it.0.as_str(), it.1.as_str()) == (table, name)).expect("known").2;
        match ground {
            Booking => assert!(definition.contains(" WITH &&"), "{name} is about times: {definition}"),
            OneStream(column) => assert!(definition.contains(&format!("({column}")), "{name}: {definition}"),
            Claim(_) | Id => assert!(!definition.contains(" WITH &&"), "{name} is about keys: {definition}"),
        }
    }
    // An aggregate takes each of the claims.
    let commands: String =
        rust_files().into_iter().filter(|(path, _)| path.starts_with("commands/")).map(|it| it.1).collect();
    let words: String = commands.split_whitespace().collect();
    for (table, name, ground) in CONSTRAINTS {
        let Claim(scope) = ground else { continue };
        let (declared, _) = words.split_once(&format!(":&str=\"{scope}\";")).expect("the scope is declared");
        let (_, constant) = declared.rsplit_once("pubconst").expect("a constant");
        let is_taken =
            ["take(scopes::", "take_if(scopes::"].iter().any(|it| words.contains(&format!("{it}{constant},")));
        assert!(is_taken, "nothing takes the claim {scope}, on which {name} of {table} rests");
    }
}

/// The tables whose rows name no patient in `patient_id`, since they are about none, or since the column has another
/// name.
const WITHOUT_PATIENT: [&str; 26] = [
    "departments",
    "drug_interactions",
    "inventory_items",
    "inventory_levels",
    // What was taken is told, and for which prescription, but not for whom.
    "inventory_transactions",
    "lab_reference_ranges",
    "lab_tests",
    "medication_ingredients",
    "medication_inventory",
    "medications",
    // The column is `subject_patient_id`, since recipients are patients too.
    "notifications",
    // The key is the patient.
    "patients",
    "payers",
    "price_list_items",
    "process_failures",
    "provider_leaves",
    "provider_schedules",
    "report_executions",
    "report_schedules",
    "reports",
    "rooms",
    "schedule_exceptions",
    "suppliers",
    "user_role_assignments",
    "user_roles",
    "user_sessions",
];

#[test]
fn rows_about_a_patient_say_so() {
    let has_patient = |it: &&hims_projections::Table| it.columns.iter().any(|column| column.name == "patient_id");
    assert_same(TABLES.iter().filter(|it| !has_patient(it)).map(|it| it.name), WITHOUT_PATIENT);
}
