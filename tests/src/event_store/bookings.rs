use chrono::TimeDelta;
use hims_event_store::{AppendError, Booked, Claim, Span};
use uuid::Uuid;

use super::fixture::{Log, book, claiming, hour, id, on_every_log};

on_every_log!(
    what_overlaps_is_refused,
    back_to_back_is_no_overlap,
    another_resource_is_free,
    an_appointment_is_moved_in_one_append,
    two_appointments_change_places_in_one_append,
    nobody_overlaps_with_oneself,
    a_booking_ends_after_it_begins,
    several_resources_are_booked_together_or_not_at_all,
    who_has_booked_what_is_found_by_resource_and_time,
);

async fn is_refused(log: &Log, claims: impl Into<Vec<Claim>>, by: Uuid) {
    let refused = log.append(claiming(id(), claims)).await;
    assert!(matches!(&refused, Err(AppendError::DoubleBooked { owner, .. }) if *owner == by), "{refused:?}");
}

async fn what_overlaps_is_refused(log: Log) {
    let (doctor, first) = (id(), id());
    log.append(claiming(first, [book(doctor, 10, 12, first)])).await.expect("booked");
    for (from, until) in [(10, 12), (9, 11), (11, 13), (9, 13), (10, 11)] {
        is_refused(&log, [book(doctor, from, until, id())], first).await;
    }
    assert_eq!(log.proved_length().await, 1);
}

async fn back_to_back_is_no_overlap(log: Log) {
    let doctor = id();
    for (from, until) in [(10, 12), (12, 13), (9, 10)] {
        let owner = id();
        log.append(claiming(owner, [book(doctor, from, until, owner)])).await.expect("booked");
    }
}

async fn another_resource_is_free(log: Log) {
    for _ in 0..3 {
        let owner = id();
        log.append(claiming(owner, [book(id(), 10, 12, owner)])).await.expect("booked");
    }
}

async fn an_appointment_is_moved_in_one_append(log: Log) {
    let (doctor, room, owner) = (id(), id(), id());
    log.append(claiming(owner, [book(doctor, 10, 12, owner), book(room, 10, 12, owner)])).await.expect("booked");
    let moved = [book(doctor, 11, 13, owner), Claim::Unbook { owner }];
    log.append(claiming(id(), moved)).await.expect("moved by an hour");
    let other = id();
    is_refused(&log, [book(doctor, 12, 13, other)], owner).await;
    log.append(claiming(other, [book(doctor, 10, 11, other), book(room, 10, 12, other)])).await.expect("free again");
    log.append(claiming(id(), [Claim::Unbook { owner }])).await.expect("cancelled");
    let third = id();
    log.append(claiming(third, [book(doctor, 11, 13, third)])).await.expect("free again");
}

async fn two_appointments_change_places_in_one_append(log: Log) {
    let (doctor, early, late) = (id(), id(), id());
    log.append(claiming(early, [book(doctor, 10, 11, early), book(doctor, 11, 12, late)])).await.expect("booked");
    let swap = [
        Claim::Unbook { owner: early },
        book(doctor, 11, 12, early),
        Claim::Unbook { owner: late },
        book(doctor, 10, 11, late),
    ];
    log.append(claiming(id(), swap)).await.expect("changed");
    is_refused(&log, [book(doctor, 10, 11, id())], late).await;
}

async fn nobody_overlaps_with_oneself(log: Log) {
    let (doctor, owner) = (id(), id());
    is_refused(&log, [book(doctor, 10, 12, owner), book(doctor, 11, 13, owner)], owner).await;
    log.append(claiming(owner, [book(doctor, 10, 12, owner), book(doctor, 12, 13, owner)])).await.expect("booked");
    is_refused(&log, [book(doctor, 11, 13, owner)], owner).await;
}

async fn a_booking_ends_after_it_begins(log: Log) {
    let (doctor, owner) = (id(), id());
    let instant =
        Claim::Book { resource: doctor, from: hour(10), until: hour(10) + TimeDelta::nanoseconds(400), owner };
    for claim in [book(doctor, 12, 10, owner), book(doctor, 10, 10, owner), instant] {
        assert!(matches!(log.append(claiming(id(), [claim])).await, Err(AppendError::Malformed(_))));
    }
    assert_eq!(log.proved_length().await, 0);
}

async fn several_resources_are_booked_together_or_not_at_all(log: Log) {
    let (doctor, room, first) = (id(), id(), id());
    log.append(claiming(first, [book(room, 10, 12, first)])).await.expect("booked");
    let second = id();
    is_refused(&log, [book(doctor, 11, 12, second), book(room, 11, 12, second)], first).await;
    log.append(claiming(second, [book(doctor, 11, 12, second)])).await.expect("the doctor is still free");
}

async fn who_has_booked_what_is_found_by_resource_and_time(log: Log) {
    let (doctor, room, other) = (id(), id(), id());
    let (first, second, third) = (id(), id(), id());
    log.append(claiming(first, [book(doctor, 12, 14, first), book(room, 12, 14, first)])).await.expect("booked");
    log.append(claiming(second, [book(doctor, 10, 12, second)])).await.expect("booked");
    log.append(claiming(third, [book(other, 10, 20, third)])).await.expect("booked");
    let found = async |spans: &[(Uuid, i64, i64)]| {
        let span = |(resource, from, until): &(Uuid, i64, i64)| Span {
            resource: *resource,
            from: hour(*from),
            until: hour(*until),
        };
        let spans: Vec<_> = spans.iter().map(span).collect();
        log.store().bookings(&spans).await.expect("an answer")
    };
    let booked = |resource, from, until, owner| Booked { resource, from: hour(from), until: hour(until), owner };
    let expected = [booked(doctor, 10, 12, second), booked(doctor, 12, 14, first)];
    assert_eq!(found(&[(doctor, 0, 100)]).await, expected);
    // What ends or begins at the limits does not overlap, and what several spans find is found once.
    assert_eq!(found(&[(doctor, 12, 13), (doctor, 13, 14)]).await, expected[1..]);
    assert_eq!(found(&[(doctor, 14, 20), (room, 0, 12), (id(), 0, 100)]).await, []);
    assert_eq!(found(&[(doctor, 11, 11), (doctor, 13, 11)]).await, [], "a span that ends before it begins is empty");
    assert_eq!(found(&[]).await, []);
    let both: Vec<_> = found(&[(doctor, 13, 20), (room, 13, 20)]).await.iter().map(|it| it.owner).collect();
    assert_eq!(both, [first, first]);
}
