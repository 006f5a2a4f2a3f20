use hims_domain::RoleId;
use hims_domain::permission::{Create, Delete, Read, Update, Word};
use hims_domain::role::{Definition, Permissions};

/// A role that every hospital begins with.
struct SystemRole {
    name: &'static str,
    display_name: &'static str,
    description: &'static str,
    create: &'static [Create],
    read: &'static [Read],
    update: &'static [Update],
    delete: &'static [Delete],
}

/// A role that may do nothing.
const NOTHING: SystemRole =
    SystemRole { name: "", display_name: "", description: "", create: &[], read: &[], update: &[], delete: &[] };

/// The seven roles of the schema document (§3.1), with further words for commands and tables that the document does not
/// have, two that look after what the others do, and one that keeps the program running.
const SYSTEM_ROLES: [SystemRole; 10] = [
    SystemRole {
        name: "patient",
        display_name: "Patient",
        description: "Self-service patient access",
        read: &[Read::OwnRecords],
        update: &[Update::OwnProfile],
        ..NOTHING
    },
    SystemRole {
        name: "receptionist",
        display_name: "Receptionist",
        description: "Front desk operations",
        create: &[
            Create::Consents,
            Create::Patients,
            Create::Appointments,
            Create::ProviderSchedules,
            Create::PatientNotes,
            Create::InsurancePolicies,
            Create::Billing,
            Create::Payments,
            Create::ReportExecutions,
        ],
        read: &[Read::AllPatients, Read::AllAppointments, Read::Billing, Read::Staff],
        update: &[
            Update::Consents,
            Update::PatientDemographics,
            Update::AppointmentStatus,
            Update::Appointments,
            Update::ProviderSchedules,
            Update::InsurancePolicies,
            Update::Billing,
            Update::OwnProfile,
        ],
        ..NOTHING
    },
    SystemRole {
        name: "nurse",
        display_name: "Nurse",
        description: "Clinical support staff",
        create: &[
            Create::Consents,
            Create::VitalSigns,
            Create::PatientNotes,
            Create::Allergies,
            Create::Symptoms,
            Create::MedicalHistory,
            Create::Specimens,
            Create::SupplyUsage,
            Create::EmergencyAccess,
            Create::AmendmentRequests,
            Create::ReportExecutions,
        ],
        read: &[Read::AssignedPatients, Read::Inventory, Read::Staff],
        update: &[
            Update::Consents,
            Update::PatientStatus,
            Update::VitalSigns,
            Update::Allergies,
            Update::MedicalHistory,
            Update::MedicationList,
            Update::AppointmentStatus,
            Update::ConsultationSteps,
            Update::Witness,
            Update::CriticalResults,
            Update::AmendmentRequests,
            Update::OwnProfile,
        ],
        ..NOTHING
    },
    SystemRole {
        name: "doctor",
        display_name: "Doctor",
        description: "Medical practitioner",
        create: &[
            Create::Consents,
            Create::EmergencyAccess,
            Create::Consultations,
            Create::Prescriptions,
            Create::LabOrders,
            Create::VitalSigns,
            Create::Allergies,
            Create::PatientNotes,
            Create::Symptoms,
            Create::Diagnoses,
            Create::Treatments,
            Create::MedicalHistory,
            Create::CareTeams,
            Create::AmendmentRequests,
            Create::Disclosures,
            Create::Specimens,
            Create::SupplyUsage,
            Create::ReportExecutions,
            Create::ReportSchedules,
        ],
        read: &[Read::AllPatients, Read::AllAppointments, Read::ClinicalRecords, Read::Staff],
        update: &[
            Update::Consents,
            Update::ConsultationStatus,
            Update::ConsultationSteps,
            Update::TreatmentPlans,
            Update::LabOrderStatus,
            Update::LabReviews,
            Update::CriticalResults,
            Update::PatientStatus,
            Update::VitalSigns,
            Update::Allergies,
            Update::MedicalHistory,
            Update::MedicationList,
            Update::AppointmentStatus,
            Update::PrescriptionStatus,
            Update::CareTeams,
            Update::AmendmentRequests,
            Update::AmendmentDecisions,
            Update::Witness,
            Update::OwnProfile,
        ],
        ..NOTHING
    },
    SystemRole {
        name: "pharmacist",
        display_name: "Pharmacist",
        description: "Medication dispensing",
        create: &[
            Create::MedicationDispensing,
            Create::Inventory,
            Create::Medications,
            Create::DrugInteractions,
            Create::Suppliers,
            Create::SupplyUsage,
            Create::ReportExecutions,
            Create::ReportSchedules,
        ],
        read: &[Read::Prescriptions, Read::Inventory, Read::Staff],
        update: &[
            Update::PrescriptionStatus,
            Update::InventoryLevels,
            Update::Suppliers,
            Update::Medications,
            Update::DrugInteractions,
            Update::MedicationList,
            Update::Witness,
            Update::OwnProfile,
        ],
        ..NOTHING
    },
    SystemRole {
        name: "lab_technician",
        display_name: "Lab Technician",
        description: "Laboratory operations",
        create: &[
            Create::LabResults,
            Create::Specimens,
            Create::LabTests,
            Create::SupplyUsage,
            Create::ReportExecutions,
            Create::ReportSchedules,
        ],
        read: &[Read::LabOrders, Read::Staff],
        update: &[Update::LabOrderStatus, Update::ResultStatus, Update::LabTests, Update::OwnProfile],
        ..NOTHING
    },
    SystemRole {
        name: "administrator",
        display_name: "Administrator",
        description: "System administration",
        create: &[
            Create::Consents,
            Create::Users,
            Create::Departments,
            Create::Roles,
            Create::Rooms,
            Create::Medications,
            Create::DrugInteractions,
            Create::ProviderSchedules,
            Create::Payers,
            Create::Claims,
            Create::InsurancePolicies,
            Create::Billing,
            Create::Payments,
            Create::LabTests,
            Create::Inventory,
            Create::Suppliers,
            Create::Notifications,
            Create::CareTeams,
            Create::Erasures,
            Create::LegalHolds,
            Create::AmendmentRequests,
            Create::Disclosures,
            Create::ReportExecutions,
            Create::ReportSchedules,
        ],
        read: &[Read::AllData],
        update: &[
            Update::Consents,
            Update::Confidentiality,
            Update::SystemSettings,
            Update::UserPermissions,
            Update::Users,
            Update::Departments,
            Update::Rooms,
            Update::Medications,
            Update::DrugInteractions,
            Update::ProviderSchedules,
            Update::Payers,
            Update::Claims,
            Update::InsurancePolicies,
            Update::Billing,
            Update::BillingAdjustments,
            Update::PriceList,
            Update::LabTests,
            Update::InventoryLevels,
            Update::Suppliers,
            Update::PatientMerges,
            Update::CareTeams,
            Update::EmergencyReviews,
            Update::Erasures,
            Update::LegalHolds,
            Update::AmendmentRequests,
            Update::AmendmentDecisions,
            Update::Disclosures,
            Update::ReportSchedules,
            Update::NotificationStatus,
            Update::OwnProfile,
        ],
        delete: &[Delete::Users, Delete::Records],
    },
    SystemRole {
        name: "auditor",
        display_name: "Auditor",
        description: "Reads the audit, events as they are stored, and who saw what; no charts",
        read: &[Read::AuditLogs, Read::Staff],
        update: &[Update::OwnProfile],
        ..NOTHING
    },
    SystemRole {
        name: "privacy_officer",
        display_name: "Privacy Officer",
        description: "Reads who saw what, reviews accesses in emergencies, accounts for disclosures, decides on erasures; no charts",
        create: &[
            Create::Consents,
            Create::Disclosures,
            Create::Erasures,
            Create::LegalHolds,
            Create::ReportExecutions,
            Create::ReportSchedules,
        ],
        read: &[Read::AuditLogs, Read::Disclosures, Read::Staff],
        update: &[
            Update::Consents,
            Update::Confidentiality,
            Update::Disclosures,
            Update::EmergencyReviews,
            Update::Erasures,
            Update::LegalHolds,
            Update::OwnProfile,
        ],
        ..NOTHING
    },
    SystemRole {
        name: "operator",
        display_name: "Operator",
        description: "Reads how the hospital is run: failures of processes, statements, tables; no patient",
        read: &[Read::Operations],
        update: &[Update::OwnProfile],
        ..NOTHING
    },
];

/// The roles that every hospital begins with.
pub fn system_roles() -> Vec<(RoleId, Definition)> {
    SYSTEM_ROLES.iter().map(|role| (role_id(role.name), role.definition())).collect()
}

impl SystemRole {
    fn definition(&self) -> Definition {
        Definition {
            name: self.name.into(),
            display_name: self.display_name.into(),
            description: Some(self.description.into()),
            permissions: Permissions {
                create: self.create.iter().copied().map(Word::from).collect(),
                read: self.read.iter().copied().map(Word::from).collect(),
                update: self.update.iter().copied().map(Word::from).collect(),
                delete: self.delete.iter().copied().map(Word::from).collect(),
            },
        }
    }
}

/// The id of a role that every hospital begins with. The id is the same in every hospital: a UUID version 8 that holds
/// the bytes of the name.
pub fn role_id(name: &str) -> RoleId {
    let mut bytes = [0_u8; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    RoleId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hims_domain::role::Permissions;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_role_has_an_id_of_its_own() {
        let ids: BTreeSet<Uuid> = system_roles().into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids.len(), 10);
        assert!(ids.iter().all(|it| it.get_version_num() == 8));
    }

    /// The words of `all` that no system role includes; `of` lists the words of one role.
    fn had_by_nobody(all: &'static [&'static str], of: impl Fn(&Permissions) -> Vec<&str>) -> Vec<&'static str> {
        let roles: Vec<_> = system_roles().into_iter().map(|(_, it)| it.permissions).collect();
        let had: BTreeSet<&str> = roles.iter().flat_map(of).collect();
        all.iter().copied().filter(|it| !had.contains(it)).collect()
    }

    #[test]
    fn every_permission_word_is_had_by_a_role() {
        assert!(had_by_nobody(Create::CODES, |it| it.create.iter().map(Word::as_str).collect()).is_empty());
        assert!(had_by_nobody(Update::CODES, |it| it.update.iter().map(Word::as_str).collect()).is_empty());
        assert!(had_by_nobody(Delete::CODES, |it| it.delete.iter().map(Word::as_str).collect()).is_empty());
        assert!(had_by_nobody(Read::CODES, |it| it.read.iter().map(Word::as_str).collect()).is_empty());
    }
}
