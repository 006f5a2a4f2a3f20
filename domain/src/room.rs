//! Rooms: places that can be booked, or that hold stock.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Text};
use crate::{Aggregate, DepartmentId, Subject, described, terms};

terms! {
    /// What a room is for.
    pub enum RoomType {
        Exam = "exam",
        Procedure = "procedure",
        Operating = "operating",
        Ward = "ward",
        Lab = "lab",
        Imaging = "imaging",
        Consult = "consult",
        Virtual = "virtual",
        Pharmacy = "pharmacy",
    }

    /// Whether a room can be used.
    pub enum RoomStatus {
        Active = "active",
        Suspended = "suspended",
    }
}

described! {
    /// What a room is.
    pub struct Details {
        /// Whose it is.
        pub department_id: DepartmentId,
        /// Its number, unique in the department.
        pub room_number: Text<20>,
        /// Its name.
        pub name: Option<Text<100>>,
        /// What it is for.
        pub room_type: RoomType,
        /// How many patients it takes; 1 unless told.
        #[serde(default = "one")]
        pub capacity: i32,
    }
}

fn one() -> i32 {
    1
}

/// A room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Room {
    /// What it is.
    pub details: Details,
    /// Whether it can be used.
    pub status: RoomStatus,
}

/// What can happen to a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was added.
    Added(Details),
    /// It is something else now.
    Changed(Details),
    /// It cannot be used for the time being.
    Suspended {
        /// Why.
        reason: LongText,
    },
    /// It can be used again.
    Reactivated,
}

impl Aggregate for Room {
    const STREAM: &'static str = "room";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added(details) => Some(Self { details: details.clone(), status: RoomStatus::Active }),
            Event::Changed(details) => state.map(|it| Self { details: details.clone(), ..it }),
            Event::Suspended { reason: _ } => state.map(|it| Self { status: RoomStatus::Suspended, ..it }),
            Event::Reactivated => state.map(|it| Self { status: RoomStatus::Active, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
