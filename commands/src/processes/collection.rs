use hims_domain::{DomainEvent, medication_lot, prescription};
use hims_event_store::Timer;
use serde::Deserialize;
use serde_json::json;

use crate::medication_lot::ExpireLotChange;
use crate::prescription::WithdrawUncollected;
use crate::{Failure, Happened, Process, Reaction};

/// Gives back what is kept for prescriptions that nobody fetches, and rejects changes of controlled products that
/// nobody witnesses.
pub(super) struct Collection;

/// What a timer waited for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Due {
    Uncollected(WithdrawUncollected),
    Unwitnessed(ExpireLotChange),
}

impl Process for Collection {
    const NAME: &'static str = "collection";
    const ON: &'static [&'static str] = &["prescription.marked_ready", "medication_lot.change_requested"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let id = happened.stream_id;
        let timer = match &happened.event {
            DomainEvent::Prescription(prescription::Event::MarkedReady { collect_by, .. }) => {
                Reaction::timer(id.to_string(), *collect_by, json!({ "prescription_id": id }))
            }
            DomainEvent::MedicationLot(medication_lot::Event::ChangeRequested { change_id, requested, .. }) => {
                let payload = json!({"medication_lot_id": id, "change_id": change_id});
                Reaction::timer(change_id.to_string(), requested.expires_at, payload)
            }
            _ => return Ok(Vec::new()),
        };
        Ok(vec![timer])
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        Ok(match Due::deserialize(&timer.payload) {
            Ok(Due::Uncollected(command)) => vec![Reaction::command(command)],
            Ok(Due::Unwitnessed(command)) => vec![Reaction::command(command)],
            Err(error) => {
                tracing::error!(%error, timer = %timer.id, "a timer of the process collection cannot be read");
                Vec::new()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chrono::TimeDelta;
    use hims_domain::medication::{self, Medication};
    use hims_domain::medication_lot::MedicationLot;
    use hims_domain::notification;
    use hims_domain::patient::Patient;
    use hims_domain::prescription::{Prescription, Status};
    use hims_domain::role::Role;
    use hims_domain::room::Room;
    use hims_event_store::Opened;
    use hims_testing::{sample, sample_with};
    use rust_decimal::Decimal;
    use serde_json::Value;
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use crate::Processes;
    use crate::medication_lot::{ReceiveMedicationLot, WasteMedicationLot};
    use crate::prescription::MarkPrescriptionReady;
    use crate::processes::notices::Notices;
    use crate::role_id;
    use crate::user::CreateUser;
    use crate::testing::now;
    use crate::testing::samples::{
        DOCTOR, LOT, MEDICATION, PATIENT, PRESCRIPTION, ROOM, added_room, ann, ask, defined, delivery,
        metformin, registered_as, with,
    };
    use crate::testing::world::World;

    async fn reactions(stream_id: Uuid, event: DomainEvent) -> Vec<Reaction> {
        let happened = Happened { position: 7, user_id: None, stream_id, recorded_at: now(), occurred_at: now(), event };
        Collection.react(&happened).await.unwrap()
    }

    async fn fired(payload: serde_json::Value) -> Vec<Reaction> {
        let timer = Timer { id: Uuid::from_u128(1), key: String::new(), due_at: now(), payload };
        Collection.fire(&timer).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_ready_is_kept_until_a_timer_fires() {
        let ready = reactions(PRESCRIPTION.0, DomainEvent::Prescription(sample::<Prescription>("marked_ready"))).await;
        let [Reaction(crate::machinery::process::Kind::Timer { key, due_at, payload })] = &ready[..] else {
            panic!("one timer")
        };
        assert_eq!((key, due_at.to_rfc3339().as_str()), (&PRESCRIPTION.to_string(), "2026-12-07T10:00:00+00:00"));
        let given = fired(payload.clone()).await;
        assert_eq!(given[0].given::<WithdrawUncollected>().unwrap().prescription_id, PRESCRIPTION);
    }

    #[tokio::test]
    async fn a_change_waits_for_its_witness_until_a_timer_fires() {
        let asked = reactions(LOT.0, DomainEvent::MedicationLot(sample::<MedicationLot>("change_requested"))).await;
        let [Reaction(crate::machinery::process::Kind::Timer { payload, .. })] = &asked[..] else {
            panic!("one timer")
        };
        let given = fired(payload.clone()).await;
        assert_eq!(given[0].given::<ExpireLotChange>().unwrap().medication_lot_id, LOT);
        assert!(fired(json!({"of": "another release"})).await.is_empty());
    }

    /// A pharmacy with a lot of a controlled product, of which a prescription was sent.
    async fn pharmacy() -> World {
        let world = World::new();
        let controlled = with(metformin(), json!({"controlled_substance": true}));
        world.has::<Medication>(MEDICATION, [medication::Event::Added(ask(controlled))]).await;
        world.has::<Room>(ROOM, [added_room()]).await;
        world.done(ask::<ReceiveMedicationLot>(with(delivery(), json!({"id": LOT})))).await;
        let written = sample_with::<Prescription>("written", json!({"patient_id": PATIENT}));
        world.has::<Prescription>(PRESCRIPTION, [written, sample::<Prescription>("sent_to_pharmacy")]).await;
        world
    }

    /// Waits until an event of a type is in the log.
    async fn until(world: &World, event_type: &str) {
        while world.count(event_type).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The titles of all notifications, in order.
    async fn told(world: &World) -> Vec<String> {
        world.settled(Notices::NAME).await;
        let log = world.log().await.into_iter().filter(|it| it.event_type == "notification.created").collect();
        let created = world.store().open(log).await.unwrap();
        let title = |it: &Opened| match it.decode().unwrap() {
            notification::Event::Created { content, .. } => content.title.known().unwrap().as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        created.iter().map(title).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_fetches_or_witnesses_is_given_back_once_by_the_time_and_told() {
        let world = pharmacy().await;
        let administrator = role_id("administrator");
        world.has::<Role>(administrator, [defined("administrator")]).await;
        let rosa = json!({"id": DOCTOR, "email": "rosa@example.org", "last_name": "Diaz", "role_id": administrator});
        world.done(ask::<CreateUser>(rosa)).await;
        world.has::<Patient>(PATIENT, [registered_as(with(ann(), json!({"email": "ann@example.org"})))]).await;
        let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
        let processes = processes.start(Collection).start(Notices);
        world.settled(Collection::NAME).await;
        world.settled(Notices::NAME).await;
        world.done(MarkPrescriptionReady { prescription_id: PRESCRIPTION }).await;
        let waste = |quantity: Value| -> WasteMedicationLot {
            ask(json!({"medication_lot_id": LOT, "quantity": quantity, "reason_code": "spilled"}))
        };
        world.done(waste(json!("2"))).await;
        let lot = world.state::<MedicationLot>(LOT).await;
        assert_eq!((lot.quantity_reserved(), lot.free()), (Decimal::from(10), Decimal::from(8)));
        // The timers are set before the clock is moved.
        world.settled(Collection::NAME).await;
        assert_eq!(told(&world).await, ["Your prescription is ready"]);
        world.after(TimeDelta::hours(24));
        until(&world, "medication_lot.change_rejected").await;
        assert_eq!(world.count("prescription.ready_withdrawn").await, 0);
        world.after(TimeDelta::days(13));
        until(&world, "prescription.ready_withdrawn").await;
        let lot = world.state::<MedicationLot>(LOT).await;
        assert_eq!((lot.quantity_on_hand, lot.free()), (Decimal::from(20), Decimal::from(20)));
        assert_eq!(world.state::<Prescription>(PRESCRIPTION).await.status, Status::SentToPharmacy);
        assert_eq!(world.count("medication_lot.reservation_released").await, 1);
        let said = [
            "Your prescription is ready",
            "A change of a controlled product was not witnessed",
            "Your prescription is no longer ready",
        ];
        assert_eq!(told(&world).await, said);
        assert_eq!(world.count("process_failure.occurred").await, 0);
        processes.stop().await;
    }
}
