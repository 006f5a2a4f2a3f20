//! Several streams in one append: one begins, another continues, and the claims of each follow from its state.

use hims_domain::{RoomId, Subject, described};
use serde::{Deserialize, Serialize};

use super::*;
use crate::machinery::decision::Mistake;
use crate::{Claims, Context, Decision, Found, Held, Permission, Reads, Target};

/// A table that can be reserved for an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(unreachable_pub, reason = "`described!` declares public structs, and what they name is public as well")]
pub struct Reservation {
    table: RoomId,
    guests: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(unreachable_pub, reason = "`described!` declares public structs, and what they name is public as well")]
pub enum Reserved {
    Made { table: RoomId },
    GuestAdded,
}

impl Aggregate for Reservation {
    const STREAM: &'static str = "reservation";
    type Event = Reserved;

    fn evolve(state: Option<Self>, event: &Reserved) -> Option<Self> {
        match event {
            Reserved::Made { table } => Some(Self { table: *table, guests: 0 }),
            Reserved::GuestAdded => state.map(|it| Self { guests: it.guests + 1, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}

impl Claims for Reservation {
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.book_span(self.table, now(), now() + chrono::TimeDelta::hours(1))
            .or_refuse("table-taken", "the table is taken");
    }
}

described! {
    /// Adds a guest to a reservation.
    pub struct AddGuest {
        /// Which reservation.
        pub reservation: AppointmentId,
    }

    /// Reserves a table for a guest, and another table for the guest's friends.
    pub struct ReserveTwo {
        /// The first table.
        pub table: RoomId,
        /// The other table.
        pub other_table: RoomId,
        /// The id of the other reservation.
        pub other_id: AppointmentId,
        /// A reservation that gets a guest more.
        pub joined: Option<AppointmentId>,
        /// Whether that reservation is looked up first, as it must be.
        pub looks_up: bool,
    }
}

impl Command for AddGuest {
    const NAME: &'static str = "add-guest";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Reservation;

    fn target(&self) -> Target {
        Target::existing(self.reservation)
    }

    /// Whoever comes first to a table is at home there.
    fn is_own(&self, state: Option<&Reservation>, _: &Caller) -> bool {
        state.is_some_and(|reservation| reservation.guests == 0)
    }

    fn decide(self, _: Option<&Reservation>, _: &Context<'_>) -> Result<Decision<Reservation>, Refused> {
        Ok(Decision::event(Reserved::GuestAdded))
    }
}

impl Command for ReserveTwo {
    const NAME: &'static str = "reserve-two";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Reservation;

    fn target(&self) -> Target {
        Target::New(None)
    }

    fn reads(&self, _: Option<&Reservation>, _: &Found) -> Reads {
        Reads::nothing().maybe::<Reservation>(self.joined.filter(|_| self.looks_up))
    }

    fn decide(self, _: Option<&Reservation>, _: &Context<'_>) -> Result<Decision<Reservation>, Refused> {
        let decision = Decision::event(Reserved::Made { table: self.table })
            .begin::<Reservation>(self.other_id, Reserved::Made { table: self.other_table })
            .also::<Reservation>(self.other_id, Reserved::GuestAdded);
        Ok(match self.joined {
            Some(joined) => decision.also::<Reservation>(joined, Reserved::GuestAdded),
            None => decision,
        })
    }
}

fn two(tables: [u128; 2], other_id: u128) -> ReserveTwo {
    let [table, other_table] = tables.map(id);
    ReserveTwo { table, other_table, other_id: id(other_id), joined: None, looks_up: true }
}

#[tokio::test]
async fn further_streams_are_begun_and_go_on_in_the_same_append() {
    let world = World::new();
    let made = world.done(two([1, 2], 77)).await;
    let events: Vec<_> = made.events.iter().map(|it| (it.event_type.as_str(), it.version, it.position)).collect();
    let expected = [("reservation.made", 1, 1), ("reservation.made", 1, 2), ("reservation.guest_added", 2, 3)];
    assert_eq!(events, expected);
    assert_eq!(*world.state::<Reservation>(id::<Uuid>(77)).await, Reservation { table: id(2), guests: 1 });
    // An existing stream continues, if the command looks it up.
    world.done(ReserveTwo { joined: Some(id(77)), ..two([3, 4], 78) }).await;
    assert_eq!(world.state::<Reservation>(id::<Uuid>(77)).await.guests, 2);
}

#[tokio::test]
async fn every_stream_of_an_append_holds_what_its_state_says() {
    let world = World::new();
    let made = world.done(two([1, 2], 77)).await.id;
    for (tables, holders) in [([1, 5], vec![made]), ([5, 2], vec![id(77)]), ([1, 2], vec![made, id(77)])] {
        let refused = refused(world.execute(two(tables, 78)).await);
        assert_eq!(refused.code, "table-taken");
        let mut candidates = refused.candidates;
        candidates.sort_unstable_by_key(|it| *it == id::<Uuid>(77));
        assert_eq!(candidates, holders);
        assert!(refused.errors.iter().all(|it| it.code == Some("table-taken")));
        assert_eq!(refused.errors.len(), holders.len());
    }
    assert_eq!(world.count("reservation.made").await, 2, "all or nothing");
}

#[tokio::test]
async fn what_is_to_begin_must_not_be_there() {
    let world = World::new();
    world.done(two([1, 2], 77)).await;
    let refused = refused(world.execute(two([3, 4], 77)).await);
    assert_eq!((refused.code, refused.candidates), ("already-exists", vec![id::<Uuid>(77)]));
}

#[tokio::test]
async fn a_decision_that_no_append_can_follow_from_is_a_mistake_of_the_program() {
    let world = World::new();
    world.done(two([1, 2], 77)).await;
    world.has::<Department>(DEPARTMENT, [opened()]).await;
    let mistake = async |joined: u128, looks_up| {
        let careless = ReserveTwo { joined: Some(id(joined)), looks_up, ..two([3, 4], 78) };
        match world.execute(careless).await {
            Err(Failure::Mistake(mistake)) => mistake,
            other => panic!("carried out, or refused: {other:?}"),
        }
    };
    assert_eq!(mistake(77, false).await, Mistake::NotLookedUp("reservation"));
    assert_eq!(mistake(79, true).await, Mistake::NotThere("reservation"), "nothing begins with a further event");
    assert_eq!(mistake(DEPARTMENT.0.as_u128(), true).await, Mistake::NotThere("reservation"), "it is a department");
    assert_eq!(world.count("reservation.made").await, 2, "the mistakes left nothing behind");
}

#[tokio::test]
async fn whether_something_is_the_callers_own_may_depend_on_its_state() {
    let world = World::new();
    world.has::<Reservation>(id::<Uuid>(77), [Reserved::Made { table: id(1) }]).await;
    let join = |reservation| world.executor.execute(AddGuest { reservation }, Request::of(somebody("patient")));
    join(id(77)).await.unwrap();
    assert_eq!(refused(join(id(77)).await).code, "forbidden");
    // Nobody is told whether there is such a reservation.
    assert_eq!(refused(join(id(78)).await).code, "forbidden");
}
