//! How much is generated, under which ids, and when each visit takes place.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use hims_domain::derived;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};
use uuid::Uuid;

/// The time zone of all departments.
pub(super) const ZONE: Tz = chrono_tz::America::New_York;

/// How often a patient comes.
pub(super) const VISITS: u64 = 5;

/// Over how many weeks the visits are spread: ten years, the last six weeks of them still to come.
const WEEKS: u64 = 520;
const WEEKS_AHEAD: u64 = 6;

/// The working days of a week.
const WORKING_DAYS: u64 = 5;

/// How long a visit takes, in minutes.
pub(super) const MINUTES: i32 = 20;

/// What is counted separately among the ids of one patient, or of the hospital.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Kind {
    Department = 1,
    Room,
    User,
    Medication,
    Patient,
    Allergy,
    Appointment,
    Consultation,
    Diagnosis,
    VitalSigns,
    Prescription,
    PrescriptionItem,
    LabOrder,
    LabOrderItem,
    Specimen,
    LabResult,
    BillingRecord,
    BillingItem,
    Payment,
    Notification,
    Recipient,
    Command,
}

/// How much is generated: the volumes of the schema document's Appendix A, times a scale.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What tells the ids of this hospital from those of a hospital with another seed or another scale.
    digest: u32,
    seed: u64,
    pub(super) patients: u64,
    pub(super) users: u64,
    pub(super) medications: u64,
    /// The day on which the generation began. Visits before this day have taken place.
    pub(super) today: NaiveDate,
}

impl Plan {
    pub(super) fn new(scale: f64, seed: u64, today: NaiveDate) -> Self {
        let part = |volume: f64, least: u64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive scale up to 100")]
            let scaled = (volume * scale).round() as u64;
            scaled.max(least)
        };
        let whole = derived("generated", &[&scale.to_string(), &seed.to_string()]).as_u128();
        Self {
            digest: (whole >> 96) as u32,
            seed,
            patients: part(100_000.0, 20),
            users: part(1_000.0, 20),
            medications: part(10_000.0, 20),
            today,
        }
    }

    /// The doctors: a tenth of the users.
    pub(super) fn doctors(&self) -> u64 {
        (self.users / 10).max(2)
    }

    /// The id of a thing. `nth` is the number of the patient, or 0 for what belongs to the hospital; `place` counts the
    /// things of one kind.
    pub(super) fn id(&self, nth: u64, kind: Kind, place: u64) -> Uuid {
        let number = (nth << 24) | (u64::from(kind as u8) << 16) | place;
        let bytes = (u128::from(self.digest) << 96) | u128::from(number);
        // The version and the variant of a UUID stand in bits 76 to 79 and 62 to 63, which the number does not reach.
        uuid::Builder::from_custom_bytes(bytes.to_be_bytes()).into_uuid()
    }

    /// Chance for one person, by a number that no other person has: always the same for the same seed.
    pub(super) fn chance(&self, person: u64) -> Chance {
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(person);
        Chance(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The doctor and the time of a visit of a patient, from 0. No doctor and no patient has two visits at one time.
    pub(super) fn visit(&self, nth: u64, visit: u64) -> Visit {
        let (doctors, days) = (self.doctors(), WEEKS * WORKING_DAYS);
        let count = visit * self.patients + (nth - 1);
        let (doctor, turn) = (count % doctors, count / doctors);
        let turns = (VISITS * self.patients).div_ceil(doctors);
        // The hospital grows: by the middle of the time, a quarter of the visits have taken place.
        let day = (turn * days * days / turns).isqrt();
        let first_of_day = (day * day * turns).div_ceil(days * days);
        let begins =
            self.today - Days::new((WEEKS - WEEKS_AHEAD) * 7 + u64::from(self.today.weekday().num_days_from_monday()));
        let date = begins + Days::new(day / WORKING_DAYS * 7 + day % WORKING_DAYS);
        Visit { doctor, date, starts_at: at(date, 8 * 60 + (turn - first_of_day) * u64::from(MINUTES.unsigned_abs())) }
    }

    /// The first stream of each append of a patient's history, which tells whether the append was written: the patient,
    /// and then the appointment of each visit.
    pub(super) fn moments(&self, nth: u64) -> impl Iterator<Item = Uuid> {
        let visits = (0..VISITS).map(move |visit| self.id(nth, Kind::Appointment, visit));
        std::iter::once(self.id(nth, Kind::Patient, 0)).chain(visits)
    }
}

/// When a patient sees which doctor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// The number of the doctor, from 0.
    pub(super) doctor: u64,
    /// The day, where the hospital is.
    pub(super) date: NaiveDate,
    pub(super) starts_at: DateTime<Utc>,
}

/// The instant at which so many minutes of a day have passed on the clocks of the hospital.
pub(super) fn at(date: NaiveDate, minutes: u64) -> DateTime<Utc> {
    let seconds = u32::try_from(minutes * 60).unwrap_or(0);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap_or_default();
    // Clocks are changed at night only, so every time of a working day is there once.
    let local = date.and_time(time);
    ZONE.from_local_datetime(&local).earliest().map_or_else(|| local.and_utc(), |it| it.to_utc())
}

/// A source of numbers that look random and are always the same.
pub(super) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    /// A number from 0 up to, but not including, `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// A number from `first` to `last`.
    pub(super) fn from(&mut self, first: i64, last: i64) -> i64 {
        first + self.below(last.abs_diff(first) + 1).cast_signed()
    }

    /// One of some things, of which there is at least one.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let nth = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        &all[nth]
    }
}
