use std::sync::LazyLock;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, Visitor, value};
use serde::forward_to_deserialize_any;

use crate::Aggregate;

/// A stored event that can be read as the event enum of its stream.
pub trait Read {
    /// Why the stored event cannot be read.
    type Error;
    /// Reads the stored event as an event of type `E`.
    fn read<E: DeserializeOwned>(self) -> Result<E, Self::Error>;
}

/// Learns the names of the variants of an enum from the way in which serde begins to read the enum.
struct Variants<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Variants<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(value::Error::custom("there is nothing to read"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The types of the events of an aggregate.
fn types_of<A: Aggregate>() -> Vec<&'static str> {
    let mut names: &[&str] = &[];
    // The enum is never read: serde names the variants before it asks for one.
    drop(A::Event::deserialize(Variants(&mut names)));
    names.iter().map(|name| &*format!("{}.{name}", A::STREAM).leak()).collect()
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

            /// The types of all events, such as `appointment.scheduled`.
            pub fn types() -> &'static [&'static str] {
                static TYPES: LazyLock<Vec<&str>> =
                    LazyLock::new(|| [$(types_of::<crate::$module::$name>()),*].concat());
                &TYPES
            }

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
    Log = log,
    Role = role,
    User = user,
    Session = session,
    PasswordReset = password_reset,
    Department = department,
    Room = room,
    Patient = patient,
    ProviderSchedule = provider_schedule,
    AppointmentSeries = appointment_series,
    Appointment = appointment,
    AppointmentNote = appointment_note,
    WaitlistEntry = waitlist_entry,
    Consultation = consultation,
    CareTeamAssignment = care_team_assignment,
    EmergencyAccess = emergency_access,
    Consent = consent,
    Erasure = erasure,
    LegalHold = legal_hold,
    AmendmentRequest = amendment_request,
    Disclosure = disclosure,
    Treatment = treatment,
    VitalSigns = vital_signs,
    MedicalHistory = medical_history,
    LabTest = lab_test,
    LabOrder = lab_order,
    LabResult = lab_result,
    Medication = medication,
    Supplier = supplier,
    InventoryItem = inventory_item,
    InventoryLevel = inventory_level,
    MedicationLot = medication_lot,
    InteractionProfile = interaction_profile,
    InteractionSource = interaction_source,
    Prescription = prescription,
    Payer = payer,
    InsurancePolicy = insurance_policy,
    InsuranceClaim = insurance_claim,
    MedicationList = medication_list,
    Price = price,
    BillingRecord = billing_record,
    Notification = notification,
    NotificationPreferences = notification_preferences,
    Report = report,
    ReportExecution = report_execution,
    ReportSchedule = report_schedule,
    ProcessFailure = process_failure,
}
