use hims_commands::user::ReactivateUser;
use hims_domain::consultation::{self, Consultation};
use hims_domain::department::Department;
use hims_domain::patient::Patient;
use hims_domain::prescription::{self, Prescription};
use hims_domain::user::User;
use hims_domain::vital_signs::VitalSigns;
use rust_decimal::{Decimal, dec};

use super::*;

/// The future of an import is `Send`, so a server may run an import beside its other work.
#[tokio::test]
async fn an_import_can_move_between_threads() {
    let hospital = Hospital::empty().await;
    let executor = Arc::clone(&hospital.executor);
    let path = hospital.file("bundle.json", bundle(one_of_each()).to_string());
    let imported = tokio::spawn(async move { import_fhir(&executor, &[path], &Settings::default(), &Silent).await })
        .await
        .unwrap();
    assert!(imported.unwrap().is_complete());
}

#[tokio::test]
async fn one_of_each_stands_in_the_record_as_it_was() {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources(one_of_each()).await;
    assert!(summary.resources.values().all(|it| it.skipped() == 0), "{summary}");

    let patient: Patient = hospital.state(PATIENT).await;
    assert_eq!(patient.demographics.last_name.unwrap().known().unwrap().as_str(), "Doe12");
    assert_eq!(patient.demographics.middle_name.unwrap().known().unwrap().as_str(), "Ann");
    assert_eq!(patient.allergies.len(), 1);
    let consultation: Consultation = hospital.state(ENCOUNTER).await;
    assert_eq!(consultation.status, consultation::Status::Completed);
    assert_eq!(consultation.started_at, at("2011-09-11T21:00:00Z"));
    assert_eq!(consultation.provider_id.0, id_of("Practitioner", "house"));
    let doctor: User = hospital.state(&id_of("Practitioner", "house").to_string()).await;
    assert!(doctor.email.known().unwrap().as_str().ends_with("@import.invalid"));
    assert_eq!((doctor.password_hash, doctor.role_id), (None, hims_commands::role_id("doctor")));
    let ward: Department = hospital.state(&id_of("Organization", "ward").to_string()).await;
    assert_eq!(ward.details.parent_id.unwrap().0, id_of("Organization", "all"));
    let occurred: BTreeSet<_> = hospital.history().await.into_iter().map(|(_, _, kind, at)| (kind, at)).collect();
    for (event_type, occurred_at) in [
        ("patient.registered", "1968-11-28T21:05:10Z"),
        ("consultation.started", "2011-09-11T21:00:00Z"),
        ("consultation.completed", "2011-09-11T21:45:30Z"),
        ("vital_signs.recorded", "2011-09-11T21:30:00Z"),
        ("prescription.written", "2011-09-11T21:40:00Z"),
    ] {
        assert!(occurred.contains(&(event_type.to_owned(), at(occurred_at))), "{event_type}");
    }
}

#[tokio::test]
async fn organizations_that_are_part_of_each_other_are_part_of_none() {
    let part_of = |id: &str, whole: &str| {
        let whole = json!({ "reference": format!("Organization/{whole}") });
        json!({ "resourceType": "Organization", "id": id, "name": format!("Ward {id}"), "partOf": whole })
    };
    let mut organizations = vec![
        part_of("a", "b"),
        part_of("b", "c"),
        part_of("c", "a"),
        part_of("d", "a"),
        part_of("e", "d"),
        part_of("f", "f"),
    ];
    for _ in 0..3 {
        let hospital = Hospital::empty().await;
        let summary = hospital.import_resources(organizations.clone()).await;
        assert_eq!((summary.of("Organization").imported, summary.of("Organization").skipped()), (6, 0));
        assert_eq!(summary.left_out, BTreeMap::from([("Organization.partOf (in a circle)".to_owned(), 4)]));
        for (id, whole) in [("a", None), ("b", None), ("c", None), ("d", Some("a")), ("e", Some("d")), ("f", None)] {
            let ward: Department = hospital.state(&id_of("Organization", id).to_string()).await;
            assert_eq!(ward.details.parent_id.map(|it| it.0), whole.map(|it| id_of("Organization", it)), "{id}");
        }
        organizations.rotate_left(2);
    }
}

#[tokio::test]
async fn observations_of_one_moment_are_one_row_and_fractions_are_rounded_half_to_even() {
    let hospital = Hospital::empty().await;
    let measured = [
        blood_pressure(120.5, 81.5),
        observation("hr", "8867-4", 71.5, "/min"),
        observation("temperature", "8310-5", 37.05, "Cel"),
        observation("weight", "29463-7", 180.0, "[lb_av]"),
        observation("height", "8302-2", 1.725, "m"),
        observation("oxygen", "59408-5", 97.4, "%"),
    ];
    let summary = hospital.import_resources(one_of_each().into_iter().chain(measured)).await;
    assert_eq!((summary.of("Observation").imported, summary.begun["vital_signs"]), (7, 1));
    let row: VitalSigns = hospital.only().await;
    let it = row.measurements;
    assert_eq!((it.blood_pressure_systolic, it.blood_pressure_diastolic), (Some(dec!(120)), Some(dec!(82))));
    assert_eq!((it.heart_rate, it.oxygen_saturation, it.pain_scale), (Some(dec!(72)), Some(dec!(97)), Some(dec!(2))));
    assert_eq!((it.temperature, it.temperature_unit.unwrap().as_str()), (Some(dec!(37.0)), "C"));
    assert_eq!((it.weight_kg, it.height_cm), (Some(dec!(81.65)), Some(dec!(172.5))));
    assert_eq!(row.consultation_id.unwrap().to_string(), ENCOUNTER);
}

#[tokio::test]
async fn who_measured_is_the_performer_whoever_the_encounter_is_of() {
    let hospital = Hospital::empty().await;
    let nurse = json!({"resourceType": "Practitioner", "id": "joy", "name": [{"family": "Joy", "given": ["Ann"]}]});
    let mut measured = observation("hr", "8867-4", 71.0, "/min");
    measured["performer"] = json!([{"reference": "Practitioner/joy"}]);
    measured["effectiveDateTime"] = json!("2011-09-11T17:10:00-04:00");
    let summary = hospital.import_resources(one_of_each().into_iter().chain([nurse, measured])).await;
    assert_eq!(summary.begun["vital_signs"], 2);
    let joy = id_of("Practitioner", "joy").to_string();
    let recorded = hospital.events().await.into_iter().filter(|it| it.event_type == "vital_signs.recorded");
    assert_eq!(recorded.filter(|it| it.data.contains(&joy)).count(), 1);
}

#[tokio::test]
async fn a_prescription_stands_where_its_status_says() {
    for (status, expected) in [
        ("active", prescription::Status::Pending),
        ("completed", prescription::Status::Dispensed),
        ("stopped", prescription::Status::Cancelled),
        ("cancelled", prescription::Status::Cancelled),
    ] {
        let hospital = Hospital::empty().await;
        let mut resources = one_of_each();
        resources[0] = but(request(), json!({ "status": status }));
        hospital.import_resources(resources).await;
        let prescription: Prescription = hospital.state(REQUEST).await;
        assert_eq!(prescription.status, expected, "{status}");
        assert_eq!(prescription.lines[0].item.order.quantity, Decimal::ONE);
    }
}

#[tokio::test]
async fn what_has_come_to_its_end_since_is_brought_there() {
    let hospital = Hospital::empty().await;
    let mut resources = one_of_each();
    resources[3] = but(encounter(), json!({ "status": "in-progress" }));
    hospital.import_resources(resources).await;
    assert_eq!(hospital.state::<Consultation>(ENCOUNTER).await.status, consultation::Status::InProgress);
    let mut resources = one_of_each();
    resources[0] = but(request(), json!({ "status": "completed" }));
    hospital.import_resources(resources).await;
    assert_eq!(hospital.state::<Consultation>(ENCOUNTER).await.status, consultation::Status::Completed);
    assert_eq!(hospital.state::<Prescription>(REQUEST).await.status, prescription::Status::Dispensed);
}

#[tokio::test]
async fn a_medication_may_be_contained_or_a_resource_of_its_own() {
    let code = request()["medicationCodeableConcept"].clone();
    let contained = json!({ "medicationCodeableConcept": null, "medicationReference": { "reference": "#it" },
        "contained": [{ "resourceType": "Medication", "id": "it", "code": code }] });
    let apart = json!({ "id": "apart", "medicationCodeableConcept": null,
        "medicationReference": { "reference": "Medication/it" } });
    let hospital = Hospital::empty().await;
    let mut resources = one_of_each();
    resources[0] = but(request(), contained);
    resources.push(but(request(), apart));
    resources.push(json!({ "resourceType": "Medication", "id": "it", "code": code }));
    let summary = hospital.import_resources(resources).await;
    assert_eq!((summary.of("MedicationRequest").imported, summary.of("Medication").imported), (2, 1));
    assert_eq!(summary.begun["medication"], 1);
}

#[tokio::test]
async fn an_allergy_that_is_over_is_retired_and_does_not_come_back() {
    let hospital = Hospital::empty().await;
    let over = but(allergy(), json!({ "clinicalStatus": { "coding": [{ "code": "resolved" }] } }));
    hospital.import_resources([patient(), over.clone()]).await;
    assert!(hospital.state::<Patient>(PATIENT).await.allergies.is_empty());
    let again = hospital.import_resources([patient(), over]).await;
    assert_eq!((again.of("AllergyIntolerance").already_there, again.events), (1, 0));
}

#[tokio::test]
async fn what_was_interrupted_between_two_steps_is_finished_later() {
    let hospital = Hospital::empty().await;
    hospital.import_resources([patient(), practitioner(), organization(), allergy()]).await;
    let left = |resource| but(resource, json!({ "active": false }));
    let over = || but(allergy(), json!({ "clinicalStatus": { "coding": [{ "code": "resolved" }] } }));
    let all = || [patient(), left(practitioner()), left(organization()), over()];
    assert_eq!(hospital.import_resources(all()).await.events, 3);
    assert!(!hospital.only::<User>().await.is_active);
    assert!(!hospital.only::<Department>().await.is_active);
    assert_eq!(hospital.state::<Patient>(PATIENT).await.retired_allergies.len(), 1);
    assert_eq!(hospital.import_resources(all()).await.events, 0);
}

#[tokio::test]
async fn what_the_hospital_decided_since_is_not_undone() {
    let hospital = Hospital::empty().await;
    let left = || but(practitioner(), json!({ "active": false }));
    hospital.import_resources([left()]).await;
    let user_id = hospital.events().await.iter().find(|it| it.stream_type == "user").unwrap().stream_id.into();
    let request = Request::of(Caller::system("test"));
    hospital.executor.execute(ReactivateUser { user_id }, request).await.unwrap();
    assert_eq!(hospital.import_resources([left()]).await.events, 0);
    assert!(hospital.only::<User>().await.is_active);
}

#[tokio::test]
async fn a_time_that_the_record_cannot_hold_is_none() {
    let hospital = Hospital::empty().await;
    let early = but(encounter(), json!({ "period": { "start": "0001-01-01T00:00:00Z" } }));
    let summary = hospital.import_resources([patient(), practitioner(), early]).await;
    assert_eq!(reasons(&summary, "Encounter"), BTreeMap::from([("has no time".to_owned(), 1)]));
}

#[tokio::test]
async fn a_known_code_may_stand_second() {
    let hospital = Hospital::empty().await;
    let coding = ["8277-6", "29463-7"].map(|it| json!({ "system": "http://loinc.org", "code": it }));
    let weight = but(observation("weight", "29463-7", 71.0, "kg"), json!({ "code": { "coding": coding } }));
    hospital.import_resources([patient(), practitioner(), encounter(), weight]).await;
    assert_eq!(hospital.only::<VitalSigns>().await.measurements.weight_kg, Some(dec!(71)));
}

#[tokio::test]
async fn an_identifier_that_breaks_two_rules_is_left_out_once() {
    let hospital = Hospital::empty().await;
    let long = "x".repeat(1_000);
    let bad = [json!({ "system": long, "value": long }), json!({ "system": "urn:other" })];
    let summary = hospital.import_resources([but(patient(), json!({ "identifier": bad }))]).await;
    assert_eq!(summary.left_out.get("Patient.identifier"), Some(&2));
}
