//! Drug interactions: importing a whole thesaurus, and prescribing against it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hims_api::import::{Silent, import_interactions};
use hims_api::{Hospital, Purpose};
use hims_commands::medication::AddMedication;
use hims_commands::medication_list::AddPatientMedication;
use hims_commands::patient::RegisterPatient;
use hims_commands::prescription::WritePrescription;
use hims_commands::{Caller, Command, Request, role_id, system_roles};
use hims_domain::interaction_source::{InteractionSource, sources};
use hims_event_store::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::floor::new_id;
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::workload::percentile;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 2] = ["import-interactions", "write-prescription"];

/// How many seconds the import may take.
const IMPORT: f64 = 10.0;
/// How many milliseconds writing a prescription may take.
const WRITING: f64 = 20.0;
/// How many prescriptions are written, by effort. Fewer samples have no 99th percentile.
const SAMPLES: usize = 100;
/// Prescriptions that are written before, and not counted.
const WARMING_UP: usize = 5;
/// How many items a prescription has.
const ITEMS: usize = 10;
/// How many open entries the medication list of each patient has.
const ENTRIES: usize = 30;

/// The folder with a thesaurus. The folder lies beside the repository, not in it.
fn folder() -> Option<PathBuf> {
    let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    above.map(|it| it.join("shared/data/drug-interactions")).find(|it| it.is_dir())
}

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let Some(folder) = folder() else {
        println!("{:<20} not measured: put the thesaurus into ../shared/data/drug-interactions", NAMES[0]);
        return Ok(());
    };
    let postgres = Postgres::start().await?;
    let hospital = Hospital::open(&postgres.settings(), Purpose::Work).await?;
    hospital.define_roles().await?;
    let started = Instant::now();
    let summary = import_interactions(&hospital.executor, &folder, &Silent).await?;
    hospital.settle().await;
    let rate = started.elapsed().as_secs_f64();
    if summary.events == 0 {
        return Err("nothing was imported".into());
    }
    let figure = Figure { bench: NAMES[0], rate, unit: "s", target: IMPORT, ..Figure::default() };
    report.write(figure, Better::Less)?;
    if report.wants(&NAMES[1..]) {
        let mut latencies = write(&hospital, SAMPLES * effort.rounds / 4).await?;
        let (rate, median) = (percentile(&mut latencies, 99), Some(percentile(&mut latencies, 50)));
        let figure = Figure { bench: NAMES[1], rate, unit: "ms", median, target: WRITING, ..Figure::default() };
        report.write(figure, Better::Less)?;
    }
    hospital.close().await;
    postgres.stop().await;
    Ok(())
}

/// Carries out a command as a part of the system.
async fn give<C: Command>(hospital: &Hospital, body: Value) -> Result<(), Failure> {
    let command: C = serde_json::from_value(body)?;
    hospital.executor.execute(command, Request::of(Caller::system("bench"))).await?;
    Ok(())
}

/// Products with one ingredient each, of those that the thesaurus knows, far from each other in its order.
async fn products(hospital: &Hospital) -> Result<Vec<Uuid>, Failure> {
    let sources = hospital.executor.load::<InteractionSource>(sources().0, true).await?.state;
    let loaded = sources.as_ref().and_then(|it| it.loaded.values().next()).ok_or("no source was loaded")?;
    let mut products = Vec::new();
    let step = loaded.ingredients.len() / (ITEMS + ENTRIES);
    for ingredient in loaded.ingredients.iter().step_by(step).take(ITEMS + ENTRIES) {
        let id = new_id();
        let name = format!("Product {}", ingredient.as_str());
        give::<AddMedication>(hospital, json!({"id": id, "name": name, "ingredients": [ingredient]})).await?;
        products.push(id);
    }
    Ok(products)
}

/// Writes prescriptions, each for a patient who takes much already. Returns how long each took.
async fn write(hospital: &Hospital, samples: usize) -> Result<Vec<Duration>, Failure> {
    let products = products(hospital).await?;
    let (prescribed, taken) = products.split_at(ITEMS);
    let doctor = system_roles().into_iter().find(|(id, _)| *id == role_id("doctor")).ok_or("no role of a doctor")?;
    let caller = Arc::new(Caller {
        actor: Actor::User { id: new_id() },
        permissions: Arc::new(doctor.1.permissions),
        is_system: false,
        ..Caller::system("bench")
    });
    let item = |id: &Uuid| {
        json!({"medication_id": id, "quantity": "10", "quantity_unit": "tablet",
               "override_reason": "measured by a bench"})
    };
    let items: Vec<_> = prescribed.iter().map(item).collect();
    let mut latencies = Vec::with_capacity(samples);
    for nth in 0..samples + WARMING_UP {
        let patient_id = new_id();
        let person = json!({
            "id": patient_id, "first_name": format!("Given{nth}"), "last_name": format!("Family{nth}"),
            "date_of_birth": "1970-01-01", "gender": "female", "confirm_not_duplicate": true,
        });
        give::<RegisterPatient>(hospital, person).await?;
        for medication_id in taken {
            let entry = json!({"patient_id": patient_id, "source": "external", "medication_id": medication_id});
            give::<AddPatientMedication>(hospital, entry).await?;
        }
        let body = json!({"patient_id": patient_id, "items": items, "confirm_unit": true});
        let command: WritePrescription = serde_json::from_value(body)?;
        let asked = Instant::now();
        hospital.executor.execute(command, Request::of(Arc::clone(&caller))).await?;
        if nth >= WARMING_UP {
            latencies.push(asked.elapsed());
        }
    }
    Ok(latencies)
}
