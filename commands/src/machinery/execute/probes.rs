use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Allowances, Command, Failure, Kind, Refused, Request, Share};

/// How many conflicts that tell of a secret value a user gets within an hour.
const PER_HOUR: u32 = 20;

/// Limits how often a user learns from a conflict whether a value that the user may not read is in a record: without a
/// limit, the social security number of a certain patient could be found by trying, and so could an allergy. Parts of
/// the system, such as the import, are not limited.
pub(super) struct Probes(Allowances<Uuid>);

impl Probes {
    pub(super) fn new() -> Self {
        Self(Allowances::within(Duration::from_hours(1), PER_HOUR))
    }

    /// Takes a share for a command that probes a secret value before the command is decided, so that commands at the
    /// same time cannot exceed the limit.
    pub(super) fn begin<C: Command>(
        &self,
        command: &C,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Option<Probe>, Failure> {
        let Some(user) = request.caller.user_id().filter(|_| command.probes_a_secret(&request.caller)) else {
            return Ok(None);
        };
        match self.0.take(user.into(), now) {
            Ok(share) => Ok(Some(Probe(share))),
            Err(_) => {
                let detail = "too many requests of this user were refused as possible duplicates within an hour; wait, \
                              leave the social security number out, or give confirm_not_duplicate if you know that \
                              it is none";
                Err(Refused::new(Kind::TooMany, "too-many-requests", detail).into())
            }
        }
    }
}

/// A command whose share is given back unless the refusal tells that a record has the value.
pub(super) struct Probe(Share<Uuid>);

impl Probe {
    /// Spends the share if the refusal tells that a record has the value.
    pub(super) fn settle<T>(self, outcome: &Result<T, Failure>) {
        if matches!(outcome, Err(Failure::Refused(Refused { code: "possible-duplicate" | "already-taken", .. }))) {
            self.0.spend();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use hims_domain::UserId;
    use serde_json::json;

    use super::*;
    use crate::Outcome;
    use crate::aggregates::patient::{RecordAllergy, RegisterPatient};
    use crate::testing::id;
    use crate::testing::samples::{ann, ask, with};
    use crate::testing::world::{World, refused, user};

    /// A person with a name and a birthday that nobody else has, and a social security number.
    fn person(nth: u32, number: &str) -> RegisterPatient {
        let born = NaiveDate::from_ymd_opt(1944, 1, 1).unwrap() + chrono::Days::new(nth.into());
        ask(with(ann(), json!({"first_name": format!("Name{nth}"), "date_of_birth": born, "ssn": number})))
    }

    async fn register(world: &World, clerk: UserId, command: RegisterPatient) -> Result<Outcome, Failure> {
        world.executor.execute(command, Request::of(user(clerk, "receptionist"))).await
    }

    #[tokio::test]
    async fn a_number_cannot_be_found_by_trying() {
        let world = World::new();
        world.done(person(0, "123-12-3456")).await;
        let (clerk, other) = (id(70), id(71));
        for nth in 1..=PER_HOUR {
            let refusal = refused(register(&world, clerk, person(nth, "123-12-3456")).await);
            assert_eq!(refusal.code, "possible-duplicate", "{nth}");
        }
        let before = world.log().await.len();
        for number in ["123-12-3456", "123-65-4321"] {
            let refusal = refused(register(&world, clerk, person(50, number)).await);
            assert_eq!((refusal.kind, refusal.code), (Kind::TooMany, "too-many-requests"), "{number}");
        }
        assert_eq!(world.log().await.len(), before, "what is not looked at is not recorded");
        let refusal = refused(register(&world, other, person(51, "123-12-3456")).await);
        assert_eq!(refusal.code, "possible-duplicate", "nobody else is limited");
        let without = ask(with(ann(), json!({"first_name": "Zoe", "date_of_birth": "1999-01-01"})));
        assert!(register(&world, clerk, without).await.is_ok(), "without a number the user goes on");
    }

    /// Somebody who may record allergies of patients whose charts they may not read.
    #[tokio::test]
    async fn an_allergy_cannot_be_found_by_trying_either() {
        let world = World::new();
        let patient_id = world.done(person(0, "123-12-3456")).await.id;
        let record = |substance: &str| -> RecordAllergy {
            ask(json!({"patient_id": patient_id, "allergen_type": "drug", "allergen_name": substance}))
        };
        let ask_as = async |role, command| world.executor.execute(command, Request::of(user(id(70), role))).await;
        world.done(record("Lithium")).await;
        for nth in 1..=PER_HOUR {
            let refusal = refused(ask_as("nurse", record("Lithium")).await);
            assert_eq!(refusal.code, "possible-duplicate", "{nth}");
        }
        for substance in ["Lithium", "Codeine"] {
            let refusal = refused(ask_as("nurse", record(substance)).await);
            assert_eq!((refusal.kind, refusal.code), (Kind::TooMany, "too-many-requests"), "{substance}");
        }
        let confirmed = RecordAllergy { confirm_not_duplicate: true, ..record("Codeine") };
        assert!(ask_as("nurse", confirmed).await.is_ok(), "what the nurse is sure of is recorded");
        // A doctor reads all charts, so that the question tells nothing new.
        let refusal = refused(ask_as("doctor", record("Lithium")).await);
        assert_eq!(refusal.code, "possible-duplicate");
    }

    #[tokio::test]
    async fn what_is_no_conflict_does_not_count() {
        let world = World::new();
        for nth in 0..PER_HOUR + 5 {
            assert!(register(&world, id(70), person(nth, &format!("123-12-{:04}", nth + 1))).await.is_ok(), "{nth}");
        }
    }
}
