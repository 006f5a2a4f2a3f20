use serde::de::DeserializeOwned;

use crate::Aggregate;

/// A stored event that can be read as the event enum of its stream.
pub trait Read {
    /// Why the stored event cannot be read.
    type Error;
    /// Reads the stored event as an event of type `E`.
    fn read<E: DeserializeOwned>(self) -> Result<E, Self::Error>;
}

macro_rules! aggregates {
    ($($name:ident = $module:ident),* $(,)?) => {
        /// An event of any aggregate, on which projections match.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant holds the event of the aggregate that it names")]
        pub enum DomainEvent { $( $name(crate::$module::Event) ),* }

        impl DomainEvent {
            /// The stream types of all aggregates.
            pub const STREAMS: &'static [&'static str] = &[$(<crate::$module::$name as Aggregate>::STREAM),*];

            /// Reads a stored event of a stream type; `None` when no aggregate has the stream type.
            pub fn read<R: Read>(stream_type: &str, stored: R) -> Option<Result<Self, R::Error>> {
                $( if stream_type == <crate::$module::$name as Aggregate>::STREAM {
                    return Some(stored.read().map(Self::$name));
                } )*
                None
            }
        }

        /// Calls a macro once for each aggregate, with the type of the aggregate. The only list of all aggregates.
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
