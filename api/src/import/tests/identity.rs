//! An id counts only within its own server or bundle, and nobody's data ends up with somebody else.

use hims_domain::Personal;
use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::values::Name;
use hims_domain::vital_signs::VitalSigns;

use super::*;

/// A bundle of a server, in which every resource has an address.
fn of_server(server: &str, resources: impl IntoIterator<Item = Value>) -> String {
    let entry = |it: Value| {
        let (kind, id) = (it["resourceType"].as_str().unwrap().to_owned(), it["id"].as_str().unwrap().to_owned());
        json!({ "fullUrl": format!("{server}/{kind}/{id}"), "resource": it })
    };
    let entries: Vec<Value> = resources.into_iter().map(entry).collect();
    json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries }).to_string()
}

fn person(id: &str, given: &str, family: &str, born: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "gender": "female", "birthDate": born,
        "name": [{ "given": [given], "family": family }],
    })
}

/// A person with a visit and an allergy, under ids that another server may have given as well.
fn hospital_of(given: &str, family: &str, born: &str, allergen: &str, visit: &str) -> Vec<Value> {
    let subject = json!({ "reference": "Patient/1" });
    vec![
        person("1", given, family, born),
        but(practitioner(), json!({ "id": "1" })),
        but(
            encounter(),
            json!({
                "id": "1", "subject": subject, "period": { "start": visit, "end": visit },
                "participant": [{ "individual": { "reference": "Practitioner/1" } }],
            }),
        ),
        but(allergy(), json!({ "id": "1", "patient": subject, "code": { "text": allergen } })),
    ]
}

fn north() -> Vec<Value> {
    hospital_of("Anna", "North", "1950-01-01", "Penicillin", "2024-03-01T09:00:00Z")
}

fn south() -> Vec<Value> {
    hospital_of("Boris", "South", "1999-12-31", "Latex", "2024-04-01T09:00:00Z")
}

/// What the practitioner in the south measured of the patient there.
fn weight() -> Value {
    let [subject, performer] = ["Patient/1", "Practitioner/1"].map(|it| json!({ "reference": it }));
    but(observation("w", "29463-7", 92.0, "kg"), json!({ "subject": subject, "performer": [performer] }))
}

/// Every patient with the allergens and the times of the visits that are recorded for them.
async fn who_has_what(hospital: &Hospital) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut found = BTreeMap::new();
    let visits = hospital.all::<Consultation>().await;
    for id in hospital.streams::<Patient>().await {
        let patient: Patient = hospital.state(&id.to_string()).await;
        let allergens = patient.allergies.values().map(|it| it.allergen_name.known().unwrap().as_str().to_owned());
        let own = visits.iter().filter(|it| it.patient_id.0 == id).map(|it| it.started_at.date_naive().to_string());
        let known = |name: Option<Personal<Name<100>>>| name.unwrap().known().unwrap().as_str().to_owned();
        let name = [patient.demographics.first_name, patient.demographics.last_name].map(known).join(" ");
        found.insert(name, (allergens.collect(), own.collect()));
    }
    found
}

fn both() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let of = |allergen: &str, visit: &str| (vec![allergen.to_owned()], vec![visit.to_owned()]);
    BTreeMap::from([
        ("Anna North".to_owned(), of("Penicillin", "2024-03-01")),
        ("Boris South".to_owned(), of("Latex", "2024-04-01")),
    ])
}

#[tokio::test]
async fn two_servers_may_give_one_id_to_two_people() {
    let with_weight = || south().into_iter().chain([weight()]);
    for at_once in [true, false] {
        let hospital = Hospital::empty().await;
        let files = [
            hospital.file("north.json", of_server("https://north.example/fhir", north())),
            hospital.file("south.json", of_server("https://south.example/fhir", with_weight())),
        ];
        if at_once {
            hospital.import(&files).await;
        } else {
            hospital.import(&files[..1]).await;
            hospital.import(&files[1..]).await;
        }
        assert_eq!(who_has_what(&hospital).await, both(), "at once: {at_once}");
        assert_eq!(hospital.streams::<User>().await.len(), 2, "each hospital has a practitioner of its own");
        let signs: VitalSigns = hospital.only().await;
        let heavy: Patient = hospital.state(&signs.patient_id.to_string()).await;
        assert_eq!(heavy.demographics.first_name.unwrap().known().unwrap().as_str(), "Boris");
        assert_eq!(hospital.import(&files).await.events, 0, "a second run adds nothing");
    }
}

#[tokio::test]
async fn bundles_that_name_no_server_are_refused_where_they_contradict_each_other() {
    let hospital = Hospital::empty().await;
    let files = [
        hospital.file("north.json", bundle(north()).to_string()),
        hospital.file("south.json", bundle(south()).to_string()),
    ];
    let summary = hospital.import(&files).await;
    assert!(who_has_what(&hospital).await.is_empty(), "nobody can tell whose id it is");
    assert_eq!(summary.of("Patient").skipped, BTreeMap::from([(Reason::Contradiction, 2)]));
    assert_eq!((summary.of("AllergyIntolerance").imported, summary.of("Encounter").imported), (0, 0));
    assert!(summary.to_string().contains("--server"), "{summary}");
}

#[tokio::test]
async fn who_is_in_the_record_already_is_compared_before_anything_is_added() {
    let hospital = Hospital::empty().await;
    hospital.import_resources(north()).await;
    let before = who_has_what(&hospital).await;
    let summary = hospital.import_resources(south().into_iter().chain([weight()])).await;
    assert_eq!(who_has_what(&hospital).await, before);
    assert!(hospital.all::<VitalSigns>().await.is_empty());
    assert_eq!(summary.of("Patient").skipped, BTreeMap::from([(Reason::OtherRecord, 1)]));
    hospital.import_resources([weight()]).await;
    assert!(
        hospital.all::<VitalSigns>().await.is_empty(),
        "the patient of an unknown server is not that of the record"
    );
}

#[tokio::test]
async fn the_operator_may_name_the_server() {
    let hospital = Hospital::empty().await;
    for (server, resources) in [("https://north.example/fhir", north()), ("https://south.example/fhir/", south())] {
        let path = hospital.file("bundle.json", bundle(resources).to_string());
        let settings = Settings { server: Some(server.to_owned()), ..Settings::default() };
        import_fhir(&hospital.executor, &[path], &settings, &Silent).await.unwrap();
    }
    assert_eq!(who_has_what(&hospital).await, both());
    let path = hospital.file("north.json", of_server("https://north.example/fhir", north()));
    assert_eq!(hospital.import(&[path]).await.events, 0, "the server in the files is the one that the operator named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_identifier_that_several_people_share_loses_nobody() {
    let policy = || json!({ "identifier": [{ "system": "http://insurer.example/family", "value": "F-1" }] });
    let visit = |id: &str, start: &str, end: &str| {
        let subject = json!({ "reference": format!("Patient/{id}") });
        let period = json!({ "start": start, "end": end });
        but(encounter(), json!({ "id": format!("e-{id}"), "subject": subject, "period": period }))
    };
    let of_mother = vec![
        but(person("fa", "Mother", "Family", "1980-01-01"), policy()),
        visit("fa", "2024-03-01T09:00:00Z", "2024-03-01T09:30:00Z"),
        allergy_of("fa", "Penicillin"),
    ];
    let of_child = vec![
        but(person("fb", "Child", "Family", "2010-02-02"), policy()),
        visit("fb", "2024-03-02T09:00:00Z", "2024-03-02T09:10:00Z"),
        allergy_of("fb", "Nuts"),
    ];
    let of = |allergen: &str, day: &str| (vec![allergen.to_owned()], vec![day.to_owned()]);
    let expected = BTreeMap::from([
        ("Mother Family".to_owned(), of("Penicillin", "2024-03-01")),
        ("Child Family".to_owned(), of("Nuts", "2024-03-02")),
    ]);
    let mut histories = BTreeSet::new();
    // Several times, since the steps of an import are carried out at once, by several threads.
    for (first, second) in [(&of_mother, &of_child), (&of_child, &of_mother)].repeat(5) {
        let hospital = Hospital::empty().await;
        let summary = hospital.import_resources([&first[..], &second[..], &[practitioner()]].concat()).await;
        assert_eq!((summary.of("Patient").imported, summary.left_out["Patient.identifier"]), (2, 2), "{summary}");
        let without = hospital.all::<Patient>().await.iter().all(|it| it.identifiers.is_empty());
        assert!(without, "an identifier that is no key claims nobody");
        assert_eq!(who_has_what(&hospital).await, expected);
        histories.insert(hospital.history().await);
    }
    assert_eq!(histories.len(), 1, "whoever comes first");
}

#[tokio::test]
async fn an_identifier_of_somebody_in_the_record_is_left_out() {
    let hospital = Hospital::empty().await;
    let number = || json!({ "identifier": [{ "system": "urn:s", "value": "1" }] });
    hospital.import_resources([but(person("fa", "Mother", "Family", "1980-01-01"), number())]).await;
    let summary = hospital.import_resources([but(person("fb", "Child", "Family", "2010-02-02"), number())]).await;
    assert_eq!((summary.of("Patient").imported, summary.left_out["Patient.identifier"]), (1, 1));
}

#[tokio::test]
async fn the_data_of_one_person_in_two_documents_go_to_one_record() {
    let number = || json!({ "identifier": [{ "system": "urn:national", "value": "42" }] });
    let document = |id: &str, allergen: &str| {
        let patient = json!({ "reference": format!("Patient/{id}") });
        let it = but(allergy(), json!({ "id": format!("a-{id}"), "patient": patient, "code": { "text": allergen } }));
        bundle([but(person(id, "Ida", "Probe", "1980-05-05"), number()), it]).to_string()
    };
    for at_once in [true, false] {
        let hospital = Hospital::empty().await;
        let files =
            [hospital.file("one.json", document("x", "Nuts")), hospital.file("other.json", document("y", "Latex"))];
        if at_once {
            hospital.import(&files).await;
        } else {
            hospital.import(&files[..1]).await;
            hospital.import(&files[1..]).await;
        }
        let patient: Patient = hospital.only().await;
        assert_eq!(patient.allergies.len(), 2, "at once: {at_once}");
        assert_eq!(hospital.import(&files).await.events, 0);
    }
}

#[tokio::test]
async fn of_several_versions_the_newest_is_taken() {
    let version = |family: &str, updated: &str| {
        but(person("1", "Ann", family, "1980-05-05"), json!({ "meta": { "lastUpdated": updated } }))
    };
    let old = version("A much longer family name", "2019-01-01T00:00:00Z");
    let new = version("New", "2024-01-01T00:00:00Z");
    for resources in [vec![old.clone(), new.clone()], vec![new, old]] {
        let hospital = Hospital::empty().await;
        let path = hospital.file("history.json", of_server("https://north.example/fhir", resources));
        hospital.import(&[path]).await;
        let patient: Patient = hospital.only().await;
        assert_eq!(patient.demographics.last_name.unwrap().known().unwrap().as_str(), "New");
    }
}

/// Ids that name one patient in the whole world, the smaller first.
const SMALL: &str = "00000000-0000-4000-8000-00000000000a";
const LARGE: &str = "00000000-0000-4000-8000-00000000000b";

/// A patient with the number 42.
fn numbered(id: &str, given: &str, family: &str, born: &str) -> Value {
    but(person(id, given, family, born), json!({ "identifier": [{ "system": "urn:national", "value": "42" }] }))
}

fn allergy_of(patient: &str, allergen: &str) -> Value {
    let subject = json!({ "reference": format!("Patient/{patient}") });
    but(allergy(), json!({ "id": format!("a-{patient}"), "patient": subject, "code": { "text": allergen } }))
}

fn weight_of(patient: &str) -> Value {
    let subject = json!({ "reference": format!("Patient/{patient}") });
    but(observation(&format!("w-{patient}"), "29463-7", 92.0, "kg"), json!({ "subject": subject }))
}

#[tokio::test]
async fn whoever_comes_first_a_stranger_under_an_id_keeps_nobody_from_the_record_with_the_id() {
    for (record, other) in [(SMALL, LARGE), (LARGE, SMALL)] {
        let hospital = Hospital::empty().await;
        hospital.import_resources([numbered(record, "Anna", "North", "1950-01-01")]).await;
        // Another export gives the id of Anna's record to Boris, and names Anna under an id of her own.
        let mut files = vec![
            person(record, "Boris", "South", "1999-12-31"),
            numbered(other, "Anna", "North", "1950-01-01"),
            allergy_of(record, "Latex"),
            allergy_of(other, "Penicillin"),
            weight_of(record),
            weight_of(other),
        ];
        for _ in 0..2 {
            let summary = hospital.import_resources(files.clone()).await;
            let why = BTreeMap::from([(Reason::OtherRecord, 1), (Reason::SamePerson, 1)]);
            assert_eq!(summary.of("Patient").skipped, why, "{record}");
            let without = BTreeMap::from([(Reason::NoPatient, 1)]);
            assert_eq!(summary.of("AllergyIntolerance").skipped, without, "{record}");
            assert_eq!(summary.of("Observation").skipped, without, "{record}");
            let anna = ("Anna North".to_owned(), (vec!["Penicillin".to_owned()], vec![]));
            assert_eq!(who_has_what(&hospital).await, BTreeMap::from([anna]), "{record}");
            assert_eq!(hospital.only::<VitalSigns>().await.patient_id.0.to_string(), record);
            files.reverse();
        }
    }
}

#[tokio::test]
async fn a_refused_patient_takes_no_other_patient_of_the_files_along() {
    let replaced =
        json!({ "active": false, "link": [{ "other": { "reference": "Patient/2" }, "type": "replaced-by" }] });
    for (old, new) in [(SMALL, LARGE), (LARGE, SMALL)] {
        let hospital = Hospital::empty().await;
        let (gone, anna) = (numbered(old, "Anna", "North", "1950-01-01"), numbered(new, "Anna", "North", "1950-01-01"));
        let files = [but(gone, replaced.clone()), anna, allergy_of(old, "Latex"), allergy_of(new, "Penicillin")];
        let summary = hospital.import_resources(files).await;
        assert_eq!(summary.of("Patient").skipped, BTreeMap::from([(Reason::Replaced, 1)]), "{new}");
        let patient: Patient = hospital.state(new).await;
        assert_eq!((patient.identifiers.len(), patient.allergies.len()), (1, 1), "{new}");
        assert_eq!(hospital.streams::<Patient>().await.len(), 1, "{new}");
    }
}

#[tokio::test]
async fn one_person_goes_to_the_record_that_is_there_whichever_id_is_smaller() {
    for (record, other) in [(SMALL, LARGE), (LARGE, SMALL)] {
        let hospital = Hospital::empty().await;
        hospital.import_resources([person(record, "Anna", "North", "1950-01-01")]).await;
        // The files know a number since, which the record does not have.
        let files = [
            numbered(record, "Anna", "North", "1950-01-01"),
            numbered(other, "Anna", "North", "1950-01-01"),
            allergy_of(other, "Penicillin"),
        ];
        hospital.import_resources(files).await;
        assert_eq!(hospital.only::<Patient>().await.allergies.len(), 1, "{record}");
        assert!(hospital.streams::<Patient>().await.contains(&record.parse().unwrap()));
    }
}

#[tokio::test]
async fn an_identifier_with_spaces_around_it_is_the_same_identifier() {
    let spaced = json!({ "identifier": [{ "system": "urn:national", "value": " 42 " }] });
    let hospital = Hospital::empty().await;
    let files = [
        numbered(SMALL, "Mother", "Family", "1980-01-01"),
        but(person(LARGE, "Child", "Family", "2010-02-02"), spaced),
    ];
    let summary = hospital.import_resources(files).await;
    assert_eq!((summary.of("Patient").imported, summary.left_out["Patient.identifier"]), (2, 2), "{summary}");
}

#[tokio::test]
async fn a_blank_identifier_makes_nobody_the_same_person() {
    let blank = || json!({ "identifier": [{ "system": "urn:national", "value": " " }] });
    let hospital = Hospital::empty().await;
    let files = [SMALL, LARGE].map(|id| but(person(id, "Anna", "North", "1950-01-01"), blank()));
    let summary = hospital.import_resources(files).await;
    assert_eq!((summary.of("Patient").imported, summary.left_out["Patient.identifier"]), (2, 2), "{summary}");
}
