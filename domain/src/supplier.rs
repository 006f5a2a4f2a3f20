//! Suppliers: organisations that deliver medicines and supplies (FHIR R4 `Organization`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{DeaNumber, Email, Name, Phone, Text};
use crate::{Aggregate, Personal, Subject, described};

described! {
    /// The description of a supplier.
    pub struct Details {
        /// The short code of the supplier, unique in the hospital.
        pub code: Text<20>,
        /// The name of the supplier.
        pub name: Name<200>,
        /// The name of the person to talk to.
        pub contact_name: Option<Personal<Name<200>>>,
        /// The e-mail address for orders and questions.
        pub email: Option<Personal<Email>>,
        /// The phone number for orders and questions; stored in E.164.
        pub phone: Option<Personal<Phone>>,
        /// The postal address of the supplier.
        pub address: Option<Text<500>>,
        /// The number of the supplier's licence to trade in medicines.
        pub license_number: Option<Text<50>>,
        /// The number under which the Drug Enforcement Administration of the United States knows the supplier, which a
        /// supplier of controlled substances has.
        pub dea_number: Option<DeaNumber>,
        /// The number of days from an order to its delivery, from 0 to 365.
        pub lead_time_days: Option<i32>,
    }
}

/// A supplier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Supplier {
    /// The description of the supplier.
    pub details: Details,
    /// Only an active supplier is named in new receipts and as the preferred supplier of an article.
    pub is_active: bool,
}

/// What can happen to a supplier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The supplier was added.
    Added(Box<Details>),
    /// The description of the supplier changed. The event holds the whole new description.
    Changed(Box<Details>),
    /// Nothing more is received from the supplier.
    Deactivated,
    /// Deliveries of the supplier are received again.
    Reactivated,
}

impl Aggregate for Supplier {
    const STREAM: &'static str = "supplier";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added(details) => Some(Self { details: (**details).clone(), is_active: true }),
            Event::Changed(details) => state.map(|it| Self { details: (**details).clone(), ..it }),
            Event::Deactivated => state.map(|it| Self { is_active: false, ..it }),
            Event::Reactivated => state.map(|it| Self { is_active: true, ..it }),
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::Supplier(id))
    }
}
