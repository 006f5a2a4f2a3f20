//! Every read is an event: who asked for what, and which patients the answer showed, is recorded before the answer
//! leaves (ADR 44). Catalogues are left out, since no row of them says anything about a person.

mod looks;

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use hims_domain::patient::Patient;
use hims_domain::{Aggregate as _, PatientId, Personal, access, derived};
use hims_event_store::Recorded;
use hims_projections::Table;
use hims_projections::query::{self, Emergencies};
use serde::Deserialize;
use uuid::Uuid;

use super::caller::LoggedIn;
use super::events::Concerned;
use super::tickets::PARAMETER as TICKET;
use crate::Hospital;
use crate::problem::Problem;

pub(crate) use looks::Looks;

/// The table with the accesses in an emergency.
const EMERGENCIES: &str = "emergency_accesses";

/// What a request asks to read, as the event tells it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    source: String,
    record_id: Option<Uuid>,
    parameters: BTreeMap<String, String>,
    personal_parameters: BTreeMap<String, Personal<String>>,
}

impl Asked {
    /// Something that is no table, such as `events`, with the parameters of the request. No parameter says more of a
    /// person than an id; a ticket is a secret, and left out.
    pub(super) fn of(source: &str, query: &str) -> Self {
        let parameters = pairs(query).filter(|(name, _)| name != TICKET).collect();
        Self { source: source.to_owned(), record_id: None, parameters, personal_parameters: BTreeMap::new() }
    }

    /// Rows of a table, with the parameters of the request.
    pub(super) fn of_table(table: &Table, query: &str) -> Self {
        let is_personal = |name: &str| {
            let column = name.strip_suffix("_from").or_else(|| name.strip_suffix("_to")).unwrap_or(name);
            // A cursor holds a value of the column by which the list is sorted.
            ["q", "cursor"].contains(&name) || table.column(column).is_some_and(|it| it.personal)
        };
        let (personal, plain): (BTreeMap<_, _>, BTreeMap<_, _>) = pairs(query).partition(|(name, _)| is_personal(name));
        let personal_parameters = personal.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { source: table.name.to_owned(), record_id: None, parameters: plain, personal_parameters }
    }

    /// The same, of one record.
    pub(super) fn record(self, id: Option<Uuid>) -> Self {
        Self { record_id: id, ..self }
    }

    /// What tells requests for the same thing in one session from others.
    fn key(&self, session: Option<Uuid>) -> Uuid {
        let personal = self.personal_parameters.iter().map(|(name, value)| (name, value.known()));
        let parameters = serde_json::json!([self.parameters, personal.collect::<BTreeMap<_, _>>()]).to_string();
        let record = self.record_id.unwrap_or_default().to_string();
        derived("look", &[&session.unwrap_or_default().to_string(), &self.source, &record, &parameters])
    }
}

/// The parameters of a query. A query that cannot be read is refused, so that it shows nothing.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + use<> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.map(actix_web::web::Query::into_inner).unwrap_or_default().into_iter()
}

/// Whom an answer shows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    patients: BTreeSet<PatientId>,
    rows: usize,
    /// The accesses in an emergency that the caller had; `None` if they are still to be asked for.
    emergencies: Option<Emergencies>,
}

/// The patients whom a row of a table names.
#[derive(Deserialize)]
struct Named {
    id: Uuid,
    patient_id: Option<Uuid>,
    subject_patient_id: Option<Uuid>,
    duplicate_id: Option<Uuid>,
    patients_shown: Option<Vec<Uuid>>,
    reference_type: Option<String>,
    reference_id: Option<Uuid>,
}

impl Shown {
    /// What rows of a table show, each written as JSON.
    pub(super) fn of_rows(table: &Table, rows: &[String]) -> Result<Self, Problem> {
        let mut patients = BTreeSet::new();
        if !table.is_catalogue {
            for row in rows {
                let named: Named = serde_json::from_str(row).map_err(|error| {
                    tracing::error!(%error, table = table.name, "it is not known whom a row shows, so it is not answered");
                    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error", "the row cannot be answered")
                })?;
                let own = (table.name == "patients").then_some(named.id);
                let used_on = named.reference_id.filter(|_| named.reference_type.as_deref() == Some(Patient::STREAM));
                let ids = [own, named.patient_id, named.subject_patient_id, named.duplicate_id, used_on];
                let several = named.patients_shown.into_iter().flatten();
                patients.extend(ids.into_iter().flatten().chain(several).map(PatientId));
            }
        }
        Ok(Self { patients, rows: rows.len(), emergencies: None })
    }

    /// The same, as shown to a caller who had these accesses in an emergency.
    pub(super) fn under(self, emergencies: Option<Emergencies>) -> Self {
        Self { emergencies, ..self }
    }

    /// So many entries about one patient.
    pub(super) fn about(patient_id: PatientId, rows: usize) -> Self {
        Self { patients: BTreeSet::from([patient_id]), rows, emergencies: None }
    }

    /// So many entries about these patients.
    pub(super) fn of_patients(patients: impl IntoIterator<Item = Uuid>, rows: usize) -> Self {
        Self { patients: patients.into_iter().map(PatientId).collect(), rows, emergencies: None }
    }

    /// What events show.
    pub(super) fn of_events<'e>(events: impl IntoIterator<Item = &'e Recorded>) -> Self {
        Self::of_concerned(events.into_iter().map(Concerned::of))
    }

    /// What events that concern these people show.
    pub(super) fn of_concerned(concerned: impl IntoIterator<Item = Concerned>) -> Self {
        let mut shown = Self::default();
        for by in concerned {
            shown.rows += 1;
            shown.patients.extend(by.patient_id.map(PatientId));
        }
        shown
    }
}

/// Waits for an answer, and records what it shows before it leaves: also that nothing was found, so that a record which
/// the caller may not read costs the same as none, and that the caller's roles do not allow to read.
pub(super) async fn recorded(
    hospital: &Hospital,
    logged_in: &LoggedIn,
    asked: Asked,
    answer: impl Future<Output = Result<(HttpResponse, Shown), Problem>>,
) -> Result<HttpResponse, Problem> {
    match answer.await {
        Ok((answer, shown)) => {
            record(hospital, logged_in, asked, shown).await?;
            Ok(answer)
        }
        Err(problem) => Err(not_shown(hospital, logged_in, asked, problem).await),
    }
}

/// Records that nothing was found, or that the caller's roles do not allow to read. Answers the problem to tell.
pub(super) async fn not_shown(hospital: &Hospital, logged_in: &LoggedIn, asked: Asked, problem: Problem) -> Problem {
    match problem.status() {
        StatusCode::NOT_FOUND => record(hospital, logged_in, asked, Shown::default()).await.err().unwrap_or(problem),
        StatusCode::FORBIDDEN if hospital.looks.is_some() => {
            hospital.executor.record_refused_read(&asked.source, problem.code(), &logged_in.caller).await;
            problem
        }
        _ => problem,
    }
}

/// Records what a caller is about to be shown.
pub(super) async fn record(
    hospital: &Hospital,
    logged_in: &LoggedIn,
    asked: Asked,
    Shown { mut patients, rows, emergencies }: Shown,
) -> Result<(), Problem> {
    let (Some(looks), Some(user_id)) = (&hospital.looks, logged_in.caller.user_id()) else { return Ok(()) };
    let (key, now) = (asked.key(logged_in.caller.session_id), hospital.executor.now());
    if logged_in.is_in_background {
        let Some(unrecorded) = looks.unrecorded(key, &patients, now) else { return Ok(()) };
        patients = unrecorded;
    }
    let emergencies = match emergencies {
        // Whoever is shown nobody is shown nobody in an emergency.
        None if patients.is_empty() => Emergencies::default(),
        None => {
            let who = logged_in.identity();
            hospital.readers.read(EMERGENCIES, async |db| query::emergencies(db, &who).await).await?
        }
        Some(emergencies) => emergencies,
    };
    let emergency_access_ids = emergencies.to(|it| patients.contains(&it)).collect();
    let Asked { source, record_id, parameters, personal_parameters } = asked;
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    let shown = patients.clone();
    let read = access::Read {
        user_id,
        source,
        record_id,
        parameters,
        personal_parameters,
        patients,
        emergency_access_ids,
        rows,
    };
    hospital.executor.record_read(read, &logged_in.caller).await?;
    looks.note(key, &shown, now);
    Ok(())
}
