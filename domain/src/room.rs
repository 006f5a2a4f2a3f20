//! Rooms: places that can be booked, or that hold stock.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text};
use crate::{Aggregate, DepartmentId, Subject, described, terms};

terms! {
    /// The purpose of a room.
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
    /// The description of a room.
    pub struct Details {
        /// The department to which the room belongs.
        pub department_id: DepartmentId,
        /// The number of the room, unique in the department.
        pub room_number: Text<20>,
        /// The name of the room.
        pub name: Option<Text<100>>,
        /// The purpose of the room.
        pub room_type: RoomType,
        /// The number of patients for whom the room has space; 1 if left out.
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
    /// The description of the room.
    pub details: Details,
    /// Whether the room can be used.
    pub status: RoomStatus,
}

/// What can happen to a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The room was added.
    Added(Details),
    /// The description of the room changed. The event holds the whole new description.
    Changed(Details),
    /// The room cannot be used for the time being.
    Suspended {
        /// The reason for suspending the room.
        reason: Reason,
    },
    /// The room can be used again.
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
