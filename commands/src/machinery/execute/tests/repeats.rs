use chrono::TimeDelta;

use super::*;

/// A caller whose role does not include the permission for [`cancel`] asks for it.
async fn refuse(world: &World) {
    let nobody = Caller { permissions: Arc::default(), ..somebody("receptionist") };
    assert_eq!(refused(world.executor.execute(cancel(), Request::of(nobody)).await).code, "forbidden");
}

async fn repeated(world: &World) -> Vec<u32> {
    let events: Vec<_> = world.log().await.into_iter().filter(|event| event.event_type == "access.repeated").collect();
    let opened = world.store().open(events).await.unwrap();
    opened
        .iter()
        .map(|event| match event.decode().unwrap() {
            AccessEvent::Repeated { count, .. } => count,
            other => panic!("not repeated: {other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_refusal_that_is_repeated_becomes_one_event_with_a_count() {
    let world = hospital().await;
    for _ in 0..1_000 {
        refuse(&world).await;
    }
    assert_eq!(world.count("access.command_refused").await, 1);
    world.executor.record_repeats(false).await;
    assert_eq!(repeated(&world).await, [0_u32; 0], "the minute is not over");
    world.after(TimeDelta::minutes(1));
    world.executor.record_repeats(false).await;
    assert_eq!(repeated(&world).await, [999]);
    let event = AccessEvent::Repeated {
        command: "cancel-appointment".to_owned(),
        code: "forbidden".to_owned(),
        stream_type: "appointment".to_owned(),
        stream_id: APPOINTMENT.0,
        count: 999,
    };
    assert_eq!(world.last_event::<AccessEvent>().await, event);
    assert_eq!(metadata(&world.last().await.recorded)["actor"], json!({"type": "user", "id": ASKING}));
    // After its minute an attempt is recorded by itself again, and an attempt that was not repeated leaves nothing.
    refuse(&world).await;
    assert_eq!(world.count("access.command_refused").await, 2);
    world.executor.record_repeats(true).await;
    assert_eq!(repeated(&world).await, [999]);
}

#[tokio::test]
async fn refusals_that_differ_are_recorded_one_by_one() {
    let world = hospital().await;
    refuse(&world).await;
    let nobody = Caller { permissions: Arc::default(), session_id: Some(id(7)), ..somebody("receptionist") };
    refused(world.executor.execute(cancel(), Request::of(nobody.clone())).await);
    refused(world.executor.execute(confirm(), Request::of(nobody)).await);
    assert_eq!(world.count("access.command_refused").await, 3);
}

#[tokio::test]
async fn what_was_only_counted_is_recorded_before_the_server_stops() {
    let world = hospital().await;
    for _ in 0..3 {
        refuse(&world).await;
    }
    world.executor.record_repeats(true).await;
    assert_eq!(repeated(&world).await, [2]);
}
