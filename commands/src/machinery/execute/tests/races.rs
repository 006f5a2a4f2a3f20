//! Sixteen callers at once: exactly one succeeds where only one can, and all succeed where all can.

use std::future::Future;

use futures::future::join_all;

use hims_domain::ConsultationId;
use hims_domain::medication_list::{MedicationList, list_of};
use hims_domain::patient::Event;
use hims_event_store::Append;

use super::*;
use crate::consultation::StartConsultation;
use crate::machinery::decision::plan;
use crate::prescription::WritePrescription;

const CALLERS: u128 = 16;

/// Makes sixteen calls at once, each in a task of its own.
async fn race<F>(call: impl Fn(u128) -> F) -> Vec<Result<Outcome, Failure>>
where
    F: Future<Output = Result<Outcome, Failure>> + Send + 'static,
{
    let calls: Vec<_> = (0..CALLERS).map(|nth| tokio::spawn(call(nth))).collect();
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

/// Asserts that exactly one call succeeded and all others were refused with the code.
#[track_caller]
fn one_won(outcomes: Vec<Result<Outcome, Failure>>, code: &str) {
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{lost:?}");
    assert!(lost.into_iter().all(|it| refused(it).code == code));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_callers_one_gets_the_slot() {
    let world = Arc::new(hospital().await);
    for nth in 0..CALLERS {
        world.has::<Patient>(id::<PatientId>(300 + nth), [registered()]).await;
    }
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        let command = schedule(json!({"id": id::<AppointmentId>(400 + nth), "patient_id": id::<PatientId>(300 + nth)}));
        async move { world.execute(command).await }
    });
    one_won(outcomes.await, "double-booking");
    assert_eq!(world.count("appointment.scheduled").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_callers_one_opens_the_consultation() {
    let world = Arc::new(hospital().await);
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        let body = json!({"id": id::<ConsultationId>(400 + nth), "patient_id": PATIENT, "provider_id": DOCTOR});
        async move { world.execute(ask::<StartConsultation>(body)).await }
    });
    one_won(outcomes.await, "already-open");
    assert_eq!(world.count("consultation.started").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_callers_one_gets_the_last_tablet() {
    let world = Arc::new(hospital().await);
    world.done(receive(LOT, dec!(1))).await;
    for nth in 0..CALLERS {
        world.has::<Prescription>(id::<PrescriptionId>(300 + nth), one_tablet()).await;
    }
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        async move { world.execute(dispense(id(300 + nth))).await }
    });
    one_won(outcomes.await, "insufficient-stock");
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, Decimal::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_callers_get_sixteen_tablets() {
    let world = Arc::new(hospital().await);
    world.done(receive(LOT, dec!(10))).await;
    world.done(receive(LATER_LOT, dec!(6))).await;
    for nth in 0..CALLERS {
        world.has::<Prescription>(id::<PrescriptionId>(300 + nth), one_tablet()).await;
    }
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        async move { world.execute(dispense(id(300 + nth))).await }
    });
    assert!(outcomes.await.into_iter().all(|it| it.is_ok()));
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, Decimal::ZERO);
    assert_eq!(world.state::<MedicationLot>(LATER_LOT).await.quantity_on_hand, Decimal::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_counters_take_from_one_lot_and_decide_hardly_more_than_once() {
    const COUNTERS: u32 = 64;
    let world = Arc::new(hospital().await);
    world.done(receive(LOT, dec!(1000))).await;
    for nth in 0..COUNTERS {
        world.has::<Prescription>(id::<PrescriptionId>(300 + u128::from(nth)), one_tablet()).await;
    }
    // Each attempt draws one random number, so the draws tell how often a caller had to decide.
    let (draws, drawn) = (Arc::new(AtomicU64::new(0)), world.surroundings.entropy.clone());
    let counted = Arc::clone(&draws);
    let entropy = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        drawn()
    };
    let surroundings = Surroundings { entropy: Arc::new(entropy), ..world.surroundings.clone() };
    let executor = Arc::new(Executor::new(Arc::clone(world.store()), surroundings));
    let calls = (0..COUNTERS).map(|nth| {
        let executor = Arc::clone(&executor);
        let command = dispense(id(300 + u128::from(nth)));
        tokio::spawn(async move { executor.execute(command, Request::of(Caller::system("test"))).await })
    });
    for outcome in join_all(calls.collect::<Vec<_>>()).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, dec!(936));
    // Before the queue and with the turn: twice. A remembered state may be outdated, which costs attempts as well.
    assert!(draws.load(Ordering::Relaxed) <= u64::from(COUNTERS) * 4, "{draws:?} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_relies_on_a_stream_that_many_write_gets_a_turn() {
    let world = Arc::new(hospital().await);
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        let change = json!({"patient_id": PATIENT, "city": format!("Town {nth}")});
        let booked = json!({
            "id": id::<AppointmentId>(400 + nth), "starts_at": now() + chrono::TimeDelta::days(i64::try_from(nth).unwrap() + 1),
        });
        async move {
            if nth % 2 == 0 {
                world.execute(ask::<ChangePatientDemographics>(change)).await
            } else {
                world.execute(schedule(booked)).await
            }
        }
    });
    for outcome in outcomes.await {
        outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_with_one_birth_date_are_registered_at_once() {
    let world = Arc::new(World::new());
    let names = "Ada Boris Chen Dmitri Esther Farah Gustav Hanna Ines Jorge Kemal Lucia Marek Nadia Oskar Petra";
    let names: Vec<_> = names.split(' ').collect();
    let outcomes = race(|nth| {
        let (world, name) = (Arc::clone(&world), names[usize::try_from(nth).unwrap()]);
        // The number of people with the birth date changes with each of them, and all others rely on it.
        let person = with(ann(), json!({"first_name": name, "last_name": format!("{name}sen")}));
        async move { world.execute(ask::<RegisterPatient>(person)).await }
    });
    for outcome in outcomes.await {
        outcome.unwrap();
    }
    assert_eq!(world.count("patient.registered").await, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_callers_who_saw_one_version_one_changes_it() {
    let world = Arc::new(hospital().await);
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        let command = ask::<ChangeDepartment>(json!({"department_id": DEPARTMENT, "name": format!("Heart {nth}")}));
        let request = Request { expected_version: Some(1), ..Request::of(Caller::system("test")) };
        async move { world.executor.execute(command, request).await }
    });
    one_won(outcomes.await, "stale-version");
    assert_eq!(world.count("department.changed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_registrations_of_one_person_one_is_no_duplicate() {
    let world = Arc::new(World::new());
    let outcomes = race(|_| {
        let world = Arc::clone(&world);
        async move { world.execute(ask::<RegisterPatient>(ann())).await }
    });
    one_won(outcomes.await, "possible-duplicate");
    assert_eq!(world.count("patient.registered").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_requests_under_one_key_happen_once() {
    let world = Arc::new(World::new());
    let outcomes = race(|_| {
        let world = Arc::clone(&world);
        async move { send(&world, "open-department", cardiology()).await }
    });
    let outcomes: Vec<_> = outcomes.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|it| !it.replayed).count(), 1);
    assert!(outcomes.iter().all(|it| it.id == outcomes[0].id && it.position == 1));
    assert_eq!(world.log().await.len(), 1);
}

/// A node on which something is appended to a stream whenever the clock is read, which also happens between loading and
/// appending.
fn always_overtaken<A: crate::Claims>(world: &World, stream: Uuid, event: A::Event) -> Executor {
    let other = Arc::clone(&world.executor);
    let overtaken = move || {
        futures::executor::block_on(async {
            let loaded = other.load::<A>(stream, true).await.unwrap();
            let planned = plan(stream, loaded.version, loaded.state.as_deref(), std::slice::from_ref(&event)).unwrap();
            other.store().append(Append::stream(planned.append)).await.unwrap();
        });
        now()
    };
    let surroundings = Surroundings { clock: Arc::new(overtaken), ..world.surroundings.clone() };
    Executor::new(Arc::clone(world.store()), surroundings)
}

#[tokio::test]
async fn who_is_only_compared_may_change_meanwhile() {
    let world = hospital().await;
    let born_that_day =
        |name: &str| ask::<RegisterPatient>(with(ann(), json!({"first_name": name, "last_name": name})));
    let known = world.done(born_that_day("Boris")).await.id;
    let marked = Event::AllergyRetired { allergy_id: id(77), reason: said("tested") };
    let slow = always_overtaken::<Patient>(&world, known, marked);
    let outcome = slow.execute(born_that_day("Zoe"), Request::of(Caller::system("test"))).await.unwrap();
    assert_eq!(outcome.version, 1);
    let outcome = slow.execute(born_that_day("Boriss"), Request::of(Caller::system("test"))).await;
    assert_eq!(refused(outcome).candidates, [known], "and is compared as ever");
}

#[tokio::test]
async fn whoever_is_always_overtaken_gives_up() {
    let world = hospital().await;
    let slow = always_overtaken::<Department>(&world, DEPARTMENT.0, department::Event::Changed(ask(cardiology())));
    let close = CloseDepartment { department_id: DEPARTMENT };
    let outcome = slow.execute(close, Request::of(Caller::system("test"))).await;
    assert_eq!(refused(outcome).code, "version-conflict");
    assert_eq!(world.count("department.closed").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_callers_begin_one_medication_list() {
    let world = Arc::new(hospital().await);
    let outcomes = race(|nth| {
        let world = Arc::clone(&world);
        let item = json!({"medication_id": MEDICATION, "quantity": "10", "quantity_unit": "tablet"});
        let body = json!({"id": id::<PrescriptionId>(400 + nth), "patient_id": PATIENT, "provider_id": DOCTOR, "items": [item]});
        async move { world.execute(ask::<WritePrescription>(body)).await }
    });
    assert!(outcomes.await.iter().all(Result::is_ok));
    let list = world.state::<MedicationList>(list_of(PATIENT)).await;
    assert_eq!(list.entries.len(), 16);
}
