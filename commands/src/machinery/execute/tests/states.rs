//! States from long streams, from snapshots, and after an erasure.

use super::*;

#[tokio::test]
async fn a_long_stream_loads_as_it_folds() {
    let world = hospital().await;
    world.done(receive(LOT, dec!(20))).await;
    for nth in 1..=150 {
        world.done(adjust(Decimal::new(nth, 3))).await;
    }
    let stored = world.store().load(LOT.0, 0, i32::MAX).await.unwrap();
    let events: Vec<medication_lot::Event> =
        world.store().open(stored).await.unwrap().iter().map(|it| it.decode().unwrap()).collect();
    assert_eq!(world.store().snapshot("medication_lot", LOT.0).await.unwrap().map(|it| it.version), Some(100));
    let loaded = world.another_node().load::<MedicationLot>(LOT.0, true).await.unwrap();
    assert_eq!((loaded.version, loaded.state.as_deref()), (151, fold(&events).as_ref()));
    // As another type, the stream has the same version, and no state.
    let loaded = world.another_node().load::<Patient>(LOT.0, true).await.unwrap();
    assert_eq!((loaded.version, loaded.state), (151, None));
}

#[tokio::test]
async fn a_stream_of_another_type_has_its_whole_version() {
    let world = hospital().await;
    world.done(receive(LOT, dec!(20))).await;
    world.done(adjust(dec!(-1))).await;
    let loaded = world.another_node().load::<Patient>(LOT.0, true).await.unwrap();
    assert_eq!((loaded.version, loaded.state), (2, None));
}

/// A hospital whose patient moved 120 times, so that there is a snapshot, in which the personal values are sealed.
async fn who_moved_often() -> World {
    let world = hospital().await;
    for nth in 1..=120 {
        let change = json!({"patient_id": PATIENT, "address_line_1": format!("{nth} Main Street")});
        world.done(ask::<ChangePatientDemographics>(change)).await;
    }
    world
}

#[tokio::test]
async fn a_snapshot_keeps_what_is_personal() {
    let world = who_moved_often().await;
    let loaded = world.another_node().load::<Patient>(PATIENT.0, true).await.unwrap();
    let patient = loaded.state.unwrap();
    assert_eq!(loaded.version, 121);
    assert_eq!(patient.demographics.first_name, Some(said("Ann")));
    assert_eq!(patient.demographics.address_line_1, Some(said("120 Main Street")));
}

#[tokio::test]
async fn a_snapshot_of_another_shape_is_not_used() {
    let world = hospital().await;
    world.done(receive(LOT, dec!(20))).await;
    for _ in 0..110 {
        world.done(adjust(dec!(1))).await;
    }
    let state = json!({"quantity_on_hand": "666"});
    let outdated = hims_event_store::Snapshot { version: 100, state_version: 0, state };
    world.store().save_snapshot("medication_lot", LOT.0, None, outdated).await.unwrap();
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, dec!(130));
}

#[tokio::test]
async fn a_snapshot_of_another_state_is_found_and_made_anew() {
    let world = who_moved_often().await;
    world.done(receive(LOT, dec!(20))).await;
    for _ in 0..110 {
        world.done(adjust(dec!(1))).await;
    }
    let compare = async || {
        let store = world.store();
        hims_event_store::beside::compare(store.as_ref(), &crate::fold_of, &|_, _| {}).await.unwrap()
    };
    let whole = compare().await;
    assert_eq!((whole.snapshots, whole.skipped, whole.faults), (2, 0, 0), "{whole:?}");
    let mut wrong = world.store().snapshot("medication_lot", LOT.0).await.unwrap().unwrap();
    wrong.version = 110;
    wrong.state["quantity_on_hand"] = json!("5000");
    world.store().save_snapshot("medication_lot", LOT.0, None, wrong).await.unwrap();
    let found = compare().await;
    assert_eq!(found.examples, [hims_event_store::beside::Fault::OtherState(LOT.0)], "{found:?}");
    assert_eq!(world.another_node().rebuild_snapshots(&|_| {}).await.unwrap(), 2);
    let mended = compare().await;
    assert_eq!((mended.snapshots, mended.faults), (2, 0), "{mended:?}");
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, dec!(130));
}

#[tokio::test]
async fn a_stream_that_is_longer_than_a_page_is_folded_to_its_end() {
    let world = hospital().await;
    world.done(receive(LOT, dec!(20))).await;
    for _ in 0..2_150 {
        world.done(adjust(dec!(1))).await;
    }
    let store = world.store();
    assert_eq!(store.load_rest(LOT.0, 100).await.unwrap().len(), 2_051);
    let snapshot = store.snapshot("medication_lot", LOT.0).await.unwrap().unwrap();
    assert_eq!(snapshot.version, 2_100);
    let report = hims_event_store::beside::compare(store.as_ref(), &crate::fold_of, &|_, _| {}).await.unwrap();
    assert_eq!((report.snapshots, report.skipped, report.faults), (1, 0, 0), "{report:?}");
    store.forget_snapshots().await.unwrap();
    let state = world.another_node().load::<MedicationLot>(LOT.0, true).await.unwrap().state.unwrap();
    assert_eq!(state.quantity_on_hand, dec!(2_170));
}

#[tokio::test]
async fn a_long_stream_of_another_type_is_not_found() {
    let world = who_moved_often().await;
    let confirmed = world.execute(ConfirmAppointment { appointment_id: AppointmentId(PATIENT.0) }).await;
    assert_eq!(refused(confirmed), Refused::missing("appointment"));
}

#[tokio::test]
async fn who_is_erased_leaves_a_state_that_can_be_read() {
    let world = hospital().await;
    world.done(schedule(json!({"reason_for_visit": "cough"}))).await;
    world.done(cancel()).await;
    world.store().vault().destroy_key(PATIENT.0).await.unwrap();
    let patient = world.state::<Patient>(PATIENT).await;
    assert_eq!((&patient.mrn, &patient.demographics.first_name), (&Personal::Erased, &Some(Personal::Erased)));
    assert_eq!(patient.demographics.gender, patient::Gender::Female);
    let appointment = world.state::<Appointment>(APPOINTMENT).await;
    assert_eq!(appointment.status, appointment::Status::Cancelled);
    assert_eq!(
        world.last_event::<appointment::Event>().await,
        appointment::Event::Cancelled { reason: Personal::Erased }
    );
    assert_eq!(world.state::<User>(DOCTOR).await.profile.first_name, Some(said("Rosa")));
}

#[tokio::test]
async fn who_is_erased_is_erased_from_snapshots_too() {
    let world = who_moved_often().await;
    world.store().vault().destroy_key(PATIENT.0).await.unwrap();
    let patient = world.another_node().load::<Patient>(PATIENT.0, true).await.unwrap().state.unwrap();
    assert_eq!(patient.demographics.first_name, Some(Personal::Erased));
    assert_eq!(patient.demographics.address_line_1, Some(Personal::Erased));
}

#[tokio::test]
async fn nothing_more_is_written_about_who_is_erased() {
    let world = hospital().await;
    world.store().vault().destroy_key(PATIENT.0).await.unwrap();
    let node = world.another_node();
    let change = ask::<ChangePatientDemographics>(json!({"patient_id": PATIENT, "city": "Springfield"}));
    assert_eq!(refused(node.execute(change, Request::of(Caller::system("test"))).await).code, "erased");
}

#[tokio::test]
async fn who_is_erased_is_nobodys_duplicate() {
    let world = World::new();
    let first = world.done(ask::<RegisterPatient>(ann())).await;
    world.store().vault().destroy_key(first.id).await.unwrap();
    let node = world.another_node();
    node.execute(ask::<RegisterPatient>(ann()), Request::of(Caller::system("test"))).await.unwrap();
}

#[tokio::test]
async fn nothing_personal_stands_in_the_log() {
    let world = World::new();
    // Long enough that what is sealed, which is random letters, does not hold one of the values by chance.
    let annabel = json!({"first_name": "Annabel", "last_name": "Bellamy", "ssn": "123-12-3456", "city": "Springfield"});
    world.has::<Patient>(PATIENT, [registered_as(with(ann(), annabel))]).await;
    let rosalind = json!({"first_name": "Rosalind", "last_name": "Lunardi"});
    world.has::<User>(DOCTOR, [created(), user::Event::ProfileChanged(ask(rosalind))]).await;
    let stored: String = world.log().await.iter().flat_map(|it| [it.data.clone(), it.metadata.clone()]).collect();
    for value in
        ["Annabel", "Bellamy", "1980-05-17", "123-12-3456", "Springfield", "Rosalind", "Lunardi", "rosa@example.org"]
    {
        assert!(!stored.contains(value), "{value}");
    }
    assert!(stored.contains("$sealed"));
}

#[tokio::test]
async fn a_stream_that_another_node_begins_is_not_taken_for_absent() {
    let (world, leave) = (hospital().await, Uuid::from_u128(0x51));
    world.done(schedule(json!({}))).await;
    // This node remembers now that the doctor has no schedule. Another node records that the doctor is away.
    let away = json!({"provider_id": DOCTOR, "leave_id": leave, "kind": "sick", "from": "2026-11-24T00:00:00Z",
                      "until": "2026-11-25T00:00:00Z"});
    let other = world.another_node();
    let request = || Request::of(Caller::system("test"));
    other.execute(ask::<AddProviderLeave>(away.clone()), request()).await.unwrap();
    let tomorrow = json!({"id": id::<AppointmentId>(0x77), "starts_at": "2026-11-24T12:00:00Z"});
    assert_eq!(refused(world.execute(schedule(tomorrow)).await).code, "on-leave");
    // Whoever takes the schedule for absent goes on with it all the same.
    let again = with(away, json!({"leave_id": id::<Uuid>(0x52)}));
    assert_eq!(world.done(ask::<AddProviderLeave>(again)).await.version, 2);
}
