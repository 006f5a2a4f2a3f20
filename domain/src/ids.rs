//! The ids of aggregates and of their parts. The server makes UUIDs of version 7; a caller may send a UUID of its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amendment_request::AmendmentRequest;
use crate::appointment::Appointment;
use crate::appointment_note::AppointmentNote;
use crate::appointment_series::AppointmentSeries;
use crate::billing_record::BillingRecord;
use crate::care_team_assignment::CareTeamAssignment;
use crate::consent::Consent;
use crate::consultation::Consultation;
use crate::department::Department;
use crate::disclosure::Disclosure;
use crate::emergency_access::EmergencyAccess;
use crate::erasure::Erasure;
use crate::insurance_claim::InsuranceClaim;
use crate::insurance_policy::InsurancePolicy;
use crate::interaction_profile::InteractionProfile;
use crate::interaction_source::InteractionSource;
use crate::inventory_item::InventoryItem;
use crate::inventory_level::InventoryLevel;
use crate::lab_order::LabOrder;
use crate::lab_result::LabResult;
use crate::lab_test::LabTest;
use crate::legal_hold::LegalHold;
use crate::medical_history::MedicalHistory;
use crate::medication::Medication;
use crate::medication_list::MedicationList;
use crate::medication_lot::MedicationLot;
use crate::notification::Notification;
use crate::patient::Patient;
use crate::payer::Payer;
use crate::prescription::Prescription;
use crate::price::Price;
use crate::provider_schedule::ProviderSchedule;
use crate::report::Report;
use crate::report_execution::ReportExecution;
use crate::report_schedule::ReportSchedule;
use crate::role::Role;
use crate::room::Room;
use crate::session::Session;
use crate::supplier::Supplier;
use crate::treatment::Treatment;
use crate::user::User;
use crate::vital_signs::VitalSigns;
use crate::waitlist_entry::WaitlistEntry;
use crate::{Aggregate, Described, Invalid, Pointer, Shape};

/// What an id or a key must be that comes from outside.
pub const ID_RULE: &str = "a UUID, and neither the nil nor the max UUID (all zeros, all ones)";

/// Whether a UUID can be the id of something. The nil and the max UUID (RFC 9562) cannot: programs send them when they
/// have no id.
fn names_something(id: Uuid) -> bool {
    !id.is_nil() && !id.is_max()
}

/// Reads an id or a key that comes from outside; `None` if the text is no UUID, or one that can be no id.
pub fn read_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|it| names_something(*it))
}

/// Declares the ids, each with the aggregate that the id identifies: `PatientId: Patient;`. The id of a part of an
/// aggregate names the part too: `AllergyId: Patient, "allergy";`.
macro_rules! ids {
    ($($(#[doc = $about:literal])* $name:ident: $aggregate:ty $(, $part:literal)?;)*) => {$(
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
            const SHAPE: Shape =
                Shape::Id { stream: <$aggregate as Aggregate>::STREAM, part: concat!($($part)?) };

            /// Refuses what no record can have as its id.
            fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
                if !names_something(self.0) {
                    invalid.push(at.invalid(format!("must be {ID_RULE}")));
                }
            }
        }
    )*};
}

ids! {
    /// A set of permissions with a name.
    RoleId: Role;
    /// A login: a member of staff, or a patient who uses the portal.
    UserId: User;
    /// A secret of a service account.
    ClientSecretId: User, "client_secret";
    /// A key with which a user logs in instead of with a password.
    PasskeyId: User, "passkey";
    /// One session of a user, from login to logout.
    SessionId: Session;
    /// An organisational unit with its own time zone.
    DepartmentId: Department;
    /// A place that can be booked or that holds stock.
    RoomId: Room;
    /// A person under care.
    PatientId: Patient;
    /// One allergy or intolerance of a patient.
    AllergyId: Patient, "allergy";
    /// A person to call when something happens to a patient.
    EmergencyContactId: Patient, "emergency_contact";
    /// One entry of a patient's medical history.
    MedicalHistoryId: MedicalHistory;
    /// The assignment of a user to the care team of a patient.
    CareTeamAssignmentId: CareTeamAssignment;
    /// An access to a patient's records in an emergency.
    EmergencyAccessId: EmergencyAccess;
    /// What a patient allows or forbids others to see.
    ConsentId: Consent;
    /// The erasure of a person.
    ErasureId: Erasure;
    /// A hold that keeps the records of a person from being erased.
    LegalHoldId: LegalHold;
    /// The request of a patient to amend their record.
    AmendmentRequestId: AmendmentRequest;
    /// The record with the row that a patient asks to amend, whatever it is a record of.
    AmendedRecordId: AmendmentRequest, "record";
    /// The row that a patient asks to amend, of whichever table.
    AmendedRowId: AmendmentRequest, "row";
    /// A disclosure of what is recorded about a patient.
    DisclosureId: Disclosure;
    /// A time in which a provider is away.
    LeaveId: ProviderSchedule, "leave";
    /// An agreed meeting of a patient and a provider.
    AppointmentId: Appointment;
    /// A series of appointments that are agreed together.
    AppointmentSeriesId: AppointmentSeries;
    /// A note on an appointment.
    AppointmentNoteId: AppointmentNote;
    /// A place of a patient on the waiting list.
    WaitlistEntryId: WaitlistEntry;
    /// One encounter of a patient and a provider.
    ConsultationId: Consultation;
    /// One step of a consultation.
    ConsultationStepId: Consultation, "step";
    /// One symptom of a consultation.
    SymptomId: Consultation, "symptom";
    /// One diagnosis of a consultation.
    DiagnosisId: Consultation, "diagnosis";
    /// One treatment of a patient.
    TreatmentId: Treatment;
    /// A plan to which several treatments belong.
    CarePlanId: Treatment, "care plan";
    /// One set of vital signs, taken at one time.
    VitalSignsId: VitalSigns;
    /// A test of the laboratory.
    LabTestId: LabTest;
    /// One order of one or more laboratory tests for a patient.
    LabOrderId: LabOrder;
    /// One line of a laboratory order.
    LabOrderItemId: LabOrder, "item";
    /// What was taken from a patient in one container.
    SpecimenId: LabOrder, "specimen";
    /// The result of one item of a laboratory order.
    LabResultId: LabResult;
    /// A product of the medication catalogue.
    MedicationId: Medication;
    /// One lot of a medication at one place of storage.
    MedicationLotId: MedicationLot;
    /// A change of the quantity of a lot that waits, or waited, for a witness.
    LotChangeId: MedicationLot, "change";
    /// What one source says about combining one ingredient with others.
    InteractionProfileId: InteractionProfile;
    /// The list of the sources of interactions that were loaded.
    InteractionSourceId: InteractionSource;
    /// An organisation that delivers medicines and supplies.
    SupplierId: Supplier;
    /// What a hospital keeps in stock: an article.
    InventoryItemId: InventoryItem;
    /// How much of an article a room holds: one level for each article and room.
    InventoryLevelId: InventoryLevel;
    /// What a patient takes: one list for each patient.
    MedicationListId: MedicationList;
    /// One medication that a patient takes or took.
    MedicationEntryId: MedicationList, "entry";
    /// One prescription of one or more medications for a patient.
    PrescriptionId: Prescription;
    /// One line of a prescription.
    PrescriptionItemId: Prescription, "item";
    /// An insurer, or another organisation that pays for patients.
    PayerId: Payer;
    /// One insurance policy of a patient.
    InsurancePolicyId: InsurancePolicy;
    /// The prices of one service in one price list.
    PriceId: Price;
    /// What is charged to a patient together: an invoice, or what will become one.
    BillingRecordId: BillingRecord;
    /// One line of a billing record.
    BillingItemId: BillingRecord, "item";
    /// One payment or refund.
    BillingPaymentId: BillingRecord, "payment";
    /// What a line charges for, such as a treatment.
    ChargeSourceId: BillingRecord, "source";
    /// One claim on a payer for an invoice.
    InsuranceClaimId: InsuranceClaim;
    /// One adjudication of a claim, or the reversal of one.
    ClaimPaymentId: InsuranceClaim, "payment";
    /// Something that users or patients are told.
    NotificationId: Notification;
    /// One recipient of a notification on one channel.
    NotificationRecipientId: Notification, "recipient";
    /// A report that the program can make.
    ReportId: Report;
    /// One execution of a report.
    ReportExecutionId: ReportExecution;
    /// The times at which a report is made.
    ReportScheduleId: ReportSchedule;
}
