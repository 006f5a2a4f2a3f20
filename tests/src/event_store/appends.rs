use std::collections::BTreeSet;

use futures::future::join_all;
use hims_event_store::{Append, AppendError, Guard, StreamAppend};

use super::fixture::{Log, at, begin, credited, id, on_every_log};

on_every_log!(
    positions_are_gapless_and_in_the_order_of_the_answers,
    concurrent_appends_each_get_places_of_their_own,
    an_append_needs_the_version_that_the_decision_saw,
    a_stream_begins_once,
    several_streams_are_written_together_or_not_at_all,
    what_cannot_be_an_append_is_malformed,
    a_stream_to_which_nothing_happens_must_still_be_at_its_version,
    the_version_of_another_stream_is_guarded,
    the_time_of_recording_never_goes_backwards,
    a_stream_and_the_log_are_read_from_any_place,
    followers_are_woken,
);

async fn positions_are_gapless_and_in_the_order_of_the_answers(log: Log) {
    assert_eq!(log.store().current_head().await.expect("a head"), 0);
    let mut last = 0;
    for events in 1..4 {
        let credits: Vec<_> = (0..events).map(credited).collect();
        let appended =
            log.append(Append::stream(StreamAppend::begin("account", id(), credits))).await.expect("appended");
        assert_eq!((appended.first, appended.last), (last + 1, last + events));
        last = appended.last;
    }
    assert_eq!(log.proved_length().await, 6);
    assert_eq!(log.store().current_head().await.expect("a head"), 6);
}

async fn concurrent_appends_each_get_places_of_their_own(log: Log) {
    let streams: Vec<_> = (0..100).map(|_| id()).collect();
    let appended = join_all(streams.iter().map(|it| log.append(begin(*it)))).await;
    let positions: BTreeSet<_> = appended.iter().map(|it| it.as_ref().expect("appended").first).collect();
    assert!(positions.into_iter().eq(1..=100));
    let events = log.events().await;
    for (stream, appended) in streams.iter().zip(appended) {
        let event = &events[usize::try_from(appended.expect("appended").first).expect("small") - 1];
        assert_eq!((event.stream_id, event.version), (*stream, 1));
    }
    assert_eq!(log.proved_length().await, 100);
}

async fn an_append_needs_the_version_that_the_decision_saw(log: Log) {
    let stream = id();
    log.append(begin(stream)).await.expect("begun");
    log.append(at(stream, 1)).await.expect("gone on");
    for outdated in [at(stream, 1), at(stream, 0), at(stream, 3), at(id(), 1), at(stream, -1)] {
        let stream_id = outdated.streams[0].stream_id;
        let refused = log.append(outdated).await;
        assert!(
            matches!(refused, Err(AppendError::Conflict { stream_id: named }) if named == stream_id),
            "{refused:?}"
        );
    }
    log.append(at(stream, 2)).await.expect("gone on");
    let versions: Vec<_> = log.events().await.iter().map(|it| it.version).collect();
    assert_eq!(versions, [1, 2, 3]);
}

async fn a_stream_begins_once(log: Log) {
    let stream = id();
    log.append(begin(stream)).await.expect("begun");
    assert!(matches!(log.append(begin(stream)).await, Err(AppendError::Conflict { stream_id }) if stream_id == stream));
    assert_eq!(log.proved_length().await, 1);
}

async fn several_streams_are_written_together_or_not_at_all(log: Log) {
    let (first, second, third) = (id(), id(), id());
    let one = |stream, version| StreamAppend::at("account", stream, version, [credited(1), credited(2)]);
    let both = Append { streams: vec![one(first, 0), one(second, 0)], ..Append::default() };
    let appended = log.append(both).await.expect("both");
    assert_eq!((appended.first, appended.last), (1, 4));
    let half = Append { streams: vec![one(third, 0), one(second, 1)], ..Append::default() };
    assert!(matches!(log.append(half).await, Err(AppendError::Conflict { stream_id }) if stream_id == second));
    assert!(log.store().load(third, 0, 10).await.expect("a stream").is_empty());
    assert_eq!(log.proved_length().await, 4);
}

async fn what_cannot_be_an_append_is_malformed(log: Log) {
    let stream = id();
    let one = |version| StreamAppend::at("account", stream, version, [credited(1)]);
    let twice = Append { streams: vec![one(0), one(1)], ..Append::default() };
    let empty = Append::stream(StreamAppend::begin("account", stream, []));
    for malformed in [Append::default(), empty, twice] {
        assert!(matches!(log.append(malformed).await, Err(AppendError::Malformed(_))));
    }
    assert_eq!(log.proved_length().await, 0);
}

async fn a_stream_to_which_nothing_happens_must_still_be_at_its_version(log: Log) {
    let quiet = id();
    log.append(begin(quiet)).await.expect("begun");
    let append = |version| {
        let quiet = StreamAppend::at("account", quiet, version, []);
        Append { streams: vec![quiet, StreamAppend::begin("account", id(), [credited(1)])], ..Append::default() }
    };
    assert!(matches!(log.append(append(0)).await, Err(AppendError::GuardFailed)));
    log.append(append(1)).await.expect("as it was");
    log.append(at(quiet, 1)).await.expect("nothing happened to it");
}

async fn the_version_of_another_stream_is_guarded(log: Log) {
    let (guarded, absent) = (id(), id());
    log.append(begin(guarded)).await.expect("begun");
    let relying = |stream_id, version| Append { guards: vec![Guard::Version { stream_id, version }], ..begin(id()) };
    log.append(relying(guarded, 1)).await.expect("as it was");
    log.append(relying(absent, 0)).await.expect("still absent");
    log.append(at(guarded, 1)).await.expect("moved");
    assert!(matches!(log.append(relying(guarded, 1)).await, Err(AppendError::GuardFailed)));
    assert!(matches!(log.append(relying(absent, 1)).await, Err(AppendError::GuardFailed)));
    log.append(relying(guarded, 2)).await.expect("as it is");
    assert_eq!(log.proved_length().await, 5);
}

async fn the_time_of_recording_never_goes_backwards(log: Log) {
    for _ in 0..20 {
        let appended = log.append(begin(id())).await.expect("appended");
        let event = log.store().read(appended.first - 1, 1).await.expect("the event").remove(0);
        assert_eq!(event.recorded_at, appended.recorded_at);
    }
    assert_eq!(log.proved_length().await, 20);
}

async fn a_stream_and_the_log_are_read_from_any_place(log: Log) {
    let (stream, other) = (id(), id());
    for version in 0..5 {
        log.append(at(stream, version)).await.expect("appended");
        log.append(at(other, version)).await.expect("appended");
    }
    let versions = async |after, limit| -> Vec<i32> {
        log.store().load(stream, after, limit).await.expect("a stream").iter().map(|it| it.version).collect()
    };
    assert_eq!(versions(0, 100).await, [1, 2, 3, 4, 5]);
    assert_eq!(versions(2, 2).await, [3, 4]);
    assert!(versions(5, 100).await.is_empty());
    let positions = async |after, limit| -> Vec<i64> {
        log.store().read(after, limit).await.expect("the log").iter().map(|it| it.position).collect()
    };
    assert_eq!(positions(8, 100).await, [9, 10]);
    assert_eq!(positions(3, 2).await, [4, 5]);
    assert!(positions(10, 100).await.is_empty());
    assert!(log.store().load(id(), 0, 100).await.expect("no stream").is_empty());
}

async fn followers_are_woken(log: Log) {
    let mut head = log.store().head();
    let follow = async { *head.wait_for(|it| *it >= 3).await.expect("the store lives") };
    let append = async {
        for _ in 0..3 {
            log.append(begin(id())).await.expect("appended");
        }
    };
    assert_eq!(futures::join!(follow, append).0, 3);
}
