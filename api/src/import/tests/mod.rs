use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use hims_commands::role::DefineRole;
use hims_commands::{Caller, Executor, Request, Surroundings, system_roles, upcasters};
use hims_domain::Aggregate;
use hims_event_store::{MasterKey, MemoryEventStore, Recorded};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

mod care;
mod details;
mod drugs;
mod forms;
mod history;
mod identity;
mod insurance;
mod interactions;
mod lab_tests;
mod laboratory;
mod loss;
mod meaning;
mod money;
mod names;
mod people;
mod places;
mod progress;
mod rows;
mod skipped;
mod synthea;
mod synthea_csv;
mod synthea_money;
mod values;

/// A hospital that has the built-in roles and nothing else.
struct Hospital {
    executor: Arc<Executor>,
    folder: tempfile::TempDir,
}

impl Hospital {
    async fn empty() -> Self {
        let drawn = AtomicU64::new(1);
        let surroundings = Surroundings {
            clock: Arc::new(|| at("2026-11-23T10:00:00Z")),
            entropy: Arc::new(move || {
                u128::from(drawn.fetch_add(1, Ordering::Relaxed))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            }),
        };
        let store = MemoryEventStore::new(MasterKey::generate().unwrap(), upcasters());
        let executor = Arc::new(Executor::new(Arc::new(store), surroundings));
        for (id, definition) in system_roles() {
            let role = DefineRole { id: Some(id), definition };
            executor.execute(role, Request::of(Caller::system("test"))).await.unwrap();
        }
        Self { executor, folder: tempfile::tempdir().unwrap() }
    }

    async fn import(&self, paths: &[PathBuf]) -> Summary {
        import_fhir(&self.executor, paths, &Settings::default(), &Silent).await.unwrap()
    }

    /// Imports resources as a single bundle.
    async fn import_resources(&self, resources: impl IntoIterator<Item = Value>) -> Summary {
        let path = self.file("bundle.json", bundle(resources).to_string());
        self.import(&[path]).await
    }

    /// The states of all streams of a type.
    async fn all<A: Aggregate>(&self) -> Vec<A> {
        let mut all = Vec::new();
        for id in self.streams::<A>().await {
            all.push(self.state(&id.to_string()).await);
        }
        all
    }

    async fn streams<A: Aggregate>(&self) -> BTreeSet<Uuid> {
        let events = self.events().await;
        events.iter().filter(|event| event.stream_type == A::STREAM).map(|event| event.stream_id).collect()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    async fn state<A: Aggregate>(&self, id: &str) -> A {
        let loaded = self.executor.load::<A>(id.parse().unwrap(), true).await.unwrap();
        (*loaded.state.expect("the record exists")).clone()
    }

    async fn events(&self) -> Vec<Recorded> {
        self.executor.store().read(0, i64::MAX).await.unwrap()
    }

    /// Stream, version, type and time of all events except those of roles, whatever their order in the log.
    async fn history(&self) -> BTreeSet<(Uuid, i32, String, DateTime<Utc>)> {
        let happened = |it: Recorded| {
            let occurred_at = it.circumstances().unwrap().occurred_at;
            (it.stream_id, it.version, it.event_type, occurred_at)
        };
        self.events().await.into_iter().filter(|it| it.stream_type != "role").map(happened).collect()
    }

    /// The state of the only stream of a type.
    async fn only<A: Aggregate>(&self) -> A {
        let ids = self.streams::<A>().await;
        assert_eq!(ids.len(), 1);
        self.state(&ids.first().unwrap().to_string()).await
    }
}

/// The stream of a resource whose id is no UUID, and whose server is not known.
fn id_of(kind: &str, id: &str) -> Uuid {
    super::references::identity(kind, Some(id), None, None, "").stream
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn bundle(resources: impl IntoIterator<Item = Value>) -> Value {
    let entries: Vec<Value> = resources.into_iter().map(|it| json!({ "resource": it })).collect();
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

/// The place where the last resource of a bundle begins in a file with this text.
fn place_of_last(path: &Path, text: &str) -> Place {
    const ELEMENT: &str = "\"resource\": ";
    let before = &text[..text.rfind(ELEMENT).unwrap() + ELEMENT.len()];
    let column = before.lines().last().unwrap().len() + 1;
    Place { path: path.into(), line: before.lines().count() as u64, column: column as u64 }
}

/// The resource with some elements changed; `null` takes an element away.
fn but(mut resource: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("give an object") };
    for (element, value) in changes {
        resource[element] = value;
    }
    resource
}

const PATIENT: &str = "00000000-0000-4000-8000-000000000001";
const ENCOUNTER: &str = "00000000-0000-4000-8000-000000000003";
const REQUEST: &str = "00000000-0000-4000-8000-000000000004";

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1967-05-21",
        "name": [{ "use": "official", "family": "Doe12", "given": ["Jane", "Ann"] }],
    })
}

/// A practitioner whose id is not a UUID.
fn practitioner() -> Value {
    json!({ "resourceType": "Practitioner", "id": "house", "name": [{ "text": "Gregory House" }] })
}

fn organization() -> Value {
    json!({ "resourceType": "Organization", "id": "ward", "name": "Ward 9", "partOf": { "reference": "Organization/all" } })
}

fn encounter() -> Value {
    json!({
        "resourceType": "Encounter", "id": ENCOUNTER, "status": "finished", "class": { "code": "AMB" },
        "subject": { "reference": format!("Patient/{PATIENT}") },
        "participant": [{ "individual": { "reference": "Practitioner/house" } }],
        "period": { "start": "2011-09-11T21:00:00+00:00", "end": "2011-09-11T21:45:30+00:00" },
        "serviceProvider": { "reference": "Organization/ward" },
        "reasonCode": [{ "text": "cough" }],
    })
}

fn observation(id: &str, loinc: &str, value: f64, unit: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "category": [{ "coding": [{ "code": "vital-signs" }] }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": loinc }] },
        "subject": { "reference": format!("Patient/{PATIENT}") },
        "encounter": { "reference": format!("Encounter/{ENCOUNTER}") },
        "effectiveDateTime": "2011-09-11T21:30:00+00:00",
        "valueQuantity": { "value": value, "unit": unit, "code": unit },
    })
}

fn blood_pressure(systolic: f64, diastolic: f64) -> Value {
    let component = |loinc, value: f64| {
        json!({
            "code": { "coding": [{ "system": "http://loinc.org", "code": loinc }] },
            "valueQuantity": { "value": value, "code": "mm[Hg]" },
        })
    };
    let components = [component("8480-6", systolic), component("8462-4", diastolic)];
    but(observation("bp", "55284-4", 0.0, ""), json!({ "valueQuantity": null, "component": components }))
}

fn request() -> Value {
    json!({
        "resourceType": "MedicationRequest", "id": REQUEST, "status": "active", "intent": "order",
        "medicationCodeableConcept": { "coding": [{
            "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "313782", "display": "Acetaminophen 325 MG",
        }] },
        "subject": { "reference": format!("Patient/{PATIENT}") },
        "encounter": { "reference": format!("Encounter/{ENCOUNTER}") },
        "requester": { "reference": "Practitioner/house" },
        "authoredOn": "2011-09-11T21:40:00+00:00",
    })
}

fn allergy() -> Value {
    json!({
        "resourceType": "AllergyIntolerance", "id": "eggs", "category": ["food"], "criticality": "low",
        "code": { "text": "Allergy to eggs" }, "patient": { "reference": format!("Patient/{PATIENT}") },
        "clinicalStatus": { "coding": [{ "code": "active" }] }, "recordedDate": "1968-11-28T21:05:10+00:00",
    })
}

/// One resource of each type. Resources come before the resources that they refer to, which is the harder order.
fn one_of_each() -> Vec<Value> {
    let pain = observation("pain", "72514-3", 2.0, "{score}");
    let all = json!({ "resourceType": "Organization", "id": "all", "name": "Princeton" });
    vec![request(), allergy(), pain, encounter(), patient(), practitioner(), organization(), all]
}

fn reasons(summary: &Summary, resource_type: &str) -> BTreeMap<String, u64> {
    summary.of(resource_type).skipped.iter().map(|(reason, count)| (reason.to_string(), *count)).collect()
}
