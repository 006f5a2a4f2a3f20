//! One list of all read tables, and of the aggregates whose events change each table. The list is exhaustive: the
//! program does not compile until every aggregate has an entry.

use hims_domain::{Aggregate as _, DomainEvent};
use hims_event_store::Vault;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::machinery::batch::ProjectError;
use crate::machinery::changes::{Changes, Difference};
use crate::machinery::event::{Decoded, Projected};
use crate::machinery::table::or_else;
use crate::tables::audit::AuditRow;
use crate::tables::{
    amendment_requests, appointment_notes, appointment_series, appointments, billing, care_team_assignments, consents,
    consultations, departments, disclosures, drug_interactions, emergency_accesses, erasures, insurance_claims,
    insurance_policies, inventory, inventory_items, inventory_levels, lab_orders, lab_results, lab_tests, legal_holds,
    medical_history, medications, notification_preferences, notifications, patient_medications, patients, payers,
    prescriptions, price_list_items, process_failures, provider_schedules, report_executions, report_schedules,
    reports, roles, rooms, sessions, suppliers, treatments, users, vital_signs, waitlist_entries,
};
use crate::{Row as _, Table};

/// Each entry names an aggregate, the function that projects its events, and the function's parameters: the tables that
/// the function writes, each with its row type. `(stream)` marks the table that has one row for each stream of the
/// aggregate. A name without a row type is a table of an earlier entry.
///
/// Tables are written in the order of the list, so a table must come after the tables to which it refers.
macro_rules! aggregates {
    ($(
        $domain:ident::$aggregate:ident $(=> $module:ident::project {
            $( $table:ident $(: $row:ident $(($stream:ident))?)? ),* $(,)?
        })?
    ),* $(,)?) => {
        /// Every read table.
        pub const TABLES: &[Table] = &[$($($($( $module::$row::TABLE, )?)*)?)* AuditRow::TABLE];

        /// The names of the tables that the events of a stream type change, without the audit log.
        pub fn tables_changed_by(stream_type: &str) -> &'static [&'static str] {
            match stream_type {
                $($( <hims_domain::$domain::$aggregate>::STREAM => &[$(names::$table),*], )?)*
                _ => &[],
            }
        }

        /// The name of each table, by the name that the list gives it.
        #[expect(non_upper_case_globals, reason = "the names in the list are those of fields")]
        mod names {
            use super::*;

            $($($($( pub(super) const $table: &str = $module::$row::TABLE.name; )?)*)?)*
        }

        /// The table that has one row for each stream of a type. Whoever may read the row may read the history of the
        /// stream. `None` if there is no such table; only auditors may read such a stream.
        pub fn table_of(stream_type: &str) -> Option<&'static Table> {
            match stream_type {
                $($($($($(
                    <hims_domain::$domain::$aggregate>::STREAM => Some(or_else!([&$module::$row::TABLE] [$stream])),
                )?)?)*)?)*
                _ => None,
            }
        }

        /// The changes of a batch to every table but the audit log, whose rows are derived from these changes.
        #[derive(Default)]
        pub(crate) struct AllChanges<'e> { $($($($( $table: Changes<'e, $module::$row>, )?)*)?)* }

        impl<'e> AllChanges<'e> {
            /// Adds the changes that an event makes.
            fn add(&mut self, event: &Projected<'e, DomainEvent>) {
                match event.data {
                    $( DomainEvent::$aggregate(data) => {
                        let _ = data;
                        $( $module::project(&event.with(data), $(self.$table.at(event.position)),*); )?
                    } )*
                }
            }

            /// Writes the changes to every table, and returns what changed in each row. The keys in the rows that are
            /// written are added to `named`, if somebody wants to know.
            pub(crate) async fn write(
                self,
                db: &mut PgConnection,
                mut named: Option<&mut Vec<Uuid>>,
            ) -> Result<Vec<Difference>, ProjectError> {
                let mut differences = Vec::new();
                $($($($(
                    or_else!([self.$table] [$row]).write(db, &mut differences, named.as_deref_mut()).await?;
                )?)*)?)*
                Ok(differences)
            }

            /// Takes over what the changes say in the columns that may hold something personal, in rows that the tables
            /// have already.
            pub(crate) async fn blank(self, db: &mut PgConnection) -> Result<(), ProjectError> {
                $($($($( or_else!([self.$table] [$row]).blank(db).await?; )?)*)?)*
                Ok(())
            }
        }
    };
}

aggregates! {
    // A refused attempt is shown in the audit log only, which has a row for every event.
    access::Access,
    // A restore of the log is shown in the audit log only, too.
    log::Log,
    role::Role => roles::project { roles: RoleRow (stream) },
    department::Department => departments::project { departments: DepartmentRow (stream) },
    user::User => users::project { users: UserRow (stream), assignments: AssignmentRow },
    session::Session => sessions::project { sessions: SessionRow (stream), users },
    // A reset of a password is shown in the audit log only, too.
    password_reset::PasswordReset,
    room::Room => rooms::project { rooms: RoomRow (stream) },
    patient::Patient => patients::project {
        patients: PatientRow (stream), identifiers: IdentifierRow, allergies: AllergyRow, links: LinkRow,
        contacts: ContactRow,
    },
    care_team_assignment::CareTeamAssignment => care_team_assignments::project {
        care_teams: AssignmentRow (stream),
    },
    emergency_access::EmergencyAccess => emergency_accesses::project { emergencies: EmergencyRow (stream) },
    consent::Consent => consents::project { consents: ConsentRow (stream) },
    erasure::Erasure => erasures::project { erasures: ErasureRow (stream) },
    legal_hold::LegalHold => legal_holds::project { holds: LegalHoldRow (stream) },
    amendment_request::AmendmentRequest => amendment_requests::project {
        amendment_requests: AmendmentRequestRow (stream),
    },
    disclosure::Disclosure => disclosures::project { disclosures: DisclosureRow (stream) },
    provider_schedule::ProviderSchedule => provider_schedules::project {
        hours: HoursRow, exceptions: ExceptionRow, leaves: LeaveRow,
    },
    appointment_series::AppointmentSeries => appointment_series::project { series: SeriesRow (stream) },
    appointment::Appointment => appointments::project { appointments: AppointmentRow (stream) },
    waitlist_entry::WaitlistEntry => waitlist_entries::project { waitlist: WaitlistRow (stream) },
    appointment_note::AppointmentNote => appointment_notes::project { notes: NoteRow (stream) },
    consultation::Consultation => consultations::project {
        consultations: ConsultationRow (stream), steps: StepRow, symptoms: SymptomRow, diagnoses: DiagnosisRow,
        amendments: AmendmentRow,
    },
    treatment::Treatment => treatments::project { treatments: TreatmentRow (stream) },
    vital_signs::VitalSigns => vital_signs::project { vital_signs: VitalSignsRow (stream) },
    medical_history::MedicalHistory => medical_history::project { history: MedicalHistoryRow (stream) },
    lab_test::LabTest => lab_tests::project { lab_tests: LabTestRow (stream), ranges: ReferenceRangeRow },
    lab_order::LabOrder => lab_orders::project {
        lab_orders: LabOrderRow (stream), lab_order_items: LabOrderItemRow, specimens: SpecimenRow,
    },
    lab_result::LabResult => lab_results::project { results: LabResultRow (stream), components: ComponentRow },
    medication::Medication => medications::project { medications: MedicationRow (stream), ingredients: IngredientRow },
    supplier::Supplier => suppliers::project { suppliers: SupplierRow (stream) },
    inventory_item::InventoryItem => inventory_items::project { articles: ArticleRow (stream) },
    medication_lot::MedicationLot => inventory::project {
        inventory: InventoryRow (stream), transactions: TransactionRow,
    },
    inventory_level::InventoryLevel => inventory_levels::project { levels: LevelRow (stream), transactions },
    prescription::Prescription => prescriptions::project {
        prescriptions: PrescriptionRow (stream), items: ItemRow, alerts: AlertRow,
    },
    interaction_profile::InteractionProfile => drug_interactions::project { interactions: InteractionRow },
    // Which sources were loaded is shown by the rows of their interactions, which name the source and its version.
    interaction_source::InteractionSource,
    payer::Payer => payers::project { payers: PayerRow (stream) },
    insurance_policy::InsurancePolicy => insurance_policies::project { policies: PolicyRow (stream) },
    insurance_claim::InsuranceClaim => insurance_claims::project {
        claims: ClaimRow (stream), claim_payments: ClaimPaymentRow,
    },
    medication_list::MedicationList => patient_medications::project {
        medication_lists: MedicationListRow (stream), taken: PatientMedicationRow,
    },
    price::Price => price_list_items::project { prices: PriceRow },
    billing_record::BillingRecord => billing::project {
        billing_records: BillingRow (stream), billing_items: BillingItemRow, billing_payments: BillingPaymentRow,
        billing_adjustments: BillingAdjustmentRow,
    },
    notification::Notification => notifications::project {
        notifications: NotificationRow (stream), recipients: RecipientRow,
    },
    notification_preferences::NotificationPreferences => notification_preferences::project {
        preferences: PreferencesRow (stream),
    },
    report::Report => reports::project { reports: ReportRow (stream) },
    report_schedule::ReportSchedule => report_schedules::project { report_schedules: ScheduleRow (stream) },
    report_execution::ReportExecution => report_executions::project { report_executions: ExecutionRow (stream) },
    process_failure::ProcessFailure => process_failures::project { failures: FailureRow (stream) },
}

impl<'e> AllChanges<'e> {
    /// Adds the changes that a decoded event makes.
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
