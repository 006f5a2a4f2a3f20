//! What each command does on each status of its record, or of the part of a record that it names.

use hims_domain::amendment_request::{self, AmendmentRequest};
use hims_domain::appointment::{self, Appointment};
use hims_domain::billing_record::{self, BillingRecord};
use hims_domain::consultation::{self, Consultation, RecordStatus, StepStatus, VerificationStatus};
use hims_domain::insurance_claim::{self, InsuranceClaim};
use hims_domain::insurance_policy::{self, InsurancePolicy};
use hims_domain::lab_order::{self, ItemStatus, LabOrder, SpecimenStatus};
use hims_domain::lab_result::{self, LabResult};
use hims_domain::medical_history::{self, MedicalHistory};
use hims_domain::medication_list::{self, MedicationList};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::notification::{self, Notification};
use hims_domain::prescription::{self, Prescription};
use hims_domain::report_execution::{self, ReportExecution};
use hims_domain::report_schedule::{self, ReportSchedule};
use hims_domain::room::{Room, RoomStatus};
use hims_domain::treatment::{self, Treatment};
use hims_domain::vital_signs::{self, VitalSigns};
use hims_domain::waitlist_entry::{self, WaitlistEntry};
use hims_domain::{Shape, fold};
use hims_testing::{patched, sample};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::testing::alone::{Alone, Decided, least};
use crate::testing::samples::{DOCTOR, OTHER_BILL, OTHER_DOCTOR, OTHER_ROOM};

/// The statuses of a record or of its parts, in the order of their life, and the commands whose table is made.
struct Machine<'a, A> {
    /// The record or the part, as the table names it.
    name: &'a str,
    statuses: &'a [&'a str],
    /// The record that has a status, or whose part has it.
    state: Box<dyn Fn(&str) -> A + 'a>,
    /// The field with which commands name the part; `None` for the record itself.
    part: Option<&'a str>,
    /// The fields of parts that have tables of their own, so that their commands are left out.
    elsewhere: &'a [&'a str],
    /// What requests say besides the least, where they have the field.
    saying: Value,
    /// What the requests of single commands say besides, by the name of the command.
    saying_in: Value,
    alone: Alone,
}

/// The tables that have been written, and what is wrong in them.
#[derive(Default)]
struct Tables {
    text: String,
    faults: Vec<String>,
}

/// Commands some of whose requests follow on a status that forbids others: in a consultation that was cancelled, a
/// diagnosis can be marked as entered in error, and nothing else of it can be changed.
const FOLLOWS_IN_PART: [&str; 1] = ["change-diagnosis"];

/// Whether a command begins a stream, so that no status is there before it.
fn begins(shape: &Shape) -> bool {
    matches!(shape, Shape::Object(fields) if fields.iter().any(|it| it.name == "id"))
}

/// Whether a request must name an id in a field with this name.
fn names(shape: &Shape, field: &str) -> bool {
    match shape {
        Shape::Object(fields) => {
            let is_named = |it: &hims_domain::Field| it.name == field && matches!(it.shape, Shape::Id { .. });
            fields.iter().any(|it| is_named(it) || names(&it.shape, field))
        }
        Shape::List(of) => names(of, field),
        _ => false,
    }
}

/// The record after events, whose golden files are named.
fn after<A: Aggregate>(events: &[&str]) -> A {
    let events: Vec<A::Event> = events.iter().map(|name| sample::<A>(name)).collect();
    fold::<A>(&events).unwrap()
}

/// A record with other values in some places.
fn with<A: Serialize + DeserializeOwned>(state: &A, changes: &[(&str, Value)]) -> A {
    let mut state = json!(state);
    for (place, value) in changes {
        *state.pointer_mut(place).unwrap_or_else(|| panic!("there is no {place}")) = value.clone();
    }
    serde_json::from_value(state).unwrap()
}

impl<'a, A: Aggregate + Serialize + DeserializeOwned> Machine<'a, A> {
    fn new(name: &'a str, statuses: &'a [&'a str], state: impl Fn(&str) -> A + 'a) -> Self {
        let (saying, saying_in, alone) = (json!({}), json!({}), Alone::default().by(DOCTOR));
        Self { name, statuses, state: Box::new(state), part: None, elsewhere: &[], saying, saying_in, alone }
    }

    /// A record, in whose state the status stands in these places, after events whose golden files are named.
    fn of(events: &'a [&'a str], places: &'a [&'a str], statuses: &'a [&'a str]) -> Self {
        let state = move |status: &str| {
            with(&after::<A>(events), &places.iter().map(|place| (*place, json!(status))).collect::<Vec<_>>())
        };
        Self::new(A::STREAM, statuses, state)
    }

    /// A part of the record, which commands name in a field.
    fn part(self, name: &'a str, field: &'a str, id: u128) -> Self {
        let saying = json!({ field: Uuid::from_u128(id) });
        Self { name, part: Some(field), saying, ..self }
    }

    /// The requests of a command say more than the least.
    fn saying_in(mut self, command: &str, more: Value) -> Self {
        self.saying_in[command] = more;
        self
    }

    /// The least request of a command, with what is said besides.
    fn request(&self, name: &str, shape: &Shape) -> Value {
        let mut body = least(shape);
        for (field, value) in self.saying.as_object().into_iter().flatten() {
            if body.get(field).is_some() {
                body[field] = value.clone();
            }
        }
        patched(body, self.saying_in.get(name).cloned().unwrap_or_else(|| json!({})))
    }

    /// Writes the table: a line for each command, with what comes of it on each status.
    fn table(&self, to: &mut Tables) {
        let registry = Registry::hospital();
        let line = |name: &str, cells: &[String]| {
            let cells = cells.iter().map(|it| format!("{it:<18}")).collect::<Vec<_>>().join(" ");
            format!("{name:<40} {cells}").trim_end().to_owned() + "\n"
        };
        to.text += &line(self.name, &self.statuses.iter().map(ToString::to_string).collect::<Vec<_>>());
        let is_here = |shape: &Shape| {
            !begins(shape)
                && self.part.is_none_or(|part| names(shape, part))
                && !self.elsewhere.iter().any(|part| names(shape, part))
        };
        for command in registry.iter().filter(|it| it.stream_type == A::STREAM && is_here(&it.shape)) {
            let name = command.name;
            let on = |status: &&str| {
                let state = (self.state)(status);
                let decided = (command.decided)(&state, self.request(name, &command.shape), &self.alone);
                (decided, Registry::following(&state).contains(&name))
            };
            let row: Vec<_> = self.statuses.iter().map(on).collect();
            let demands_a_status = row.iter().any(|(decided, _)| *decided == Decided::WrongStatus);
            // Another part may be in another status, and another request may be possible.
            let may_follow = self.part.is_some() || FOLLOWS_IN_PART.contains(&name);
            for (status, (decided, follows)) in self.statuses.iter().zip(&row) {
                if *follows && !may_follow && *decided == Decided::WrongStatus {
                    to.faults.push(format!("{name} does not follow on {status}, and says that it does"));
                }
                if !follows && demands_a_status && *decided == Decided::Recorded {
                    to.faults.push(format!("{name} follows on {status}, and does not say so"));
                }
            }
            // A row with the same refusal everywhere, which is not about the status, shows nothing of the status.
            if row.iter().all(|(it, _)| matches!(it, Decided::Refused(_)) && *it == row[0].0) {
                to.faults.push(format!("{name} is {} on every {}, whatever its status", row[0].0, self.name));
            }
            to.text += &line(name, &row.iter().map(|it| it.0.to_string()).collect::<Vec<_>>());
        }
        to.text.push('\n');
    }
}

fn appointments_and_charts(to: &mut Tables) {
    Machine::<Appointment>::of(&["scheduled"], &["/status"], appointment::Status::CODES).table(to);
    let events = ["started", "symptom_recorded", "diagnosis_recorded"];
    let noted = json!({"diagnosis_id": Uuid::from_u128(0x71), "notes": "seen again", "reason": "a slip of the pen"});
    let mut of_consultation = Machine::<Consultation>::of(&events, &["/status"], consultation::Status::CODES);
    of_consultation.saying = json!({"symptom_id": Uuid::from_u128(0x61), "step_id": Uuid::from_u128(0x51)});
    of_consultation.saying_in("change-diagnosis", noted.clone()).table(to);
    let step = Machine::<Consultation>::of(&events, &["/steps/0/status"], StepStatus::CODES);
    step.part("consultation step", "step_id", 0x51).table(to);
    let place = format!("/symptoms/{}", Uuid::from_u128(0x61));
    let places = [place.as_str()];
    let symptom = Machine::<Consultation>::of(&events, &places, RecordStatus::CODES);
    symptom.part("symptom", "symptom_id", 0x61).table(to);
    let place = |field: &str| format!("/diagnoses/{}/diagnosis/{field}", Uuid::from_u128(0x71));
    let diagnosed = |status: &str| {
        let clinical = if status == "entered_in_error" { Value::Null } else { json!("active") };
        let changes = [(&*place("verification_status"), json!(status)), (&*place("clinical_status"), clinical)];
        with(&after::<Consultation>(&events), &changes)
    };
    let diagnosis = Machine::new("", VerificationStatus::CODES, diagnosed).part("diagnosis", "diagnosis_id", 0x71);
    diagnosis.saying_in("change-diagnosis", noted).table(to);
    Machine::<AmendmentRequest>::of(&["requested"], &["/status"], amendment_request::Status::CODES).table(to);
    Machine::<MedicalHistory>::of(&["recorded"], &["/status"], medical_history::Status::CODES).table(to);
    let place = format!("/entries/{}/status", Uuid::from_u128(0x33));
    let places = [place.as_str()];
    let entry = Machine::<MedicationList>::of(&["added"], &places, medication_list::Status::CODES);
    let decision =
        json!({"decisions": [{"entry_id": Uuid::from_u128(0x33), "action": "hold", "reason": "an operation"}]});
    let entry = entry.part("medication list entry", "entry_id", 0x33);
    entry
        .saying_in("reconcile-medication-list", decision)
        .saying_in("change-patient-medication", json!({"frequency": "once a day"}))
        .table(to);
    Machine::<Room>::of(&["added"], &["/status"], RoomStatus::CODES).table(to);
    Machine::<Treatment>::of(&["planned"], &["/status"], treatment::Status::CODES).table(to);
    Machine::<VitalSigns>::of(&["recorded"], &["/status"], vital_signs::Status::CODES).table(to);
    let waiting = |status: &str| {
        let events: &[&str] = if status == "offered" { &["joined", "offered"] } else { &["joined"] };
        with(&after::<WaitlistEntry>(events), &[("/status", json!(status))])
    };
    Machine::new(WaitlistEntry::STREAM, waitlist_entry::Status::CODES, waiting).table(to);
}

fn money(to: &mut Tables) {
    let billed = |status: &str| {
        let credit = ("/standing/credit_amount", json!("1.00"));
        let changes = [("/standing/status", json!(status)), ("/phase", json!(status)), credit];
        with(&after::<BillingRecord>(&["opened"]), &changes)
    };
    let mut bill = Machine::new(BillingRecord::STREAM, billing_record::Status::CODES, billed);
    // The other record owes something, so that it can be given the credit of the one.
    let owing = with(&after::<BillingRecord>(&["opened"]), &[("/standing/total_amount", json!("100.00"))]);
    bill.alone = bill.alone.knowing(OTHER_BILL, owing);
    bill.saying = json!({"to": OTHER_BILL});
    bill.table(to);
    let bill = hims_domain::BillingRecordId(Uuid::from_u128(0x60));
    let claimed = |status: &str| {
        let is_answered = ["paid", "partially_paid", "denied", "appealed"].contains(&status);
        let events: &[&str] = if is_answered { &["created", "payment_recorded"] } else { &["created"] };
        with(&after::<InsuranceClaim>(events), &[("/status", json!(status))])
    };
    let mut claim = Machine::new(InsuranceClaim::STREAM, insurance_claim::Status::CODES, claimed);
    claim.alone = claim.alone.knowing(bill, after::<BillingRecord>(&["opened"]));
    claim.saying = json!({"payment_id": Uuid::from_u128(0x64)});
    claim.table(to);
    Machine::<InsurancePolicy>::of(&["added"], &["/status"], insurance_policy::Status::CODES).table(to);
}

fn laboratory(to: &mut Tables) {
    let mut order = Machine::<LabOrder>::of(&["placed"], &["/status"], lab_order::Status::CODES);
    order.elsewhere = &["item_id", "specimen_id"];
    order.table(to);
    let item = |status: &str| {
        let changes = [
            ("/items/0/status", json!(status)),
            ("/items/0/is_final", json!(status == "resulted")),
            ("/items/0/is_cancelled", json!(status == "cancelled")),
        ];
        with(&after::<LabOrder>(&["placed"]), &changes)
    };
    Machine::new("", ItemStatus::CODES, item).part("lab order item", "item_id", 0x91).table(to);
    let place = format!("/specimens/{}/status", Uuid::from_u128(0xa1));
    let places = [place.as_str()];
    let specimen = Machine::<LabOrder>::of(&["placed", "specimen_collected"], &places, SpecimenStatus::CODES);
    specimen.part("specimen", "specimen_id", 0xa1).table(to);
    let by_code = Machine::<LabResult>::of(&["recorded"], &["/result_status"], lab_result::ResultStatus::CODES);
    Machine { name: "lab_result, by result_status", ..by_code }.table(to);
    let result = |status: &str| {
        let events: &[&str] = if status == "critical" { &["recorded", "critical_raised"] } else { &["recorded"] };
        let code = match status {
            "pending" => "W",
            "in_progress" => "P",
            _ => "F",
        };
        let changes = [("/result_status", json!(code)), ("/is_reviewed", json!(status == "reviewed"))];
        let result = with(&after::<LabResult>(events), &changes);
        assert_eq!(result.status().as_str(), status);
        result
    };
    Machine::new("lab_result, by status", lab_result::Status::CODES, result).table(to);
}

fn pharmacy(to: &mut Tables) {
    let mut lot = Machine::<MedicationLot>::of(&["received"], &["/status"], medication_lot::Status::CODES);
    lot.elsewhere = &["change_id"];
    lot.alone = lot.alone.knowing(OTHER_ROOM, after::<Room>(&["added"]));
    lot.saying = json!({"to_location_id": OTHER_ROOM});
    lot.table(to);
    let change = |status: &str| {
        let lot = after::<MedicationLot>(&["received", "change_requested"]);
        let expires_at = format!("/pending/{}/expires_at", Uuid::from_u128(0x91));
        match status {
            "requested" => lot,
            "expired" => with(&lot, &[(&*expires_at, json!(crate::testing::now()))]),
            _ => with(&lot, &[("/pending", json!({}))]),
        }
    };
    let statuses = ["requested", "expired", "witnessed or rejected"];
    let mut change = Machine::new("", &statuses, change).part("lot change", "change_id", 0x91);
    change.alone = change.alone.by(OTHER_DOCTOR).knowing(OTHER_DOCTOR, after::<User>(&["created"]));
    change.table(to);
    let written = |status: &str| {
        let is_given = status == "dispensed";
        let events: &[&str] = if is_given { &["written", "dispensed"] } else { &["written"] };
        let written = with(&after::<Prescription>(events), &[("/status", json!(status))]);
        // What was dispensed came from elsewhere, so that no lot needs to be known.
        if is_given { with(&written, &[("/given/0/lot_id", Value::Null)]) } else { written }
    };
    Machine::new(Prescription::STREAM, prescription::Status::CODES, written).table(to);
}

fn notices_and_reports(to: &mut Tables) {
    // The fourth recipient is the caller, by e-mail.
    let sent = |status: &str| {
        let created = after::<Notification>(&["created"]);
        let mut delivery = json!(created)["deliveries"][3].clone();
        delivery["status"] = json!(status);
        delivery["attempts"] = json!(1);
        with(&created, &[("/deliveries", json!([delivery]))])
    };
    let mut recipient = Machine::new("notification recipient", notification::Status::CODES, sent);
    recipient.saying = json!({"recipient_id": Uuid::from_u128(0x84)});
    recipient.table(to);
    Machine::<ReportExecution>::of(&["queued"], &["/status"], report_execution::Status::CODES).table(to);
    Machine::<ReportSchedule>::of(&["scheduled"], &["/status"], report_schedule::Status::CODES).table(to);
}

#[test]
fn each_command_on_each_status() {
    let mut tables = Tables::default();
    for write in [appointments_and_charts, money, laboratory, pharmacy, notices_and_reports] {
        write(&mut tables);
    }
    assert!(tables.faults.is_empty(), "{:#?}", tables.faults);
    insta::assert_snapshot!(tables.text.trim_end());
}
