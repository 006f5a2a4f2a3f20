use hims_domain::RoleId;
use hims_domain::permission::{Create, Delete, Read, Update, Word};
use hims_domain::role::{Definition, Permissions};

/// The roles that every hospital begins with: the seven roles of the schema document (§3.1), with further words for
/// commands and tables that the document does not have.
pub fn system_roles() -> Vec<(RoleId, Definition)> {
    vec![
        role(
            "patient",
            "Patient",
            "Self-service patient access",
            Grants { read: &[Read::OwnRecords], update: &[Update::OwnProfile], ..NONE },
        ),
        role(
            "receptionist",
            "Receptionist",
            "Front desk operations",
            Grants {
                create: &[Create::Patients, Create::Appointments],
                read: &[Read::AllPatients, Read::AllAppointments, Read::Staff],
                update: &[
                    Update::PatientDemographics,
                    Update::AppointmentStatus,
                    Update::Appointments,
                    Update::OwnProfile,
                ],
                ..NONE
            },
        ),
        role(
            "nurse",
            "Nurse",
            "Clinical support staff",
            Grants {
                create: &[Create::VitalSigns, Create::PatientNotes, Create::Allergies],
                read: &[Read::AssignedPatients, Read::Staff],
                update: &[
                    Update::PatientStatus,
                    Update::VitalSigns,
                    Update::Allergies,
                    Update::AppointmentStatus,
                    Update::OwnProfile,
                ],
                ..NONE
            },
        ),
        role(
            "doctor",
            "Doctor",
            "Medical practitioner",
            Grants {
                create: &[
                    Create::Consultations,
                    Create::Prescriptions,
                    Create::LabOrders,
                    Create::VitalSigns,
                    Create::Allergies,
                ],
                read: &[Read::AllPatients, Read::AllAppointments, Read::ClinicalRecords, Read::Staff],
                update: &[
                    Update::ConsultationStatus,
                    Update::TreatmentPlans,
                    Update::VitalSigns,
                    Update::Allergies,
                    Update::AppointmentStatus,
                    Update::PrescriptionStatus,
                    Update::OwnProfile,
                ],
                ..NONE
            },
        ),
        role(
            "pharmacist",
            "Pharmacist",
            "Medication dispensing",
            Grants {
                create: &[Create::MedicationDispensing, Create::Inventory, Create::Medications],
                read: &[Read::Prescriptions, Read::Inventory, Read::Staff],
                update: &[Update::PrescriptionStatus, Update::InventoryLevels, Update::Medications, Update::OwnProfile],
                ..NONE
            },
        ),
        role(
            "lab_technician",
            "Lab Technician",
            "Laboratory operations",
            Grants {
                create: &[Create::LabResults],
                read: &[Read::LabOrders, Read::Staff],
                update: &[Update::LabOrderStatus, Update::ResultStatus, Update::OwnProfile],
                ..NONE
            },
        ),
        role(
            "administrator",
            "Administrator",
            "System administration",
            Grants {
                create: &[Create::Users, Create::Departments, Create::Roles, Create::Rooms, Create::Medications],
                read: &[Read::AllData],
                update: &[
                    Update::SystemSettings,
                    Update::UserPermissions,
                    Update::Users,
                    Update::Departments,
                    Update::Rooms,
                    Update::Medications,
                    Update::OwnProfile,
                ],
                delete: &[Delete::Users, Delete::Records],
            },
        ),
    ]
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

#[derive(Clone, Copy)]
struct Grants {
    create: &'static [Create],
    read: &'static [Read],
    update: &'static [Update],
    delete: &'static [Delete],
}

const NONE: Grants = Grants { create: &[], read: &[], update: &[], delete: &[] };

fn role(name: &str, display_name: &str, description: &str, grants: Grants) -> (RoleId, Definition) {
    let permissions = Permissions {
        create: grants.create.iter().map(|it| Word::from(*it)).collect(),
        read: grants.read.iter().map(|it| Word::from(*it)).collect(),
        update: grants.update.iter().map(|it| Word::from(*it)).collect(),
        delete: grants.delete.iter().map(|it| Word::from(*it)).collect(),
    };
    let definition = Definition {
        name: name.into(),
        display_name: display_name.into(),
        description: Some(description.into()),
        permissions,
    };
    (role_id(name), definition)
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
        assert_eq!(ids.len(), 7);
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
        // No system role has the word: a hospital defines its role for auditors, and administrators read all data.
        assert_eq!(had_by_nobody(Read::CODES, |it| it.read.iter().map(Word::as_str).collect()), ["audit_logs"]);
    }
}
