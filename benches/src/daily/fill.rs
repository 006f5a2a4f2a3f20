use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// Fills the read tables of a hospital that has just been migrated: so many patients, a multiple of 800, and what
/// belongs to them. Needs a superuser, since it writes past the constraints between tables.
///
/// # Errors
/// When the database does not answer, or its tables have other columns than are filled.
pub async fn fill(db: &mut PgConnection, patients: u32) -> Result<(), sqlx::Error> {
    let sql = include_str!("fill.sql").replace("{patients}", &patients.to_string());
    let mut transaction = db.begin().await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    transaction.commit().await?;
    // Which rows everybody sees, and how values are spread: the planner asks for both.
    db.execute("vacuum (analyze)").await?;
    Ok(())
}

/// The kinds of rows that lists are about, as `fill.sql` numbers them in their keys.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Department = 2,
    Provider = 3,
    Room = 4,
    Patient = 5,
    Appointment = 7,
    Consultation = 8,
    Prescription = 10,
    Medication = 11,
    BillingRecord = 20,
    InsuranceClaim = 23,
    LabOrder = 97,
    LabResult = 98,
    Lot = 13,
    Article = 81,
}

/// How many departments, providers, medications, rooms and articles there are, however many patients.
const DEPARTMENTS: u32 = 20;
const PROVIDERS: u32 = 200;
const MEDICATIONS: u32 = 2_000;
const ROOMS: u32 = 200;
const ARTICLES: u32 = 1_000;

/// What lists are about: the nth row of each kind, beginning anew after the last.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// How many patients there are.
    pub patients: u32,
    /// Which row.
    pub nth: u32,
}

fn key(kind: Kind, nth: u32) -> Uuid {
    Uuid::from_u128(((kind as u128) << 96) | (0x7000_8000 << 48) | u128::from(nth))
}

impl Subject {
    pub(super) fn department(self) -> Uuid {
        key(Kind::Department, self.nth % DEPARTMENTS)
    }

    /// A provider of the department.
    pub(super) fn provider(self) -> Uuid {
        key(Kind::Provider, self.nth % PROVIDERS)
    }

    pub(super) fn billing_record(self) -> Uuid {
        key(Kind::BillingRecord, self.nth % self.patients)
    }

    pub(super) fn insurance_claim(self) -> Uuid {
        key(Kind::InsuranceClaim, self.nth % self.patients)
    }

    pub(super) fn patient(self) -> Uuid {
        key(Kind::Patient, self.nth % self.patients)
    }

    /// A patient who visits the department today: one of the first appointments of today, of which each department has
    /// every twentieth.
    pub(super) fn assigned_patient(self) -> Uuid {
        let of_today = DEPARTMENTS * (1 + self.nth / DEPARTMENTS % 20) + self.nth % DEPARTMENTS;
        let appointment = u64::from(self.patients * 4 + of_today);
        key(Kind::Patient, u32::try_from(appointment * 7919 % u64::from(self.patients)).unwrap_or_default())
    }

    /// An appointment that the audit log names.
    pub(super) fn appointment(self) -> Uuid {
        key(Kind::Appointment, self.nth % self.patients * 4)
    }

    /// An appointment of the department, on which there is a note.
    pub(super) fn noted_appointment(self) -> Uuid {
        key(Kind::Appointment, self.nth % self.patients)
    }

    /// A consultation that was amended.
    pub(super) fn consultation(self) -> Uuid {
        key(Kind::Consultation, self.nth % self.patients)
    }

    pub(super) fn prescription(self) -> Uuid {
        key(Kind::Prescription, self.nth % (self.patients * 3))
    }

    pub(super) fn medication(self) -> Uuid {
        key(Kind::Medication, self.nth % MEDICATIONS)
    }

    pub(super) fn lab_order(self) -> Uuid {
        key(Kind::LabOrder, self.nth % self.patients)
    }

    /// A result of the order.
    pub(super) fn lab_result(self) -> Uuid {
        key(Kind::LabResult, self.nth % self.patients * 5)
    }

    pub(super) fn room(self) -> Uuid {
        key(Kind::Room, self.nth % ROOMS)
    }

    pub(super) fn lot(self) -> Uuid {
        key(Kind::Lot, self.nth % (self.patients / 5))
    }

    pub(super) fn article(self) -> Uuid {
        key(Kind::Article, self.nth % ARTICLES)
    }

    pub(super) fn family_name(self) -> String {
        name(self.nth % self.patients * 7 % 1_000)
    }

    pub(super) fn given_name(self) -> String {
        let nth = self.nth % self.patients;
        name(1_000 + (nth / 1_000 + nth) % 500)
    }

    pub(super) fn phone(self) -> String {
        format!("+1212{:07}", self.nth % self.patients)
    }

    pub(super) fn date_of_birth(self) -> NaiveDate {
        let days = Days::new(u64::from(self.nth % self.patients * 37 % 33_000));
        NaiveDate::from_ymd_opt(1930, 1, 1).unwrap_or_default() + days
    }
}

/// A name of three syllables, as `fill.sql` makes it.
fn name(nth: u32) -> String {
    const LETTERS: (&str, &str) = ("bcdfghjklmnprstvwxyz", "aeiou");
    let syllable = |place| usize::try_from(nth * 7_919 / 100_u32.pow(place) % 100).unwrap_or_default();
    let letters = (0..3).map(syllable).flat_map(|it| [&LETTERS.0[it / 5..=it / 5], &LETTERS.1[it % 5..=it % 5]]);
    let name: String = letters.collect();
    name[..1].to_uppercase() + &name[1..]
}
