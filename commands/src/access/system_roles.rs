use std::collections::BTreeSet;

use hims_domain::RoleId;
use hims_domain::role::{Definition, Permissions};
use hims_domain::values::Code;

/// The roles that every hospital begins with: the schema document's seven (§3.1), completed for the commands and tables
/// that it does not foresee.
pub fn system_roles() -> Vec<(RoleId, Definition)> {
    vec![
        role(
            "patient",
            "Patient",
            "Self-service patient access",
            Grants { read: &["own_records"], update: &["own_profile"], ..NONE },
        ),
        role(
            "receptionist",
            "Receptionist",
            "Front desk operations",
            Grants {
                create: &["patients", "appointments"],
                read: &["all_patients", "all_appointments", "staff"],
                update: &["patient_demographics", "appointment_status", "appointments", "own_profile"],
                ..NONE
            },
        ),
        role(
            "nurse",
            "Nurse",
            "Clinical support staff",
            Grants {
                create: &["vital_signs", "patient_notes", "allergies"],
                read: &["assigned_patients", "staff"],
                update: &["patient_status", "vital_signs", "allergies", "appointment_status", "own_profile"],
                ..NONE
            },
        ),
        role(
            "doctor",
            "Doctor",
            "Medical practitioner",
            Grants {
                create: &["consultations", "prescriptions", "lab_orders", "vital_signs", "allergies"],
                read: &["all_patients", "all_appointments", "clinical_records", "staff"],
                update: &[
                    "consultation_status",
                    "treatment_plans",
                    "vital_signs",
                    "allergies",
                    "appointment_status",
                    "prescription_status",
                    "own_profile",
                ],
                ..NONE
            },
        ),
        role(
            "pharmacist",
            "Pharmacist",
            "Medication dispensing",
            Grants {
                create: &["medication_dispensing", "inventory", "medications"],
                read: &["prescriptions", "inventory", "staff"],
                update: &["prescription_status", "inventory_levels", "medications", "own_profile"],
                ..NONE
            },
        ),
        role(
            "lab_technician",
            "Lab Technician",
            "Laboratory operations",
            Grants {
                create: &["lab_results"],
                read: &["lab_orders", "staff"],
                update: &["lab_order_status", "result_status", "own_profile"],
                ..NONE
            },
        ),
        role(
            "administrator",
            "Administrator",
            "System administration",
            Grants {
                create: &["users", "departments", "roles", "rooms", "medications"],
                read: &["all_data"],
                update: &[
                    "system_settings",
                    "user_permissions",
                    "users",
                    "departments",
                    "rooms",
                    "medications",
                    "own_profile",
                ],
                delete: &["users", "records"],
            },
        ),
    ]
}

/// The id of a role that every hospital begins with: the same in every hospital (UUID version 8 of its name).
pub fn role_id(name: &str) -> RoleId {
    let mut bytes = [0_u8; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    RoleId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[derive(Clone, Copy)]
struct Grants {
    create: &'static [&'static str],
    read: &'static [&'static str],
    update: &'static [&'static str],
    delete: &'static [&'static str],
}

const NONE: Grants = Grants { create: &[], read: &[], update: &[], delete: &[] };

fn role(name: &str, display_name: &str, description: &str, grants: Grants) -> (RoleId, Definition) {
    let set = |of: &[&str]| of.iter().map(|it| Code::from(*it)).collect::<BTreeSet<_>>();
    let permissions = Permissions {
        create: set(grants.create),
        read: set(grants.read),
        update: set(grants.update),
        delete: set(grants.delete),
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
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_role_has_an_id_of_its_own() {
        let ids: BTreeSet<Uuid> = system_roles().into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids.len(), 7);
        assert!(ids.iter().all(|it| it.get_version_num() == 8));
    }
}
