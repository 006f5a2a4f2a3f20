//! What each command does on each status of its record, of every record that has a status.

use hims_domain::Shape;
use hims_domain::appointment::{self, Appointment};
use hims_domain::billing_record::{self, BillingRecord};
use hims_domain::consultation::{self, Consultation};
use hims_domain::insurance_claim::{self, InsuranceClaim};
use hims_domain::insurance_policy::{self, InsurancePolicy};
use hims_domain::lab_order::{self, LabOrder};
use hims_domain::lab_result::{self, LabResult};
use hims_domain::medical_history::{self, MedicalHistory};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::prescription::{self, Prescription};
use hims_domain::report_execution::{self, ReportExecution};
use hims_domain::report_schedule::{self, ReportSchedule};
use hims_domain::room::{Room, RoomStatus};
use hims_domain::treatment::{self, Treatment};
use hims_domain::vital_signs::{self, VitalSigns};
use hims_domain::waitlist_entry::{self, WaitlistEntry};
use hims_testing::sample;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::testing::alone::{Decided, least};

/// The statuses of an aggregate, in the order of its life.
struct Machine<'a> {
    /// The event that begins a stream, whose golden file is named.
    first: &'a str,
    /// Where the state has the status: JSON pointers.
    places: &'a [&'a str],
    statuses: &'a [&'a str],
}

/// Whether a command begins a stream, so that no status is there before it.
fn begins(shape: &Shape) -> bool {
    matches!(shape, Shape::Object(fields) if fields.iter().any(|it| it.name == "id"))
}

impl Machine<'_> {
    /// The table of an aggregate: a line for each command, with what comes of it on each status.
    fn table<A: Aggregate + Serialize + DeserializeOwned>(&self) -> String {
        let registry = Registry::hospital();
        let first = A::evolve(None, &sample::<A>(self.first)).unwrap();
        let state = |status: &str| -> A {
            let mut state = json!(first);
            for place in self.places {
                *state.pointer_mut(place).unwrap() = json!(status);
            }
            serde_json::from_value(state).unwrap()
        };
        let line = |name: &str, cells: &[String]| {
            let cells = cells.iter().map(|it| format!("{it:<18}")).collect::<Vec<_>>().join(" ");
            format!("{name:<40} {cells}").trim_end().to_owned() + "\n"
        };
        let mut table = line(A::STREAM, &self.statuses.iter().map(ToString::to_string).collect::<Vec<_>>());
        for command in registry.iter().filter(|it| it.stream_type == A::STREAM && !begins(&it.shape)) {
            let name = command.name;
            let on = |status: &&str| {
                let state = state(status);
                let decided = (command.decided)(&state, least(&command.shape));
                (decided, Registry::following(&state).contains(&name))
            };
            let row: Vec<_> = self.statuses.iter().map(on).collect();
            let demands_a_status = row.iter().any(|(decided, _)| *decided == Decided::WrongStatus);
            for (status, (decided, follows)) in self.statuses.iter().zip(&row) {
                assert!(!follows || *decided != Decided::WrongStatus, "{name} does not follow on {status}");
                let is_done = demands_a_status && *decided == Decided::Recorded;
                assert!(*follows || !is_done, "{name} follows on {status}, and does not say so");
            }
            table += &line(name, &row.iter().map(|it| it.0.to_string()).collect::<Vec<_>>());
        }
        table
    }
}

#[test]
fn each_command_on_each_status() {
    let mut tables = String::new();
    let mut add = |table: String| {
        tables += &table;
        tables.push('\n');
    };
    macro_rules! machine {
        ($aggregate:ident from $first:literal at $($place:literal),+: $statuses:expr) => {
            add(Machine { first: $first, places: &[$($place),+], statuses: $statuses }.table::<$aggregate>())
        };
    }
    machine!(Appointment from "scheduled" at "/status": appointment::Status::CODES);
    machine!(BillingRecord from "opened" at "/standing/status", "/phase": billing_record::Status::CODES);
    machine!(Consultation from "started" at "/status": consultation::Status::CODES);
    machine!(InsuranceClaim from "created" at "/status": insurance_claim::Status::CODES);
    machine!(InsurancePolicy from "added" at "/status": insurance_policy::Status::CODES);
    machine!(LabOrder from "placed" at "/status": lab_order::Status::CODES);
    machine!(LabResult from "recorded" at "/result_status": lab_result::ResultStatus::CODES);
    machine!(MedicalHistory from "recorded" at "/status": medical_history::Status::CODES);
    machine!(MedicationLot from "received" at "/status": medication_lot::Status::CODES);
    machine!(Prescription from "written" at "/status": prescription::Status::CODES);
    machine!(ReportExecution from "queued" at "/status": report_execution::Status::CODES);
    machine!(ReportSchedule from "scheduled" at "/status": report_schedule::Status::CODES);
    machine!(Room from "added" at "/status": RoomStatus::CODES);
    machine!(Treatment from "planned" at "/status": treatment::Status::CODES);
    machine!(VitalSigns from "recorded" at "/status": vital_signs::Status::CODES);
    machine!(WaitlistEntry from "joined" at "/status": waitlist_entry::Status::CODES);
    insta::assert_snapshot!(tables);
}
