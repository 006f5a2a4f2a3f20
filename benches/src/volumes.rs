//! Generated hospitals of several sizes: how fast they are recorded and rebuilt, how large they are, and how fast they
//! are searched and written to.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use hims_api::generate::{Progress, generate};
use hims_benches::daily::{List, Reader};
use hims_event_store::EventStore as _;
use hims_projections::query::Identity;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::append::begin;
use crate::commands::commands;
use crate::postgres::Postgres;
use crate::rebuild::{forget_peak, resident};
use crate::report::{Better, Figure, Report};
use crate::workload::Compared;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 7] = [
    "generate",
    "generate-rebuild",
    "generate-memory",
    "generate-size",
    "generate-append",
    "generate-commands",
    "generate-search",
];

const SEED: u64 = 1;
const CALLERS: usize = 256;

/// When each part of a generation began.
#[derive(Default)]
struct Parts(Mutex<Vec<Instant>>);

impl Progress for Parts {
    fn begin(&self, _: &'static str, _: u64) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(Instant::now());
    }

    fn at(&self, _: u64) {}
}

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let mut smallest = None;
    for &scale in effort.scales {
        let postgres = Postgres::start().await?;
        let rates = measure(effort, report, &postgres, (scale, smallest)).await?;
        smallest = smallest.or(Some(rates));
        postgres.stop().await;
    }
    Ok(())
}

/// What a log takes per second.
#[derive(Clone, Copy)]
struct Rates {
    appended: f64,
    commands: f64,
}

/// Generates a hospital and measures it.
async fn measure(
    effort: Effort,
    report: &Report,
    postgres: &Postgres,
    (scale, smallest): (f64, Option<Rates>),
) -> Result<Rates, Failure> {
    let part = format!("scale {scale}");
    let figure = |bench, rate, unit| Figure { bench, part: Some(&part), rate, unit, ..Figure::default() };
    let parts = Parts::default();
    forget_peak()?;
    let made = generate(&postgres.settings(), scale, SEED, &parts).await?;
    let ended = Instant::now();
    let begun = parts.0.into_inner().unwrap_or_default();
    let [begun, recording, rebuilding] = begun[..] else { return Err("a generation has three parts".into()) };
    let events = count(made.events);
    let rate = events / (rebuilding - begun).as_secs_f64();
    println!("{part}: {} patients, {events} events, set up in {:?}", made.patients, recording - begun);
    report.write(Figure { target: 40_000.0, ..figure("generate", rate, "events/s") }, Better::More)?;
    let rate = events / (ended - rebuilding).as_secs_f64();
    report.write(Figure { target: 57_000.0, ..figure("generate-rebuild", rate, "events/s") }, Better::More)?;
    report.write(Figure { target: 2_048.0, ..figure("generate-memory", resident("VmHWM:")?, "MiB") }, Better::Less)?;
    let superuser = postgres.superuser(1);
    let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())").fetch_one(&superuser).await?;
    let each = count(size) / events;
    report.write(Figure { target: 3_000.0, ..figure("generate-size", each, "B/event") }, Better::Less)?;
    if report.wants(&["generate-search"]) {
        search(report, postgres, &superuser, (&part, effort.time)).await?;
    }
    superuser.close().await;
    let store = postgres.store().await?;
    let appended = begin(&store, CALLERS, effort.time * 4).await?;
    let commands = commands(&store, effort.time * 4).await?;
    store.shutdown().await;
    let rates = Rates { appended, commands };
    let floor = smallest.unwrap_or(rates);
    for (bench, rate, floor) in
        [("generate-append", appended, floor.appended), ("generate-commands", commands, floor.commands)]
    {
        let compared = Compared { rate, floor };
        report.write(Figure { part: Some(&part), ..compared.figure(bench, "/s", 0.9) }, Better::More)?;
    }
    Ok(rates)
}

/// A patient who is looked for, and a visit of the patient.
#[derive(FromRow)]
struct Wanted {
    patient_id: Uuid,
    first_name: String,
    last_name: String,
    email: String,
    phone_primary: String,
    date_of_birth: NaiveDate,
    provider_id: Uuid,
    department_id: Uuid,
    scheduled_date: NaiveDate,
}

/// Measures each search and list, each time about somebody else.
async fn search(
    report: &Report,
    postgres: &Postgres,
    superuser: &PgPool,
    (part, time): (&str, Duration),
) -> Result<(), Failure> {
    let sql = "select distinct on (p.id) p.id as patient_id, p.first_name, p.last_name, p.email, p.phone_primary,
                      p.date_of_birth, a.provider_id, a.department_id, a.scheduled_date
                 from (select * from hims.patients order by md5(id::text) limit 500) as p
                 join hims.appointments a on a.patient_id = p.id";
    let wanted: Vec<Wanted> = sqlx::query_as(sql).fetch_all(superuser).await?;
    let readers = postgres.readers(1);
    let mut db = readers.acquire().await?;
    for place in 0..lists(&wanted[0])?.len() {
        let list = |nth| Ok(lists(&wanted[nth % wanted.len()])?.swap_remove(place));
        crate::lists::measure(report, &mut db, ("generate-search", part), time, list).await?;
    }
    drop(db);
    readers.close().await;
    Ok(())
}

/// The searches for a patient, and the query patterns of the schema document's Appendix B with their neighbours.
fn lists(about: &Wanted) -> Result<Vec<List>, String> {
    let Wanted { patient_id, first_name, last_name, email, phone_primary, provider_id, .. } = about;
    let (born, day) = (about.date_of_birth, about.scheduled_date);
    let staff =
        Identity { user_id: Some(*provider_id), department_id: Some(about.department_id), ..Identity::default() };
    let [reception, doctor, nurse, pharmacist] =
        ["receptionist", "doctor", "nurse", "pharmacist"].map(|role| Reader::of(role, &staff));
    let administrator = Reader::of("administrator", &staff);
    let beginning = last_name.chars().take(4).collect::<String>();
    // The third letter of the family name is left out.
    let misspelt = last_name.chars().enumerate().filter(|(nth, _)| *nth != 2).map(|it| it.1).collect::<String>();
    [
        reception.list("by name", format!("patients?q={first_name} {last_name}")),
        reception.list("by beginning of a name", format!("patients?q={beginning}")),
        reception.list("by misspelt name", format!("patients?q={first_name} {misspelt}")),
        reception.list("by family name", format!("patients?last_name={last_name}&sort=last_name")),
        reception.list(
            "by name and birth",
            format!("patients?last_name={last_name}&first_name={first_name}&date_of_birth={born}"),
        ),
        reception.list("by birth", format!("patients?date_of_birth={born}")),
        reception.list("by phone", format!("patients?phone_primary={phone_primary}")),
        reception.list("by e-mail", format!("patients?email={email}")),
        reception.list("by phone and e-mail", format!("patients?phone_primary={phone_primary}&email={email}")),
        pharmacist.list("by name", format!("patients?q={first_name} {last_name}")),
        pharmacist.list("by e-mail", format!("patients?email={email}")),
        nurse.list("by name", format!("patients?q={last_name}")),
        reception.list("a provider's day", format!("appointments?provider_id={provider_id}&scheduled_date={day}")),
        reception.list(
            "a provider's day by status",
            format!("appointments?provider_id={provider_id}&scheduled_date={day}&status=completed"),
        ),
        reception.list("a patient's visits", format!("appointments?patient_id={patient_id}&sort=-starts_at")),
        doctor
            .list("open notes", format!("consultations?provider_id={provider_id}&status=in_progress&sort=-started_at")),
        doctor
            .list("closed notes", format!("consultations?provider_id={provider_id}&status=completed&sort=-started_at")),
        doctor.list("a patient's notes", format!("consultations?patient_id={patient_id}&sort=-started_at")),
        doctor.list("vital signs", format!("vital_signs?patient_id={patient_id}&sort=-recorded_at")),
        doctor.list("results", format!("lab_results?patient_id={patient_id}&sort=-performed_at")),
        doctor.list("prescriptions", format!("prescriptions?patient_id={patient_id}&sort=-created_at")),
        pharmacist.list("waiting", "prescriptions?status=sent_to_pharmacy&sort=created_at"),
        reception.list("invoices", format!("billing_records?patient_id={patient_id}")),
        administrator.list("audit of a patient", format!("audit_logs?patient_id={patient_id}&sort=-timestamp")),
    ]
    .into_iter()
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: i64) -> f64 {
    number as f64
}
