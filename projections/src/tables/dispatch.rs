//! Which tables there are, and which of them the events of an aggregate go to: one list, for everything that follows.
//! Exhaustive: a new aggregate does not compile until it is said here what becomes of it.

use hims_domain::{Aggregate as _, DomainEvent};
use hims_event_store::Vault;
use sqlx::PgConnection;

use crate::machinery::batch::ProjectError;
use crate::machinery::changes::{Changes, Difference};
use crate::machinery::event::{Decoded, Projected};
use crate::machinery::table::or_else;
use crate::tables::audit::AuditRow;
use crate::tables::{
    appointments, consultations, departments, inventory, medications, patients, prescriptions, roles, rooms, sessions,
    users, vital_signs,
};
use crate::{Row as _, Table};

/// An aggregate, the function that projects its events, and its parameters: the tables that it writes, each with the row
/// that is declared beside the function. `(stream)` marks the table whose rows are the aggregate's streams, one for
/// one. A name without a row is a table that an aggregate further up has.
///
/// Tables are written in this order, and one that refers to another comes after it.
macro_rules! aggregates {
    ($(
        $domain:ident::$aggregate:ident $(=> $module:ident::project {
            $( $table:ident $(: $row:ident $(($stream:ident))?)? ),* $(,)?
        })?
    ),* $(,)?) => {
        /// Every read table.
        pub const TABLES: &[Table] = &[$($($($( $module::$row::TABLE, )?)*)?)* AuditRow::TABLE];

        /// The table whose rows are the streams of a type, so that who may read a row may read its history. `None` where
        /// there is none: such streams are for auditors.
        pub fn table_of(stream_type: &str) -> Option<&'static Table> {
            match stream_type {
                $($($($($(
                    <hims_domain::$domain::$aggregate>::STREAM => Some(or_else!([&$module::$row::TABLE] [$stream])),
                )?)?)*)?)*
                _ => None,
            }
        }

        /// What a batch does to every table but the audit log, which follows from the rest.
        #[derive(Default)]
        pub(crate) struct AllChanges<'e> { $($($($( $table: Changes<'e, $module::$row>, )?)*)?)* }

        impl<'e> AllChanges<'e> {
            /// Adds what an event does.
            fn add(&mut self, event: &Projected<'e, DomainEvent>) {
                match event.data {
                    $( DomainEvent::$aggregate(data) => {
                        let _ = data;
                        $( $module::project(&event.with(data), $(self.$table.at(event.position)),*); )?
                    } )*
                }
            }

            /// Writes every table, and says what changed.
            pub(crate) async fn write(self, db: &mut PgConnection) -> Result<Vec<Difference>, ProjectError> {
                let mut differences = Vec::new();
                $($($($( or_else!([self.$table] [$row]).write(db, &mut differences).await?; )?)*)?)*
                Ok(differences)
            }
        }
    };
}

aggregates! {
    // The audit log has a row of every event; an attempt has nothing but that.
    access::Access,
    role::Role => roles::project { roles: RoleRow (stream) },
    department::Department => departments::project { departments: DepartmentRow (stream) },
    user::User => users::project { users: UserRow (stream), assignments: AssignmentRow },
    session::Session => sessions::project { sessions: SessionRow (stream), users },
    room::Room => rooms::project { rooms: RoomRow (stream) },
    patient::Patient => patients::project {
        patients: PatientRow (stream), identifiers: IdentifierRow, allergies: AllergyRow,
    },
    appointment::Appointment => appointments::project { appointments: AppointmentRow (stream) },
    consultation::Consultation => consultations::project { consultations: ConsultationRow (stream) },
    vital_signs::VitalSigns => vital_signs::project { vital_signs: VitalSignsRow (stream) },
    medication::Medication => medications::project { medications: MedicationRow (stream), ingredients: IngredientRow },
    medication_lot::MedicationLot => inventory::project { inventory: InventoryRow (stream) },
    prescription::Prescription => prescriptions::project { prescriptions: PrescriptionRow (stream), items: ItemRow },
}

impl<'e> AllChanges<'e> {
    /// Adds what an event does.
    pub(crate) fn project(&mut self, decoded: &'e Decoded, vault: &'e Vault) {
        let stored = &decoded.opened;
        self.add(&Projected {
            data: &decoded.event,
            position: stored.recorded.position,
            stream_id: stored.recorded.stream_id,
            version: stored.recorded.version,
            recorded_at: stored.recorded.recorded_at,
            metadata: &decoded.metadata,
            stored,
            vault,
        });
    }
}
