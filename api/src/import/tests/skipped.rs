use super::*;

/// Imports one resource of each type, with one resource changed or added, and says why that resource was skipped.
async fn why(resource: Value) -> String {
    let hospital = Hospital::empty().await;
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    let same = |it: &Value| it["id"] == resource["id"] && it["resourceType"] == resource["resourceType"];
    let mut resources: Vec<Value> = one_of_each().into_iter().filter(|it| !same(it)).collect();
    resources.push(resource);
    let path = hospital.file("bundle.json", bundle(resources).to_string());
    let summary = hospital.import(std::slice::from_ref(&path)).await;
    let head = hospital.executor.store().current_head().await.unwrap();
    let again = hospital.import(&[path]).await;
    assert_eq!(hospital.executor.store().current_head().await.unwrap(), head, "a second run adds nothing");
    assert_eq!(again.of(&kind).skipped, summary.of(&kind).skipped);
    assert!(!hospital.events().await.iter().any(|it| it.stream_type == "access"), "nothing was refused");
    reasons(&summary, &kind).into_keys().collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn every_skipped_resource_has_a_reason() {
    let derived = observation("bmi", "39156-5", 29.2, "kg/m2");
    let laboratory = json!({ "category": [{ "coding": [{ "code": "laboratory" }] }] });
    for (resource, reason) in [
        (json!({ "resourceType": "Goal", "id": "1" }), "not part of the record yet"),
        (but(organization(), json!({ "type": [{ "coding": [{ "code": "ins" }] }] })), "not part of the record yet"),
        (but(organization(), json!({ "name": null })), "has no name"),
        (but(practitioner(), json!({ "name": [] })), "has no name"),
        (json!({ "resourceType": "Practitioner", "id": "house", "name": "House" }), "not in the form of FHIR R4"),
        (
            but(patient(), json!({ "id": "else", "birthDate": "1867-05-21" })),
            "refused by a rule of the record: implausible-birth-date",
        ),
        (but(encounter(), json!({ "status": "planned" })), "has not happened"),
        (but(encounter(), json!({ "status": "entered-in-error" })), "entered in error"),
        (but(encounter(), json!({ "period": {} })), "has no time"),
        (but(encounter(), json!({ "period": { "start": "2031-01-01T10:00:00Z" } })), "lies in the future"),
        (
            but(encounter(), json!({ "period": { "start": "2011-01-02", "end": "2011-01-01" } })),
            "ends before it starts",
        ),
        (but(encounter(), json!({ "subject": {} })), "names no patient who is in the record"),
        (but(encounter(), json!({ "id": PATIENT })), "its id belongs to a record of another kind"),
        (derived, "derived; the record computes it itself"),
        (
            but(but(observation("lab", "", 97.0, "%"), laboratory), json!({ "code": { "text": "home-made" } })),
            "has no code of the code system that the record needs",
        ),
        (observation("hip", "8280-0", 97.0, "cm"), "the record has no place for this measurement"),
        (observation("pain again", "72514-3", 3.0, "{score}"), "measured already at the same moment"),
        (but(observation("height", "8302-2", 1.0, "m"), json!({ "valueQuantity": null })), "holds no value"),
        (observation("height", "8302-2", 67.0, ""), "in a unit that is not known"),
        (observation("oxygen", "2708-6", 400.0, "%"), "beyond what is physically possible"),
        (but(request(), json!({ "intent": "proposal" })), "has not happened"),
        (but(request(), json!({ "medicationCodeableConcept": null })), "names no medication"),
        (
            but(allergy(), json!({ "patient": { "reference": "Patient/else" } })),
            "names no patient who is in the record",
        ),
    ] {
        assert_eq!(why(resource.clone()).await, reason, "{resource}");
    }
}

#[tokio::test]
async fn a_broken_file_is_named_and_the_rest_is_imported() {
    let hospital = Hospital::empty().await;
    hospital.file("a.json", "{ \"resourceType\": \"Bundle\", \"entry\": [");
    hospital.file("b.json", bundle(one_of_each()).to_string());
    hospital.file("c.json", "{ \"name\": \"Jane Doe\" }");
    hospital.file("d.json", "\"Jane Doe\"");
    hospital.file("e.txt", "Jane Doe is not looked at");
    let missing = hospital.folder.path().join("missing.json");
    let summary = hospital.import(&[hospital.folder.path().to_owned(), missing]).await;
    let named = |it: &Broken| format!("{}: {}", it.path.file_name().unwrap().display(), it.problem);
    assert_eq!(
        summary.broken.iter().map(named).collect::<Vec<_>>(),
        [
            "missing.json: cannot be read: entity not found",
            "a.json: not JSON (line 1, column 38)",
            "c.json: not a FHIR resource: no resourceType",
            "d.json: not a FHIR resource (line 1, column 10)",
        ]
    );
    assert_eq!((summary.is_complete(), summary.files, summary.of("Encounter").imported), (false, 1, 1));
    assert!(summary.to_string().contains("a.json: not JSON"));
    assert_eq!(summary.passed_over.len(), 1);
    assert!(summary.to_string().contains("e.txt: no JSON"));
    assert!(!summary.to_string().contains("Doe"), "no value of a person");
}

#[tokio::test]
async fn what_cannot_be_kept_is_left_out_and_counted() {
    let hospital = Hospital::empty().await;
    let telecom = json!({ "telecom": [{ "system": "phone", "value": "ask the neighbour" }] });
    let summary = hospital.import_resources([but(patient(), telecom)]).await;
    assert_eq!(summary.left_out.into_iter().collect::<Vec<_>>(), [("Patient.telecom".to_owned(), 1)]);
}

#[tokio::test]
async fn without_the_role_of_a_doctor_nothing_begins() {
    let hospital = Hospital::empty().await;
    let store = MemoryEventStore::new(MasterKey::generate().unwrap(), upcasters());
    let surroundings = Surroundings { clock: Arc::new(|| at("2026-11-23T10:00:00Z")), entropy: Arc::new(|| 1) };
    let executor = Arc::new(Executor::new(Arc::new(store), surroundings));
    let refused = import_fhir(&executor, &[hospital.folder.path().to_owned()], &Settings::default(), &Silent).await;
    assert!(matches!(refused, Err(ImportError::NotSetUp)));
}

#[tokio::test]
async fn what_was_measured_at_a_moment_that_is_recorded_already_is_counted() {
    let hospital = Hospital::empty().await;
    let weight = || observation("weight", "29463-7", 71.0, "kg");
    hospital.import_resources([patient(), practitioner(), encounter(), weight()]).await;
    let height = observation("height", "8302-2", 172.0, "cm");
    let summary = hospital.import_resources([weight(), height]).await;
    let reason = "the vital signs of the same moment were recorded before, without this one".to_owned();
    assert_eq!(reasons(&summary, "Observation"), BTreeMap::from([(reason, 1)]));
    assert_eq!((summary.of("Observation").already_there, summary.events), (1, 0));
}
