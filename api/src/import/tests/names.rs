//! Names, dates of birth and phone numbers as other systems have them.

use hims_domain::Personal;
use hims_domain::patient::{BirthDatePrecision, Demographics, Patient};
use hims_domain::user::User;
use hims_domain::values::Name;

use super::*;

/// The demographics of the only patient that an import of this patient gives, and what was left out.
async fn imported(changes: Value) -> (Demographics, Summary) {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([but(patient(), changes)]).await;
    (hospital.only::<Patient>().await.demographics, summary)
}

fn text(name: Option<Personal<Name<100>>>) -> Option<String> {
    name.map(|it| it.known().unwrap().as_str().to_owned())
}

#[tokio::test]
async fn a_name_may_have_one_part_or_be_written_in_one_piece() {
    for (name, first, middle, last) in [
        (json!({ "text": "Suharto" }), None, None, Some("Suharto")),
        (json!({ "family": "Teresa" }), None, None, Some("Teresa")),
        (json!({ "given": ["Sukarno"] }), Some("Sukarno"), None, None),
        (json!({ "text": "张无忌" }), None, None, Some("张无忌")),
        (json!({ "text": "García López, María" }), Some("María"), None, Some("García López")),
        (json!({ "text": "Ann Clara Bell" }), Some("Ann"), Some("Clara"), Some("Bell")),
        (json!({ "given": ["Ann", "Clara"], "family": "Bell" }), Some("Ann"), Some("Clara"), Some("Bell")),
    ] {
        let (it, _) = imported(json!({ "name": [name] })).await;
        let parts = (text(it.first_name), text(it.middle_name), text(it.last_name));
        let owned = |name: Option<&str>| name.map(str::to_owned);
        assert_eq!(parts, (owned(first), owned(middle), owned(last)), "{name}");
        assert!(!it.name_unknown, "{name}");
    }
}

#[tokio::test]
async fn a_whole_name_wins_over_an_official_name_of_one_part() {
    let names =
        json!([{ "use": "official", "given": ["Kenzi"] }, { "use": "usual", "given": ["Ken"], "family": "Smith" }]);
    let (it, _) = imported(json!({ "name": names })).await;
    assert_eq!((text(it.first_name), text(it.last_name)), (Some("Ken".to_owned()), Some("Smith".to_owned())));
}

#[tokio::test]
async fn a_practitioner_may_have_one_name_and_stays_the_same_user() {
    for (name, first, last) in
        [(json!({ "text": "Suharto" }), None, Some("Suharto")), (json!({ "given": ["Ann"] }), Some("Ann"), None)]
    {
        let hospital = Hospital::empty().await;
        let of_one_name = but(practitioner(), json!({ "name": [name] }));
        assert_eq!(hospital.import_resources([of_one_name.clone()]).await.of("Practitioner").imported, 1, "{name}");
        let profile = hospital.only::<User>().await.profile;
        let owned = |name: Option<&str>| name.map(str::to_owned);
        assert_eq!((text(profile.first_name), text(profile.last_name)), (owned(first), owned(last)), "{name}");
        assert_eq!(hospital.import_resources([of_one_name]).await.of("Practitioner").already_there, 1, "{name}");
        let somebody_else = but(practitioner(), json!({ "name": [{ "family": "Bono" }] }));
        assert_eq!(hospital.import_resources([somebody_else]).await.of("Practitioner").skipped(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_number_that_is_never_issued_is_no_social_security_number() {
    let with =
        |number: &str| json!({ "identifier": [{ "system": "http://hl7.org/fhir/sid/us-ssn", "value": number }] });
    let (it, summary) = imported(with("123-45-6789")).await;
    assert!(it.ssn.is_some() && summary.left_out.is_empty());
    let (it, summary) = imported(with("999-45-6789")).await;
    assert_eq!((it.ssn, summary.left_out.get("Patient.identifier")), (None, Some(&1)));
}

#[tokio::test]
async fn somebody_without_a_name_is_imported_as_unknown() {
    let (it, _) = imported(json!({ "name": [] })).await;
    assert!(it.name_unknown && it.first_name.is_none() && it.last_name.is_none());
}

#[tokio::test]
async fn a_birth_date_is_as_exact_as_it_is_known() {
    use BirthDatePrecision::{Day, Month, Unknown, Year};
    for (given, date, precision) in [
        (json!("1987"), Some("1987"), Year),
        (json!("1987-03"), Some("1987-03"), Month),
        (json!("1987-03-05"), Some("1987-03-05"), Day),
        (json!("1987-03-05T10:30:00+01:00"), Some("1987-03-05"), Day),
        (Value::Null, None, Unknown),
    ] {
        let (it, summary) = imported(json!({ "birthDate": given })).await;
        assert_eq!(it.date_of_birth.map(|it| it.known().unwrap().to_string()), date.map(str::to_owned), "{given}");
        assert_eq!((it.birth_date_precision, summary.left_out.len()), (Some(precision), 0), "{given}");
    }
    let (it, summary) = imported(json!({ "birthDate": "about 1987" })).await;
    assert_eq!((it.date_of_birth, summary.left_out.get("Patient.birthDate")), (None, Some(&1)));
}

#[tokio::test]
async fn what_is_about_somebody_born_in_a_year_is_imported_too() {
    let hospital = Hospital::empty().await;
    let weight = observation("weight", "29463-7", 80.0, "kg");
    let of_year = but(patient(), json!({ "birthDate": "1967" }));
    let summary = hospital.import_resources([of_year, practitioner(), encounter(), allergy(), weight]).await;
    for kind in ["Patient", "Encounter", "AllergyIntolerance", "Observation"] {
        assert_eq!((summary.of(kind).imported, summary.of(kind).skipped()), (1, 0), "{kind}");
    }
}

#[tokio::test]
async fn a_phone_number_that_cannot_be_read_is_left_out_and_never_another_number() {
    let phones = |numbers: &[&str]| {
        let telecom: Vec<_> = numbers.iter().map(|it| json!({ "system": "phone", "value": it })).collect();
        imported(json!({ "telecom": telecom }))
    };
    let (it, summary) = phones(&["(03) 5555 6473", "06 48 35 26 38"]).await;
    assert_eq!((it.phone_primary, it.phone_secondary), (None, None));
    assert_eq!(summary.left_out.get("Patient.telecom"), Some(&2));
    let (it, summary) = phones(&["+44 (0)20 7946 0018"]).await;
    assert_eq!(it.phone_primary.unwrap().known().unwrap().as_str(), "+442079460018");
    assert_eq!(summary.left_out.len(), 0);
}

#[tokio::test]
async fn a_country_is_kept_by_its_code() {
    let address = |country: &str| json!({ "address": [{ "city": "Ulm", "country": country }] });
    let (it, _) = imported(address("DEU")).await;
    assert_eq!(it.country.unwrap().known().unwrap().as_str(), "DE");
    let (it, summary) = imported(address("Atlantis")).await;
    assert_eq!((it.country, summary.left_out.get("Patient.address")), (None, Some(&1)));
}
