//! Which tables an event goes to. Exhaustive: a new aggregate does not compile until it is said here what becomes of it.

use hims_domain::{Aggregate as _, DomainEvent};
use hims_event_store::Vault;
use sqlx::PgConnection;

use crate::machinery::batch::ProjectError;
use crate::machinery::changes::{Changes, Difference};
use crate::machinery::event::{Decoded, Projected};
use crate::tables::appointments::{self, AppointmentRow};
use crate::tables::audit::AuditRow;
use crate::tables::consultations::{self, ConsultationRow};
use crate::tables::departments::{self, DepartmentRow};
use crate::tables::inventory::{self, InventoryRow};
use crate::tables::medications::{self, IngredientRow, MedicationRow};
use crate::tables::patients::{self, AllergyRow, IdentifierRow, PatientRow};
use crate::tables::prescriptions::{self, ItemRow, PrescriptionRow};
use crate::tables::roles::{self, RoleRow};
use crate::tables::rooms::{self, RoomRow};
use crate::tables::sessions::{self, SessionRow};
use crate::tables::users::{self, AssignmentRow, UserRow};
use crate::tables::vital_signs::{self, VitalSignsRow};
use crate::{Row, Table};

macro_rules! tables {
    ($($name:ident: $row:ident),* $(,)?) => {
        /// Every read table.
        pub const TABLES: &[Table] = &[$($row::TABLE,)* AuditRow::TABLE];

        /// What a batch does to every table but the audit log, which follows from the rest.
        #[derive(Default)]
        pub(crate) struct AllChanges { $( $name: Changes<$row> ),* }

        impl AllChanges {
            /// Writes every table, and says what changed.
            pub(crate) async fn write(self, db: &mut PgConnection) -> Result<Vec<Difference>, ProjectError> {
                let mut differences = Vec::new();
                $( self.$name.write(db, &mut differences).await?; )*
                Ok(differences)
            }
        }
    };
}

tables! {
    roles: RoleRow,
    departments: DepartmentRow,
    users: UserRow,
    assignments: AssignmentRow,
    sessions: SessionRow,
    rooms: RoomRow,
    patients: PatientRow,
    identifiers: IdentifierRow,
    allergies: AllergyRow,
    appointments: AppointmentRow,
    consultations: ConsultationRow,
    vital_signs: VitalSignsRow,
    medications: MedicationRow,
    ingredients: IngredientRow,
    inventory: InventoryRow,
    prescriptions: PrescriptionRow,
    items: ItemRow,
}

/// The table whose rows are the streams of a type, so that who may read a row may read its history. `None` where
/// there is none: such streams are for auditors.
pub fn table_of(stream_type: &str) -> Option<&'static Table> {
    macro_rules! by_stream {
        ($($aggregate:ty => $row:ident),* $(,)?) => {
            match stream_type {
                $( <$aggregate>::STREAM => Some(&$row::TABLE), )*
                _ => None,
            }
        };
    }
    by_stream! {
        hims_domain::role::Role => RoleRow,
        hims_domain::user::User => UserRow,
        hims_domain::session::Session => SessionRow,
        hims_domain::department::Department => DepartmentRow,
        hims_domain::room::Room => RoomRow,
        hims_domain::patient::Patient => PatientRow,
        hims_domain::appointment::Appointment => AppointmentRow,
        hims_domain::consultation::Consultation => ConsultationRow,
        hims_domain::vital_signs::VitalSigns => VitalSignsRow,
        hims_domain::medication::Medication => MedicationRow,
        hims_domain::medication_lot::MedicationLot => InventoryRow,
        hims_domain::prescription::Prescription => PrescriptionRow,
    }
}

impl AllChanges {
    /// Adds what an event does.
    pub(crate) fn project(&mut self, decoded: &Decoded, vault: &Vault) {
        let stored = &decoded.opened;
        let at = stored.recorded.position;
        let event = Projected {
            data: &decoded.event,
            position: at,
            stream_id: stored.recorded.stream_id,
            version: stored.recorded.version,
            recorded_at: stored.recorded.recorded_at,
            metadata: &decoded.metadata,
            stored,
            vault,
        };
        match &decoded.event {
            // The audit log has a row of every event; an attempt has nothing but that.
            DomainEvent::Access(_) => {}
            DomainEvent::Role(it) => roles::project(&event.with(it), self.roles.at(at)),
            DomainEvent::User(it) => users::project(&event.with(it), self.users.at(at), self.assignments.at(at)),
            DomainEvent::Session(it) => sessions::project(&event.with(it), self.sessions.at(at), self.users.at(at)),
            DomainEvent::Department(it) => departments::project(&event.with(it), self.departments.at(at)),
            DomainEvent::Room(it) => rooms::project(&event.with(it), self.rooms.at(at)),
            DomainEvent::Patient(it) => {
                patients::project(
                    &event.with(it),
                    self.patients.at(at),
                    self.identifiers.at(at),
                    self.allergies.at(at),
                );
            }
            DomainEvent::Appointment(it) => appointments::project(&event.with(it), self.appointments.at(at)),
            DomainEvent::Consultation(it) => consultations::project(&event.with(it), self.consultations.at(at)),
            DomainEvent::VitalSigns(it) => vital_signs::project(&event.with(it), self.vital_signs.at(at)),
            DomainEvent::Medication(it) => {
                medications::project(&event.with(it), self.medications.at(at), self.ingredients.at(at));
            }
            DomainEvent::MedicationLot(it) => inventory::project(&event.with(it), self.inventory.at(at)),
            DomainEvent::Prescription(it) => {
                prescriptions::project(&event.with(it), self.prescriptions.at(at), self.items.at(at));
            }
        }
    }
}
