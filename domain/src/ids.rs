//! Identities. The server mints UUIDs of version 7; a caller may bring its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Described, Shape};

macro_rules! ids {
    ($($(#[doc = $about:literal])* $name:ident),* $(,)?) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self { id.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }

        impl Described for $name {
            const SHAPE: Shape = Shape::Uuid;
        }
    )*};
}

ids! {
    /// A set of permissions with a name.
    RoleId,
    /// A login: a member of staff, or a patient who uses the portal.
    UserId,
    /// One stay of a user in the system, from login to logout.
    SessionId,
    /// An organisational unit with its own time zone.
    DepartmentId,
    /// A place that can be booked or that holds stock.
    RoomId,
    /// A person under care.
    PatientId,
    /// One allergy or intolerance of a patient.
    AllergyId,
    /// An agreed meeting of a patient and a provider.
    AppointmentId,
    /// One encounter of a patient and a provider.
    ConsultationId,
    /// One set of vital signs, taken at one time.
    VitalSignsId,
    /// A product of the medication catalogue.
    MedicationId,
    /// One lot of a medication at one place.
    MedicationLotId,
    /// One order of one or more medications.
    PrescriptionId,
    /// One line of a prescription.
    PrescriptionItemId,
}
