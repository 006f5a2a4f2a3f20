use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use hims_domain::access::PurposeOfUse;
use hims_domain::permission::{Create, Delete, Read, Update};
use hims_domain::role::Permissions;
use hims_domain::{DepartmentId, PatientId, UserId};
use hims_event_store::Actor;
use uuid::Uuid;

use crate::Command as _;
use crate::aggregates::user::{AddPasskey, ChangePassword, ConfirmSecondFactor, EnrolSecondFactor};

/// The permission that a command needs: a word that a role may include, or a permission that no role can include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To create a record; a role must include the word.
    Create(Create),
    /// To change a record; a role must include the word.
    Update(Update),
    /// To end a record for good; a role must include the word.
    Delete(Delete),
    /// To act on the caller's own record only. No role can include this permission.
    Own,
    /// To act as a part of the system. No role can include this permission.
    System,
}

impl Permission {
    /// Whether a role with these permissions includes this permission.
    pub fn is_in(self, permissions: &Permissions) -> bool {
        match self {
            Self::Create(word) => permissions.create.contains(word.as_str()),
            Self::Update(word) => permissions.update.contains(word.as_str()),
            Self::Delete(word) => permissions.delete.contains(word.as_str()),
            Self::Own | Self::System => false,
        }
    }

    /// Whether the permission is to treat: to examine, to decide on, to give or to record what concerns a patient's
    /// health. Nobody uses such a permission on their own record.
    pub fn treats(self) -> bool {
        match self {
            Self::Create(word) => match word {
                Create::Allergies
                | Create::Consultations
                | Create::Diagnoses
                | Create::EmergencyAccess
                | Create::LabOrders
                | Create::LabResults
                | Create::MedicalHistory
                | Create::MedicationDispensing
                | Create::PatientNotes
                | Create::Prescriptions
                | Create::Specimens
                | Create::Symptoms
                | Create::Treatments
                | Create::VitalSigns => true,
                Create::AmendmentRequests
                | Create::Appointments
                | Create::Billing
                | Create::CareTeams
                | Create::Claims
                | Create::Consents
                | Create::Departments
                | Create::Disclosures
                | Create::DrugInteractions
                | Create::Erasures
                | Create::InsurancePolicies
                | Create::Inventory
                | Create::LabTests
                | Create::LegalHolds
                | Create::Medications
                | Create::Notifications
                | Create::Patients
                | Create::Payers
                | Create::Payments
                | Create::ProviderSchedules
                | Create::ReportExecutions
                | Create::ReportSchedules
                | Create::Roles
                | Create::Rooms
                | Create::Suppliers
                | Create::SupplyUsage
                | Create::Users => false,
            },
            Self::Update(word) => match word {
                Update::Allergies
                | Update::ConsultationStatus
                | Update::ConsultationSteps
                | Update::CriticalResults
                | Update::LabOrderStatus
                | Update::LabReviews
                | Update::MedicalHistory
                | Update::MedicationList
                | Update::PatientStatus
                | Update::PrescriptionStatus
                | Update::ResultStatus
                | Update::TreatmentPlans
                | Update::VitalSigns => true,
                Update::AmendmentDecisions
                | Update::AmendmentRequests
                | Update::AppointmentStatus
                | Update::Appointments
                | Update::Billing
                | Update::BillingAdjustments
                | Update::CareTeams
                | Update::Claims
                | Update::Confidentiality
                | Update::Consents
                | Update::Departments
                | Update::Disclosures
                | Update::DrugInteractions
                | Update::EmergencyReviews
                | Update::Erasures
                | Update::InsurancePolicies
                | Update::InventoryLevels
                | Update::LabTests
                | Update::LegalHolds
                | Update::Medications
                | Update::NotificationStatus
                | Update::OwnProfile
                | Update::PatientDemographics
                | Update::PatientMerges
                | Update::Payers
                | Update::PriceList
                | Update::ProviderSchedules
                | Update::ReportSchedules
                | Update::Rooms
                | Update::Suppliers
                | Update::SystemSettings
                | Update::UserPermissions
                | Update::Users
                | Update::Witness => false,
            },
            Self::Delete(word) => match word {
                Delete::Records | Delete::Users => false,
            },
            Self::Own | Self::System => false,
        }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(word) => write!(f, "create:{word}"),
            Self::Update(word) => write!(f, "update:{word}"),
            Self::Delete(word) => write!(f, "delete:{word}"),
            Self::Own => f.write_str("own"),
            Self::System => f.write_str("system"),
        }
    }
}

/// What a caller must do before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Somebody else chose the password: the caller changes it.
    ChangePassword,
    /// A role of the caller demands a second factor: the caller enrols and confirms one, or makes a passkey.
    EnrolSecondFactor,
}

impl Duty {
    /// The code with which everything else is refused.
    pub fn code(self) -> &'static str {
        match self {
            Self::ChangePassword => "password-change-required",
            Self::EnrolSecondFactor => "second-factor-required",
        }
    }

    /// What to do, for people.
    pub fn detail(self) -> &'static str {
        match self {
            Self::ChangePassword => "the password was chosen by somebody else; change it with change-password first",
            Self::EnrolSecondFactor => {
                "a role of the caller demands a second factor or a passkey; begin with POST \
                 /api/v1/sessions/current/second-factor or POST /api/v1/sessions/current/passkeys"
            }
        }
    }

    /// Whether a command does the duty.
    pub(crate) fn is_done_by(self, command: &str) -> bool {
        match self {
            Self::ChangePassword => command == ChangePassword::NAME,
            Self::EnrolSecondFactor => {
                [EnrolSecondFactor::NAME, ConfirmSecondFactor::NAME, AddPasskey::NAME].contains(&command)
            }
        }
    }
}

/// The permission words each of which lets a role read the charts of patients.
pub(crate) const CHART_WORDS: [Read; 3] = [Read::AllData, Read::ClinicalRecords, Read::AssignedPatients];

/// The address and the `User-Agent` from which a request came.
pub(crate) type Origin = (Option<IpAddr>, Option<String>);

/// Who gives a command or reads data: a user in a session, or a part of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The user or the part of the system, as events record the actor.
    pub actor: Actor,
    /// The name of the primary role; `None` for a part of the system.
    pub role: Option<String>,
    /// The permissions of all the caller's roles together.
    pub permissions: Arc<Permissions>,
    /// Whether the caller is a part of the system, which may do everything.
    pub is_system: bool,
    /// The session in which the caller is logged in.
    pub session_id: Option<Uuid>,
    /// The patient who the caller is, if the caller's login is linked to a patient: of several records of the person,
    /// the one that survives.
    pub patient_id: Option<PatientId>,
    /// The other records of the patient who the caller is, which were merged into that one.
    pub duplicates: BTreeSet<PatientId>,
    /// The department in which the caller works.
    pub department_id: Option<DepartmentId>,
    /// The time zone of the department; that of the hospital for a user without a department.
    pub time_zone: Tz,
    /// Whether the caller must change the password before any other command.
    pub must_change_password: bool,
    /// For what the caller reads or records.
    pub purpose_of_use: PurposeOfUse,
    /// Whether the caller must enrol a second factor before any other command.
    pub must_enrol_second_factor: bool,
    /// The address from which the request came.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` of the program that sent the request.
    pub user_agent: Option<String>,
}

impl Caller {
    /// A part of the system with a name, which may do everything.
    pub fn system(name: &str) -> Self {
        Self {
            actor: Actor::System { name: name.to_owned() },
            role: None,
            permissions: Arc::default(),
            is_system: true,
            session_id: None,
            patient_id: None,
            duplicates: BTreeSet::new(),
            department_id: None,
            time_zone: Tz::UTC,
            must_change_password: false,
            purpose_of_use: PurposeOfUse::Treatment,
            must_enrol_second_factor: false,
            ip: None,
            user_agent: None,
        }
    }

    /// A part of the system that works for a request from outside.
    pub(crate) fn for_request(name: &str, (ip, user_agent): Origin) -> Self {
        Self { ip, user_agent, ..Self::system(name) }
    }

    /// The address and the `User-Agent` from which the request of the caller came.
    pub(crate) fn origin(&self) -> Origin {
        (self.ip, self.user_agent.clone())
    }

    /// What the caller must do before anything else; `None` if nothing.
    pub fn duty(&self) -> Option<Duty> {
        if self.must_change_password {
            return Some(Duty::ChangePassword);
        }
        self.must_enrol_second_factor.then_some(Duty::EnrolSecondFactor)
    }

    /// The caller without duties, for what a session does by itself: it is renewed and ended all the same.
    pub(super) fn without_duties(self) -> Self {
        Self { must_change_password: false, must_enrol_second_factor: false, ..self }
    }

    /// Whose share of what is limited the caller uses up: the id of the user; the nil UUID for parts of the system.
    pub fn whose_share(&self) -> Uuid {
        self.user_id().map_or_else(Uuid::nil, Uuid::from)
    }

    /// The id of the calling user; `None` for a part of the system.
    pub fn user_id(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id } => Some(UserId(id)),
            Actor::System { .. } => None,
        }
    }

    /// Whether the caller's roles include a permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.is_system || permission.is_in(&self.permissions)
    }

    /// Whether the caller's roles include a permission word for reading.
    pub fn reads(&self, word: Read) -> bool {
        self.is_system || self.permissions.read.contains(word.as_str())
    }

    /// Whether the caller is a patient, by any of the patient's records.
    pub fn is_patient(&self, id: PatientId) -> bool {
        self.patient_id == Some(id) || self.duplicates.contains(&id)
    }

    /// Whether a record is that of the calling user, or one of the patient who the caller is.
    pub fn is_about(&self, id: Uuid) -> bool {
        self.user_id() == Some(UserId(id)) || self.is_patient(PatientId(id))
    }

    /// Whether the caller reads the charts of all patients.
    pub(crate) fn reads_all_charts(&self) -> bool {
        self.reads(Read::AllData) || self.reads(Read::ClinicalRecords)
    }

    /// Whether the caller's roles read charts, if only those of some patients.
    pub(crate) fn reads_charts(&self) -> bool {
        CHART_WORDS.iter().any(|word| self.reads(*word))
    }

    /// Whether the caller is a patient and reads what is recorded about themselves.
    pub(crate) fn reads_own(&self, patient_id: PatientId) -> bool {
        self.is_patient(patient_id) && self.reads(Read::OwnRecords)
    }
}
