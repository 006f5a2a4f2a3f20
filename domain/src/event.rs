use serde::de::DeserializeOwned;

use crate::Aggregate;

/// Where a stored event comes from: something that can be read as whatever type the stream asks for.
pub trait Read {
    /// Why it cannot be read.
    type Error;
    /// Reads it.
    fn read<E: DeserializeOwned>(self) -> Result<E, Self::Error>;
}

macro_rules! aggregates {
    ($($name:ident = $module:ident),* $(,)?) => {
        /// Any event of any aggregate: what a projection matches on.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each is the event of the aggregate that it names")]
        pub enum DomainEvent { $( $name(crate::$module::Event) ),* }

        impl DomainEvent {
            /// Every stream type.
            pub const STREAMS: &'static [&'static str] = &[$(<crate::$module::$name as Aggregate>::STREAM),*];

            /// Reads an event of a stream type; `None` when no aggregate has that stream type.
            pub fn read<R: Read>(stream_type: &str, stored: R) -> Option<Result<Self, R::Error>> {
                $( if stream_type == <crate::$module::$name as Aggregate>::STREAM {
                    return Some(stored.read().map(Self::$name));
                } )*
                None
            }
        }

        /// Calls a macro once for each aggregate with its type; the one list of them all.
        #[macro_export]
        macro_rules! for_each_aggregate {
            ($then:ident) => { $( $then!($crate::$module::$name); )* };
        }
    };
}

aggregates! {
    Access = access,
    Role = role,
    User = user,
    Session = session,
    Department = department,
    Room = room,
    Patient = patient,
    Appointment = appointment,
    Consultation = consultation,
    VitalSigns = vital_signs,
    Medication = medication,
    MedicationLot = medication_lot,
    Prescription = prescription,
}
