//! The payers of the demo, and the policies of its patients.

use hims_commands::insurance_policy::{AddInsurancePolicy, VerifyInsurancePolicy};
use hims_commands::payer::AddPayer;
use serde_json::json;

use super::{PATIENT, id};
use crate::{Hospital, HospitalError};

const PAYER: u16 = 0x20;
const POLICY: u16 = 0x21;

/// The payers: code, name, id in electronic claims, kind of insurance in claims, days in which claims are taken.
const PAYERS: [(&str, &str, &str, &str, i32); 3] = [
    ("MEDICARE", "Medicare", "00831", "MB", 365),
    ("AETNA", "Aetna", "60054", "CI", 90),
    ("CIGNA", "Cigna Health", "62308", "CI", 90),
];

/// The policies: number of the patient, number of the payer, priority, plan, relationship to the subscriber, whether
/// somebody has verified the policy.
const POLICIES: [(u128, u128, i32, &str, &str, bool); 5] = [
    (1, 2, 1, "Open Access", "self", true),
    (3, 1, 1, "Part B", "self", true),
    (3, 3, 2, "Supplement", "self", true),
    (5, 3, 1, "Family", "child", true),
    (7, 2, 1, "Student", "self", false),
];

impl Hospital {
    /// Fills an empty log with the made-up hospital. Does nothing if the log holds the complete demo already.
    ///
    /// # Errors
    /// When the log holds events of another hospital, or does not answer.
    pub async fn fill_with_demo(&self) -> Result<(), HospitalError> {
        if self.executor.load::<Appointment>(id(APPOINTMENT, LAST_APPOINTMENT), true).await?.version > 0 {
            return Ok(());
        }
        // An interrupted demo is completed. A log that holds any other event is left as it is.
        let begun = self.store.read(0, 1_000).await?;
        let is_ours = |event: &Recorded| {
            event.circumstances().is_ok_and(|circumstances| match circumstances.actor {
                Actor::System { name } => name == "demo" || (name == "set-up" && event.stream_type == Role::STREAM),
                Actor::User { .. } => false,
            })
        };
        if !begun.iter().all(is_ours) {
            return Err(HospitalError::NotEmpty);
        }
        self.define_roles().await?;
        self.places().await?;
        self.staff().await?;
        self.patients().await?;
        self.merged().await?;
        self.insurance().await?;
        self.pharmacy().await?;
        self.charts().await?;
        self.schedules().await?;
        self.appointments().await
    }

    /// Carries out a command, given as its request body.
    async fn demo<C: Command>(&self, body: Value) -> Result<(), HospitalError> {
        let command: C = serde_json::from_value(body).map_err(|error| {
            hims_event_store::StoreError::Unavailable(format!("the demo's command {} is malformed: {error}", C::NAME))
        })?;
        self.once(command).await
    }

    /// Carries out a command. The refusal of a command that an earlier run carried out already is no error.
    async fn once<C: Command>(&self, command: C) -> Result<(), HospitalError> {
        match self.executor.execute_unless_refused(command, Request::of(Caller::system("demo"))).await {
            Ok(_) | Err(Failure::Refused(Refused { code: "already-exists" | "double-booking", .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn places(&self) -> Result<(), HospitalError> {
        for (number, code, name) in [(1, "MED", "Internal medicine"), (2, "PHA", "Pharmacy"), (3, "LAB", "Laboratory")]
        {
            self.demo::<OpenDepartment>(json!({
                "id": id(DEPARTMENT, number), "code": code, "name": name, "time_zone": "America/New_York",
                "phone": format!("+1212555010{number}"),
            }))
            .await?;
        }
        for (number, department, room, kind) in [(1, 1, "101", "exam"), (2, 1, "102", "exam"), (3, 2, "P1", "pharmacy")]
        {
            self.demo::<AddRoom>(json!({
                "id": id(ROOM, number), "department_id": id(DEPARTMENT, department), "room_number": room,
                "room_type": kind,
            }))
            .await?;
        }
        Ok(())
    }

    async fn staff(&self) -> Result<(), HospitalError> {
        let created = STAFF.iter().map(|(number, login, role, first, last)| {
            let command = serde_json::from_value::<CreateUser>(json!({
                "id": id(USER, *number), "email": format!("{login}@demo.hims"), "first_name": first,
                "last_name": last, "role_id": role_id(role), "password": NewPassword::new(PASSWORD),
            }));
            async move {
                let command = command.map_err(|error| {
                    hims_event_store::StoreError::Unavailable(format!("the demo's staff is malformed: {error}"))
                })?;
                self.once(command).await
            }
        });
        // The users are created one after the other, so that the log of a demo is the same every time.
        for creating in created {
            creating.await?;
        }
        for (number, department) in [(2, 1), (3, 1), (4, 1), (5, 2), (6, 3)] {
            self.demo::<ChangeUserDepartment>(json!({
                "user_id": id(USER, number), "department_id": id(DEPARTMENT, department),
            }))
            .await?;
        }
        Ok(())
    }

    async fn patients(&self) -> Result<(), HospitalError> {
        for (number, (first, last, born, gender)) in (1..).zip(PATIENTS) {
            self.demo::<RegisterPatient>(json!({
                "id": id(PATIENT, number), "first_name": first, "last_name": last, "date_of_birth": born,
                "gender": gender, "ssn": format!("123-45-{number:04}"), "phone_primary": format!("+121255502{number:02}"),
                "address_line_1": format!("{number} Example Street"), "city": "New York", "state": "NY",
                "postal_code": "10001", "preferred_language": "en",
            }))
            .await?;
        }
        let reactions = BTreeMap::from([
            (1, ("Penicillin", "severe", "Hives")),
            (3, ("Peanut", "life_threatening", "Anaphylaxis")),
        ]);
        for (number, (allergen, severity, reaction)) in reactions {
            let kind = if allergen == "Peanut" { "food" } else { "drug" };
            self.demo::<RecordAllergy>(json!({
                "patient_id": id(PATIENT, number), "allergy_id": id(ALLERGY, number), "allergen_type": kind, "allergen_name": allergen,
                "severity": severity, "reaction_description": reaction, "reported_by": id(USER, 3),
            }))
            .await?;
        }
        self.demo::<LinkUserToPatient>(json!({"user_id": id(USER, 7), "patient_id": id(PATIENT, 1)})).await
    }

    /// Registers a patient a second time, in another spelling, and merges the second record into the first.
    async fn merged(&self) -> Result<(), HospitalError> {
        let (duplicate, survivor) = (id(PATIENT, DUPLICATE), id(PATIENT, 4));
        self.demo::<RegisterPatient>(json!({
            "id": duplicate, "first_name": "Juergen", "last_name": "Weiss", "date_of_birth": "1949-01-17",
            "gender": "male", "phone_primary": "+12125550204", "confirm_not_duplicate": true,
        }))
        .await?;
        let mrn = async |patient| {
            let state = self.executor.load::<Patient>(patient, true).await?.state;
            let known = state.and_then(|it| it.mrn.known().map(|it| it.0.clone()));
            Ok::<_, HospitalError>(known.unwrap_or_default())
        };
        self.demo::<MergePatients>(json!({
            "patient_id": survivor, "duplicate_id": duplicate, "mrn": mrn(survivor).await?,
            "duplicate_mrn": mrn(duplicate).await?, "reason": "Registered twice, in two spellings",
        }))
        .await
    }

    pub(super) async fn insurance(&self) -> Result<(), HospitalError> {
        for (number, (code, name, electronic, indicator, days)) in (1..).zip(PAYERS) {
            self.demo::<AddPayer>(json!({
                "id": id(PAYER, number), "code": code, "name": name, "electronic_payer_id": electronic,
                "claim_filing_indicator": indicator, "timely_filing_days": days, "phone": "+18005550123",
            }))
            .await?;
        }
        let begins = self.executor.now().date_naive() - Days::new(200);
        for (number, (patient, payer, priority, plan, relationship, is_verified)) in (1..).zip(POLICIES) {
            let is_own = relationship == "self";
            self.demo::<AddInsurancePolicy>(json!({
                "id": id(POLICY, number), "patient_id": id(PATIENT, patient), "payer_id": id(PAYER, payer),
                "member_id": format!("W{:09}", number * 1_001), "plan_name": plan, "priority": priority,
                "relationship_to_subscriber": relationship, "effective_from": begins, "copay_amount": "25.00",
                "subscriber_name": (!is_own).then_some("Chidi Nwosu"),
                "subscriber_birth_date": (!is_own).then_some("1988-04-02"), "coinsurance_percent": "20",
            }))
            .await?;
            if is_verified {
                let verified = json!({"insurance_policy_id": id(POLICY, number), "method": "card"});
                self.demo::<VerifyInsurancePolicy>(verified).await?;
            }
        }
        Ok(())
    }
}
