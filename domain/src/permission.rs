//! The words of the permission documents of roles (schema document, section 3.1): four closed sets, one for each verb.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Described, Invalid, Pointer, Shape, terms};

terms! {
    /// What a role may create.
    pub enum Create {
        Allergies = "allergies",
        AmendmentRequests = "amendment_requests",
        Appointments = "appointments",
        Billing = "billing",
        CareTeams = "care_teams",
        Claims = "claims",
        Consents = "consents",
        Consultations = "consultations",
        Departments = "departments",
        Diagnoses = "diagnoses",
        Disclosures = "disclosures",
        DrugInteractions = "drug_interactions",
        EmergencyAccess = "emergency_access",
        Erasures = "erasures",
        InsurancePolicies = "insurance_policies",
        Inventory = "inventory",
        LabOrders = "lab_orders",
        LabResults = "lab_results",
        LabTests = "lab_tests",
        LegalHolds = "legal_holds",
        MedicalHistory = "medical_history",
        MedicationDispensing = "medication_dispensing",
        Medications = "medications",
        Notifications = "notifications",
        PatientNotes = "patient_notes",
        Patients = "patients",
        Payers = "payers",
        Payments = "payments",
        Prescriptions = "prescriptions",
        ProviderSchedules = "provider_schedules",
        ReportExecutions = "report_executions",
        ReportSchedules = "report_schedules",
        Roles = "roles",
        Rooms = "rooms",
        Specimens = "specimens",
        Suppliers = "suppliers",
        SupplyUsage = "supply_usage",
        Symptoms = "symptoms",
        Treatments = "treatments",
        Users = "users",
        VitalSigns = "vital_signs",
    }

    /// What a role may read.
    pub enum Read {
        AllAppointments = "all_appointments",
        AllData = "all_data",
        AllPatients = "all_patients",
        AssignedPatients = "assigned_patients",
        AuditLogs = "audit_logs",
        Billing = "billing",
        ClinicalRecords = "clinical_records",
        Disclosures = "disclosures",
        Inventory = "inventory",
        LabOrders = "lab_orders",
        Operations = "operations",
        OwnRecords = "own_records",
        Prescriptions = "prescriptions",
        Staff = "staff",
    }

    /// What a role may change.
    pub enum Update {
        Allergies = "allergies",
        AmendmentDecisions = "amendment_decisions",
        AmendmentRequests = "amendment_requests",
        AppointmentStatus = "appointment_status",
        Appointments = "appointments",
        Billing = "billing",
        BillingAdjustments = "billing_adjustments",
        CareTeams = "care_teams",
        Claims = "claims",
        Confidentiality = "confidentiality",
        Consents = "consents",
        ConsultationStatus = "consultation_status",
        ConsultationSteps = "consultation_steps",
        CriticalResults = "critical_results",
        Departments = "departments",
        Disclosures = "disclosures",
        DrugInteractions = "drug_interactions",
        EmergencyReviews = "emergency_reviews",
        Erasures = "erasures",
        InsurancePolicies = "insurance_policies",
        InventoryLevels = "inventory_levels",
        LabOrderStatus = "lab_order_status",
        LabReviews = "lab_reviews",
        LabTests = "lab_tests",
        LegalHolds = "legal_holds",
        MedicalHistory = "medical_history",
        MedicationList = "medication_list",
        Medications = "medications",
        NotificationStatus = "notification_status",
        OwnProfile = "own_profile",
        PatientDemographics = "patient_demographics",
        PatientMerges = "patient_merges",
        PatientStatus = "patient_status",
        Payers = "payers",
        PrescriptionStatus = "prescription_status",
        PriceList = "price_list",
        ProviderSchedules = "provider_schedules",
        ReportSchedules = "report_schedules",
        ResultStatus = "result_status",
        Rooms = "rooms",
        Suppliers = "suppliers",
        SystemSettings = "system_settings",
        TreatmentPlans = "treatment_plans",
        UserPermissions = "user_permissions",
        Users = "users",
        VitalSigns = "vital_signs",
        Witness = "witness",
    }

    /// What a role may end for good.
    pub enum Delete {
        Records = "records",
        Users = "users",
    }
}

/// A word of a permission document, which should belong to the set `T`.
///
/// A stored document may hold a word outside the set, so that a word which a later release gives up does not make
/// history unreadable. A new document with a word outside the set is refused.
pub struct Word<T> {
    word: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Word<T> {
    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.word
    }
}

impl<T: fmt::Display> From<T> for Word<T> {
    fn from(term: T) -> Self {
        Self { word: term.to_string(), of: PhantomData }
    }
}

impl<T> Borrow<str> for Word<T> {
    fn borrow(&self) -> &str {
        &self.word
    }
}

impl<T> Clone for Word<T> {
    fn clone(&self) -> Self {
        Self { word: self.word.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word.fmt(f)
    }
}

impl<T> PartialEq for Word<T> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl<T> Eq for Word<T> {}

impl<T> PartialOrd for Word<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Word<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.word.cmp(&other.word)
    }
}

impl<T> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.word.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { word: String::deserialize(deserializer)?, of: PhantomData })
    }
}

impl<T: Described> Described for Word<T> {
    const SHAPE: Shape = T::SHAPE;

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if let Shape::OneOf { codes, .. } = T::SHAPE
            && !codes.contains(&self.as_str())
        {
            invalid.push(at.invalid(format!("must be one of {}", codes.join(", "))));
        }
    }
}
