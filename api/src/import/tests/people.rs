//! Who saw, measured or prescribed is who the files name; where they name nobody, nobody is guessed.

use hims_domain::consultation::Consultation;
use hims_domain::prescription::Prescription;
use hims_domain::user::User;
use hims_domain::vital_signs::{Event, VitalSigns};

use super::*;
use crate::import::references::derived;

fn nobody() -> Uuid {
    derived("practitioner|unknown")
}

fn house() -> Uuid {
    id_of("Practitioner", "house")
}

fn role() -> Value {
    json!({
        "resourceType": "PractitionerRole", "id": "r", "practitioner": { "reference": "Practitioner/house" },
        "organization": { "reference": "Organization/ward" },
    })
}

fn participant(reference: &str) -> Value {
    json!({ "participant": [{ "individual": { "reference": reference } }] })
}

async fn seen_by(resources: Vec<Value>) -> (Uuid, Summary) {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources(resources).await;
    assert!(
        summary.resources.values().all(|counts| counts.skipped.keys().all(|it| *it == Reason::LeadsToPractitioner))
    );
    (hospital.state::<Consultation>(ENCOUNTER).await.provider_id.0, summary)
}

#[tokio::test]
async fn a_visit_without_a_named_practitioner_keeps_that() {
    let other = but(encounter(), json!({ "id": "00000000-0000-4000-8000-000000000009" }));
    for (change, left_out) in [
        (json!({ "participant": [] }), None),
        (participant("Organization/ward"), Some(1)),
        (participant("Practitioner/not-in-the-files"), Some(1)),
    ] {
        let visit = but(encounter(), change);
        let resources = vec![patient(), practitioner(), organization(), other.clone(), visit];
        let (provider, summary) = seen_by(resources).await;
        assert_eq!(provider, nobody(), "not the practitioner of another visit");
        assert_eq!(summary.left_out.get("Encounter.participant").copied(), left_out);
    }
}

#[tokio::test]
async fn a_role_leads_to_its_practitioner() {
    let visit = but(encounter(), participant("PractitionerRole/r"));
    assert_eq!(seen_by(vec![patient(), practitioner(), role(), visit]).await.0, house());
}

#[tokio::test]
async fn the_primary_performer_comes_first() {
    let of = |reference: &str, code: &str| json!({ "type": [{ "coding": [{ "code": code }] }], "individual": { "reference": reference } });
    let all = json!({ "participant": [of("Practitioner/joy", "CON"), of("Practitioner/house", "PPRF")] });
    let joy = json!({ "resourceType": "Practitioner", "id": "joy", "name": [{ "family": "Joy", "given": ["Ann"] }] });
    let (provider, summary) = seen_by(vec![patient(), practitioner(), joy, but(encounter(), all)]).await;
    assert_eq!((provider, summary.left_out["Encounter.participant"]), (house(), 1));
}

#[tokio::test]
async fn a_contained_practitioner_is_a_user_or_the_practitioner_with_the_same_identifier() {
    let number = json!([{ "system": "urn:staff", "value": "7" }]);
    let inside = |identifier: &Value| {
        json!({
            "contained": [{
                "resourceType": "Practitioner", "id": "c", "name": [{ "family": "Inside", "given": ["Ann"] }],
                "identifier": identifier,
            }],
            "participant": [{ "individual": { "reference": "#c" } }],
        })
    };
    let hospital = Hospital::empty().await;
    hospital.import_resources([patient(), but(encounter(), inside(&json!([])))]).await;
    let user: User = hospital.only().await;
    assert_eq!(user.profile.last_name.unwrap().known().unwrap().as_str(), "Inside");
    let known = but(practitioner(), json!({ "identifier": number }));
    assert_eq!(seen_by(vec![patient(), known, but(encounter(), inside(&number))]).await.0, house());
}

#[tokio::test]
async fn who_measured_and_who_prescribed_is_not_guessed_from_the_visit() {
    let hospital = Hospital::empty().await;
    let pulse = |id: &str, minute: u32, performer: Value| {
        let at = format!("2011-09-11T21:{minute}:00+00:00");
        but(observation(id, "8867-4", 70.0, "/min"), json!({ "effectiveDateTime": at, "performer": performer }))
    };
    let resources = [
        patient(),
        practitioner(),
        organization(),
        role(),
        encounter(),
        pulse("nobody", 10, json!([])),
        pulse("clinic", 11, json!([{ "reference": "Organization/ward" }])),
        pulse("role", 12, json!([{ "reference": "PractitionerRole/r" }])),
        pulse("self", 13, json!([{ "reference": format!("Patient/{PATIENT}") }])),
        but(request(), json!({ "requester": {} })),
        but(request(), json!({ "id": "by-role", "requester": { "reference": "PractitionerRole/r" } })),
    ];
    let summary = hospital.import_resources(resources).await;
    assert_eq!((summary.of("Observation").imported, summary.left_out["Observation.performer"]), (4, 1), "{summary}");
    assert_eq!(hospital.state::<Prescription>(REQUEST).await.provider_id.0, nobody());
    let by_role = id_of("MedicationRequest", "by-role").to_string();
    assert_eq!(hospital.state::<Prescription>(&by_role).await.provider_id.0, house());
    assert!(!hospital.state::<User>(&nobody().to_string()).await.is_active, "nobody books an appointment with nobody");
    assert_eq!(hospital.state::<Consultation>(ENCOUNTER).await.provider_id.0, house());
    let mut recorded = BTreeMap::new();
    for event in hospital.events().await.iter().filter(|it| it.event_type == "vital_signs.recorded") {
        let Event::Recorded(it) = serde_json::from_str(&event.data).map(|it: Value| parsed(&it)).unwrap() else {
            panic!()
        };
        recorded.insert(it.recorded_at.format("%M").to_string(), it.recorded_by.0);
    }
    let expected = [("10", nobody()), ("11", nobody()), ("12", house()), ("13", nobody())];
    assert_eq!(recorded, expected.map(|(minute, id)| (minute.to_owned(), id)).into());
    let notes =
        |signs: &VitalSigns| signs.measurements.notes.as_ref().map(|it| it.known().unwrap().as_str().to_owned());
    let all = hospital.all::<VitalSigns>().await;
    let noted: Vec<String> = all.iter().filter_map(notes).collect();
    assert_eq!(noted, ["measured by the patient"]);
}

/// The event in the form that is stored, in which the name of the event is not part of the data.
fn parsed(data: &Value) -> Event {
    serde_json::from_value(json!({ "recorded": data })).unwrap()
}
