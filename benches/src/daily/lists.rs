use chrono::NaiveDate;
use hims_domain::permission::Read;
use hims_projections::query::Identity;

use super::fill::Subject;
use super::reader::{List, Reader};

/// Every list, about one subject.
///
/// # Errors
/// The name of a table or of a parameter that there is not.
#[expect(clippy::too_many_lines, reason = "a list of lists, one line each")]
pub fn lists(about: Subject, today: NaiveDate) -> Result<Vec<List>, String> {
    let (patient, provider, department) = (about.patient(), about.provider(), about.department());
    let (assigned, today) = (about.assigned_patient(), today.to_string());
    let (family, given) = (about.family_name(), about.given_name());
    let bill = about.billing_record();
    let staff = Identity { user_id: Some(provider), department_id: Some(department), ..Identity::default() };
    let reception = Reader::of("receptionist", &staff);
    let (doctor, nurse) = (Reader::of("doctor", &staff), Reader::of("nurse", &staff));
    let pharmacist = Reader::of("pharmacist", &staff);
    let laboratory = Reader::of("lab_technician", &staff);
    let own = Reader::of("patient", &Identity { patient_id: Some(patient), ..Identity::default() });
    // A hospital defines the role of its auditors itself.
    let auditor = Identity { reads: Read::AuditLogs.to_string(), ..Identity::default() };
    let auditor = Reader::with("auditor", auditor);
    let (visit, result) = (about.consultation(), about.lab_result());
    // Everybody: what came to them, and the reports that they asked for.
    let of_everybody = [&reception, &doctor, &nurse, &pharmacist, &laboratory].into_iter().flat_map(|it| {
        [
            it.list("notifications", format!("notification_recipients?recipient_id={provider}&sort=-created_at")),
            it.list("reports", format!("report_executions?requested_by={provider}&sort=-queued_at")),
        ]
    });
    vec![
        // Reception: who comes, and who is on the telephone.
        reception.list(
            "department's day",
            format!("appointments?department_id={department}&scheduled_date={today}&sort=starts_at"),
        ),
        reception.list("what is scheduled", "appointments?status=scheduled&sort=starts_at"),
        reception.list("newest appointments", "appointments?sort=-starts_at"),
        reception.list("patient's appointments", format!("appointments?patient_id={patient}&sort=-starts_at")),
        reception.list("patient's series", format!("appointment_series?patient_id={patient}&sort=-first_day")),
        reception.list("leave of a provider", format!("provider_leaves?provider_id={provider}&sort=-starts_at")),
        reception.list("who will be away", format!("provider_leaves?starts_at_from={today}&sort=starts_at")),
        reception.list("who waits", "waitlist_entries?status=waiting&sort=joined_at"),
        reception.list("what is offered", "waitlist_entries?status=offered&sort=offer_expires_at"),
        reception.list(
            "who waits in a department",
            format!("waitlist_entries?department_id={department}&status=waiting&sort=joined_at"),
        ),
        reception.list("for what a patient waits", format!("waitlist_entries?patient_id={patient}&sort=joined_at")),
        reception.list(
            "notes of a visit",
            format!("appointment_notes?appointment_id={}&sort=created_at", about.noted_appointment()),
        ),
        reception.list("patients by name", format!("patients?last_name={family}&sort=last_name")),
        reception.list("patients in order", "patients?sort=last_name"),
        reception.list("patients by text", format!("patients?q={given} {family}")),
        reception.list("patient by phone", format!("patients?phone_primary={}", about.phone())),
        reception.list("patients by birth", format!("patients?date_of_birth={}", about.date_of_birth())),
        reception.list("insurance policies", format!("insurance_policies?patient_id={patient}")),
        reception.list("emergency contacts", format!("emergency_contacts?patient_id={patient}")),
        // Reception: what is charged, due and paid.
        reception.list("bills", format!("billing_records?patient_id={patient}&sort=-created_at")),
        reception.list("what is due", "billing_records?status=billed&sort=due_date"),
        reception.list("lines of a bill", format!("billing_items?billing_record_id={bill}")),
        reception.list("payments of a bill", format!("billing_payments?billing_record_id={bill}&sort=received_at")),
        reception
            .list("adjustments of a bill", format!("billing_adjustments?billing_record_id={bill}&sort=adjusted_at")),
        reception.list("prices of a service", "price_list_items?code=SERVICE-7&sort=-effective_from"),
        reception.list("lines without a price", "billing_items?status=planned&sort=service_date"),
        reception.list("claims of a bill", format!("insurance_claims?billing_record_id={bill}")),
        reception.list("claims without an answer", "insurance_claims?status=accepted&sort=submitted_at"),
        reception.list("answers to a claim", format!("claim_payments?insurance_claim_id={}", about.insurance_claim())),
        // A doctor: the day, and the patient who sits there.
        doctor.list("my appointments", format!("appointments?provider_id={provider}&sort=starts_at")),
        doctor.list("from today", format!("appointments?provider_id={provider}&starts_at_from={today}&sort=starts_at")),
        doctor.list("who waits", format!("appointments?provider_id={provider}&status=checked_in&sort=starts_at")),
        doctor.list(
            "open consultations",
            format!("consultations?provider_id={provider}&status=in_progress&sort=-started_at"),
        ),
        doctor.list("patient", format!("patients?id={patient}")),
        doctor.list("consultations", format!("consultations?patient_id={patient}&sort=-started_at")),
        doctor.list("consultations by text", format!("consultations?patient_id={patient}&q=bronchitis")),
        doctor.list("steps of a visit", format!("consultation_steps?consultation_id={visit}&sort=step_number")),
        doctor.list("symptoms of a visit", format!("symptoms?consultation_id={visit}")),
        doctor.list("amendments of a visit", format!("consultation_amendments?consultation_id={visit}&sort=number")),
        doctor.list("diagnoses", format!("diagnoses?patient_id={patient}&sort=-diagnosed_at")),
        doctor.list("active diagnoses", format!("diagnoses?patient_id={patient}&clinical_status=active")),
        doctor.list("treatments", format!("treatments?patient_id={patient}&sort=-created_at")),
        doctor.list("products by text", "medications?q=c0f"),
        doctor.list("vital signs", format!("vital_signs?patient_id={patient}&sort=-recorded_at")),
        doctor.list("prescriptions", format!("prescriptions?patient_id={patient}&sort=-created_at")),
        doctor.list("allergies", format!("patient_allergies?patient_id={patient}&is_active=true")),
        doctor.list("medical history", format!("medical_history?patient_id={patient}")),
        doctor.list("immunizations", format!("medical_history?patient_id={patient}&history_type=immunization")),
        doctor.list("laboratory orders", format!("lab_orders?patient_id={patient}&sort=-created_at")),
        doctor.list("laboratory results", format!("lab_results?patient_id={patient}&sort=-performed_at")),
        doctor.list("values of a result", format!("lab_result_components?lab_result_id={result}")),
        doctor.list("critical values", "lab_results?status=critical&sort=critical_raised_at"),
        doctor.list("medications", format!("patient_medications?patient_id={patient}&status=active")),
        // A nurse: the patients of the department.
        nurse.list("my patients", "patients?sort=last_name"),
        nurse.list("patient", format!("patients?id={assigned}")),
        nurse.list("steps", format!("consultation_steps?patient_id={assigned}")),
        nurse.list("symptoms", format!("symptoms?patient_id={assigned}&sort=-recorded_at")),
        nurse.list("diagnoses", format!("diagnoses?patient_id={assigned}&sort=-diagnosed_at")),
        nurse.list("treatments", format!("treatments?patient_id={assigned}&sort=-created_at")),
        nurse.list("amendments", format!("consultation_amendments?patient_id={assigned}")),
        nurse.list("laboratory values", format!("lab_result_components?patient_id={assigned}&sort=component_code")),
        nurse.list("department's day", format!("appointments?scheduled_date={today}&sort=starts_at")),
        nurse.list(
            "notes of a visit",
            format!("appointment_notes?appointment_id={}&sort=created_at", about.noted_appointment()),
        ),
        nurse.list("vital signs", format!("vital_signs?patient_id={assigned}&sort=-recorded_at")),
        nurse.list("allergies", format!("patient_allergies?patient_id={assigned}")),
        nurse.list("medical history", format!("medical_history?patient_id={assigned}")),
        nurse.list("medications", format!("patient_medications?patient_id={assigned}")),
        // A pharmacist: what is to be dispensed, to whom, from which lot.
        pharmacist.list("what was sent", "prescriptions?status=sent_to_pharmacy&sort=created_at"),
        pharmacist.list("items", format!("prescription_items?prescription_id={}", about.prescription())),
        pharmacist.list("alerts", format!("prescription_alerts?prescription_id={}", about.prescription())),
        pharmacist.list("interactions", "drug_interactions?ingredient_a=1000017&ingredient_b=2000017"),
        pharmacist.list("patient", format!("patients?id={patient}")),
        pharmacist.list("allergies", format!("patient_allergies?patient_id={patient}")),
        pharmacist.list("medications", format!("patient_medications?patient_id={patient}")),
        pharmacist.list(
            "lots by expiry",
            format!("medication_inventory?medication_id={}&sort=expiry_date", about.medication()),
        ),
        // The laboratory: what is to be collected, what arrives, what is to be done, and for whom.
        laboratory.list("what is ordered", "lab_orders?status=ordered&sort=created_at"),
        laboratory.list("what is under way", "lab_orders?status=in_progress&sort=created_at"),
        laboratory.list("specimens on the way", "specimens?status=collected&sort=collected_at"),
        laboratory.list("items to collect", "lab_order_items?status=ordered&sort=created_at"),
        laboratory.list("items", format!("lab_order_items?lab_order_id={}", about.lab_order())),
        laboratory.list("specimens", format!("specimens?lab_order_id={}&sort=collected_at", about.lab_order())),
        laboratory.list("patient", format!("patients?id={patient}")),
        laboratory.list("results of an order", format!("lab_results?lab_order_id={}", about.lab_order())),
        laboratory.list("tests by text", "lab_tests?q=a1"),
        nurse.list("articles", "inventory_items?category=dressing&sort=name"),
        nurse.list("what a room holds", format!("inventory_levels?location_id={}", about.room())),
        pharmacist.list("what is to be ordered", "inventory_items?sort=reorder_flagged_at"),
        pharmacist.list(
            "ledger of a lot",
            format!("inventory_transactions?medication_inventory_id={}&sort=-performed_at", about.lot()),
        ),
        pharmacist.list(
            "ledger of an article",
            format!("inventory_transactions?inventory_item_id={}&sort=-performed_at", about.article()),
        ),
        // An auditor: who did what to whom.
        auditor.list("newest first", "audit_logs?sort=-timestamp"),
        auditor.list("end of the log", "audit_logs?sort=-position"),
        auditor.list("by user", format!("audit_logs?user_id={provider}&sort=-timestamp")),
        auditor.list("by patient", format!("audit_logs?patient_id={patient}&sort=-timestamp")),
        auditor.list("by action", "audit_logs?action=record.read&sort=-timestamp"),
        auditor.list(
            "by resource",
            format!("audit_logs?resource_type=appointment&resource_id={}&sort=-timestamp", about.appointment()),
        ),
        // A patient: what row-level security leaves of everything.
        own.list("data", "patients"),
        own.list("appointments", "appointments?sort=-starts_at"),
        own.list("notes", "appointment_notes?sort=-created_at"),
        own.list("waiting list", "waitlist_entries?sort=joined_at"),
        own.list("consultations", "consultations?sort=-started_at"),
        own.list("vital signs", "vital_signs?sort=-recorded_at"),
        own.list("prescriptions", "prescriptions?sort=-created_at"),
        own.list("laboratory orders", "lab_orders?sort=-created_at"),
        own.list("laboratory results", "lab_results?sort=-performed_at"),
        own.list("laboratory values", "lab_result_components?sort=component_code"),
        own.list("diagnoses", "diagnoses?sort=-diagnosed_at"),
        own.list("treatments", "treatments?sort=-created_at"),
        own.list("allergies", "patient_allergies"),
        own.list("insurance policies", "insurance_policies"),
        own.list("bills", "billing_records?sort=-created_at"),
        own.list("lines of the bills", "billing_items?sort=-service_date"),
        own.list("payments", "billing_payments?sort=-received_at"),
        own.list("notifications", format!("notification_recipients?patient_id={patient}&sort=-created_at")),
        own.list("claims", "insurance_claims?sort=-created_at"),
        own.list("emergency contacts", "emergency_contacts"),
        own.list("medical history", "medical_history"),
        own.list("medications", "patient_medications"),
    ]
    .into_iter()
    .chain(of_everybody)
    .collect()
}
