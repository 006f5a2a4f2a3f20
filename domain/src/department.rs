//! Departments: organisational units, each with the time zone in which its appointments are kept.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Name, Phone, Text};
use crate::{Aggregate, DepartmentId, Subject, UserId, described};

described! {
    /// The description of a department.
    pub struct Details {
        /// The short code of the department, unique in the hospital.
        pub code: Text<20>,
        /// The name of the department.
        pub name: Name<100>,
        /// What the department does.
        pub description: Option<LongText>,
        /// The department of which this department is a part.
        pub parent_id: Option<DepartmentId>,
        /// The time zone of the department (IANA database), such as `America/New_York`.
        pub time_zone: Text<64>,
        /// The phone number of the department; stored in E.164.
        pub phone: Option<Phone>,
        /// The user who leads the department.
        pub head_user_id: Option<UserId>,
    }
}

/// A department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Department {
    /// The description of the department.
    pub details: Details,
    /// Whether the department is open. A closed department takes no new appointments, rooms or staff.
    pub is_active: bool,
}

/// What can happen to a department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The department was opened.
    Opened(Details),
    /// The description of the department changed. The event holds the whole new description.
    Changed(Details),
    /// The department was closed.
    Closed,
    /// The department was opened again.
    Reopened,
}

impl Aggregate for Department {
    const STREAM: &'static str = "department";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Opened(details) => Some(Self { details: details.clone(), is_active: true }),
            Event::Changed(details) => state.map(|it| Self { details: details.clone(), ..it }),
            Event::Closed => state.map(|it| Self { is_active: false, ..it }),
            Event::Reopened => state.map(|it| Self { is_active: true, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
