//! A request that is repeated under its key gets the first answer.

use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test]
async fn the_same_request_under_the_same_key_has_the_same_answer() {
    let world = World::new();
    let first = send(&world, "open-department", cardiology()).await.unwrap();
    let second = send(&world, "open-department", cardiology()).await.unwrap();
    assert!(!first.replayed && second.replayed);
    assert_eq!(Outcome { replayed: false, ..second }, first);
    assert_eq!(world.count("department.opened").await, 1);
}

#[tokio::test]
async fn that_nothing_had_to_be_done_is_answered_again_though_by_now_something_would() {
    let world = hospital().await;
    let reactivate = json!({"room_id": ROOM});
    let first = send(&world, "reactivate-room", reactivate.clone()).await.unwrap();
    assert_eq!((first.id, first.version, first.events.len(), first.replayed), (ROOM.0, 1, 0, false));
    world.done(SuspendRoom { room_id: ROOM, reason: "painting".into() }).await;
    let second = send(&world, "reactivate-room", reactivate).await.unwrap();
    assert!(second.replayed);
    assert_eq!(Outcome { replayed: false, ..second }, first);
    assert_eq!(world.count("room.reactivated").await, 0);
    let other_body = send(&world, "reactivate-room", json!({"room_id": id::<Uuid>(77)})).await;
    assert_eq!(refused(other_body).code, "idempotency-key-reused");
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let world = hospital().await;
    send(&world, "open-department", with(cardiology(), json!({"code": "er"}))).await.unwrap();
    let other_body = send(&world, "open-department", cardiology()).await;
    assert_eq!(refused(other_body).code, "idempotency-key-reused");
    let other_command = send(&world, "close-department", json!({"department_id": DEPARTMENT})).await;
    assert_eq!(refused(other_command).code, "idempotency-key-reused");
    assert_eq!(world.count("department.closed").await, 0);
}

#[tokio::test]
async fn a_refused_request_may_be_sent_again_under_its_key() {
    let world = hospital().await;
    let lot = with(delivery(), json!({"location_id": id::<Uuid>(77)}));
    assert_eq!(refused(send(&world, "receive-medication-lot", lot).await).code, "unknown-reference");
    assert!(send(&world, "receive-medication-lot", delivery()).await.is_ok_and(|it| !it.replayed));
}

#[tokio::test]
async fn an_answer_to_several_streams_is_given_again_whole() {
    let world = hospital().await;
    world.has::<Prescription>(id::<PrescriptionId>(100), one_tablet()).await;
    world.done(receive(LOT, dec!(3))).await;
    let body = json!({"prescription_id": id::<PrescriptionId>(100)});
    let first = send(&world, "dispense-prescription", body.clone()).await.unwrap();
    let second = send(&world, "dispense-prescription", body).await.unwrap();
    assert_eq!(Outcome { replayed: false, ..second }, first);
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, dec!(2));
}

#[tokio::test]
async fn who_may_no_longer_give_a_command_still_gets_the_first_answer() {
    let world = hospital().await;
    let send = async |caller: Caller, body: Value| {
        let request = Request { idempotency_key: Some(KEY), ..Request::of(caller) };
        Registry::hospital().get("open-department").unwrap().run(&world.executor, body, request).await
    };
    let first = send(somebody("administrator"), with(cardiology(), json!({"code": "er"}))).await.unwrap();
    let again = send(somebody("nurse"), with(cardiology(), json!({"code": "er"}))).await.unwrap();
    assert_eq!(Outcome { replayed: false, ..again }, first);
    // Whoever may not give the command does not learn that the key was used.
    assert_eq!(refused(send(somebody("nurse"), cardiology()).await).code, "forbidden");
    assert_eq!(refused(send(somebody("administrator"), cardiology()).await).code, "idempotency-key-reused");
}

/// A node that carries out a request after another node has carried out the same request, though it found no receipt:
/// the other node is just in time when the first random number is drawn, which is before anything is loaded.
async fn overtaken(world: &Arc<World>, name: &'static str, body: Value) -> (Outcome, Outcome) {
    let (other, sent, first) = (Arc::clone(world), body.clone(), Arc::new(std::sync::Mutex::new(None)));
    let (done, told) = (AtomicBool::new(false), Arc::clone(&first));
    let entropy = move || {
        if !done.swap(true, Ordering::SeqCst) {
            let outcome = futures::executor::block_on(send(&other, name, sent.clone()));
            *told.lock().unwrap() = Some(outcome.unwrap());
        }
        (other.surroundings.entropy)()
    };
    let surroundings = Surroundings { entropy: Arc::new(entropy), ..world.surroundings.clone() };
    let node = Executor::new(Arc::clone(world.store()), surroundings);
    let request = Request { idempotency_key: Some(KEY), ..Request::of(Caller::system("test")) };
    let second = Registry::hospital().get(name).unwrap().run(&node, body, request).await.unwrap();
    let first = first.lock().unwrap().take().unwrap();
    (first, second)
}

#[tokio::test]
async fn a_copy_that_another_node_overtook_gets_the_first_answer() {
    let zelda = json!({"first_name": "Zelda", "last_name": "Young", "date_of_birth": "1950-01-01", "gender": "female"});
    let cases = [
        ("register-patient", zelda, "possible-duplicate"),
        ("open-department", with(cardiology(), json!({"id": id::<Uuid>(50)})), "already-exists"),
        ("dispense-prescription", json!({"prescription_id": id::<PrescriptionId>(100)}), "wrong-status"),
        ("reactivate-room", json!({"room_id": ROOM}), "nothing"),
    ];
    for (name, body, otherwise) in cases {
        let world = Arc::new(hospital().await);
        world.has::<Prescription>(id::<PrescriptionId>(100), one_tablet()).await;
        world.done(receive(LOT, dec!(3))).await;
        let (first, second) = overtaken(&world, name, body).await;
        assert!(second.replayed && !first.replayed, "{name} would be {otherwise}");
        assert_eq!(Outcome { replayed: false, ..second }, first);
        assert_eq!(world.count("access.command_refused").await, 0, "{name}: nothing was refused");
    }
}
