//! Allergies and prescriptions as the checks of later prescriptions find them.

use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::prescription::Prescription;

use super::*;

/// An allergy to acetaminophen, by the RxNorm concept of the substance.
fn to_acetaminophen(id: &str) -> Value {
    let code = json!({ "coding": [{
        "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "161", "display": "Acetaminophen",
    }] });
    but(allergy(), json!({ "id": id, "category": ["medication"], "code": code }))
}

#[tokio::test]
async fn a_substance_keeps_its_concept_and_may_be_named_twice() {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([patient(), to_acetaminophen("one"), to_acetaminophen("two")]).await;
    assert_eq!(summary.of("AllergyIntolerance").imported, 2);
    let patient = hospital.state::<Patient>(PATIENT).await;
    let concepts =
        patient.allergies.values().map(|details| details.rxnorm_code.as_ref()?.known().map(|it| it.0.as_str()));
    assert_eq!(concepts.collect::<Vec<_>>(), [Some("161"), Some("161")]);
}

#[tokio::test]
async fn a_prescription_against_an_allergy_and_in_its_own_words_is_imported() {
    let hospital = Hospital::empty().await;
    let quantity = json!({ "quantity": { "value": 30, "unit": "Tablets" } });
    let resources =
        [patient(), practitioner(), to_acetaminophen("one"), but(request(), json!({ "dispenseRequest": quantity }))];
    hospital.import_resources(resources).await;
    let prescription = hospital.state::<Prescription>(REQUEST).await;
    assert_eq!(prescription.lines[0].item.order.quantity_unit.as_str(), "tablet");
    assert!(prescription.alerts.is_empty());
    assert!(hospital.only::<Medication>().await.units.is_empty());
}
