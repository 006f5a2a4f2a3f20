//! Departments: organisational units, each with the time zone in which it keeps its book.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Phone, Text};
use crate::{Aggregate, DepartmentId, Subject, UserId, described};

described! {
    /// What a department is.
    pub struct Details {
        /// Its unique short code.
        pub code: Text<20>,
        /// Its name.
        pub name: Text<100>,
        /// What it does.
        pub description: Option<LongText>,
        /// The department that it is part of.
        pub parent_id: Option<DepartmentId>,
        /// Its time zone in the IANA database, such as `America/New_York`.
        pub time_zone: Text<64>,
        /// Its phone number; stored in E.164.
        pub phone: Option<Phone>,
        /// Who leads it.
        pub head_user_id: Option<UserId>,
    }
}

/// A department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Department {
    /// What it is.
    pub details: Details,
    /// A closed department takes no new appointments, rooms or staff.
    pub is_active: bool,
}

/// What can happen to a department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was opened.
    Opened(Details),
    /// It is something else now.
    Changed(Details),
    /// It was closed.
    Closed,
}

impl Aggregate for Department {
    const STREAM: &'static str = "department";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Opened(details) => Some(Self { details: details.clone(), is_active: true }),
            Event::Changed(details) => state.map(|it| Self { details: details.clone(), ..it }),
            Event::Closed => state.map(|it| Self { is_active: false, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
