use hims_domain::SymptomId;

use super::*;
use crate::machinery::scopes::CONSULTATION_PART;

const SYMPTOM: SymptomId = SymptomId(Uuid::from_u128(0x61));
const OTHER_SYMPTOM: SymptomId = SymptomId(Uuid::from_u128(0x62));

fn symptom(changes: Value) -> RecordSymptom {
    ask(with(json!({"consultation_id": CONSULTATION, "symptom_id": SYMPTOM, "name": "Cough"}), changes))
}

fn recorded_symptom() -> Event {
    let then = given([started(None)]).when(symptom(json!({})));
    then.then_event()
}

fn retract() -> RetractSymptom {
    RetractSymptom { consultation_id: CONSULTATION, symptom_id: SYMPTOM, reason: said("of another patient") }
}

fn retracted() -> Event {
    Event::SymptomRetracted { symptom_id: SYMPTOM, reason: said("of another patient") }
}

fn signed() -> Event {
    Event::Signed { signed_by: DOCTOR, signed_at: now() }
}

#[test]
fn a_symptom_says_who_recorded_it() {
    let then = given([started(None)]).when(symptom(json!({"is_negated": true})));
    let then = then.then_claims([takes(CONSULTATION_PART, SYMPTOM)]);
    let Event::SymptomRecorded(it) = then.then_event() else { panic!("recorded") };
    assert_eq!((it.patient_id, it.recorded_by, it.symptom.is_negated), (PATIENT, UserId(ASKING), true));
    given([started(None), recorded_symptom()]).when(symptom(json!({}))).then_refused(Refused::exists());
}

#[test]
fn a_duration_has_a_unit_and_an_onset_is_past() {
    let refused = |changes, code, field| given([started(None)]).when(symptom(changes)).then_field(code, field);
    refused(json!({"duration_value": 3}), "inconsistent-duration", "/duration_value");
    refused(json!({"duration_unit": "d"}), "inconsistent-duration", "/duration_value");
    refused(json!({"duration_value": 0, "duration_unit": "d"}), "out-of-range", "/duration_value");
    refused(json!({"onset_date": "2026-11-24"}), "in-the-future", "/onset_date");
    refused(json!({"code_system": "http://snomed.info/sct", "code": "cough"}), "malformed-code", "/code");
    let full = json!({"duration_value": 3, "duration_unit": "wk", "onset_date": "2026-11-23",
                      "code_system": "http://snomed.info/sct", "code": "49727002"});
    assert!(given([started(None)]).when(symptom(full)).is_accepted());
}

#[test]
fn a_symptom_is_retracted_once() {
    given([started(None), recorded_symptom()]).when(retract()).then([retracted()]);
    given([started(None), recorded_symptom(), retracted()]).when(retract()).then_nothing();
    given([started(None)]).when(retract()).then_refused(Refusal::NoSuchSymptom);
}

#[test]
fn nothing_new_is_recorded_once_the_consultation_is_signed_or_cancelled() {
    let completed = || completed("2026-11-23T10:00:00Z", 0);
    assert!(given([started(None), completed()]).when(symptom(json!({}))).is_accepted());
    given([started(None), completed(), signed()]).when(symptom(json!({}))).then_code("signed");
    // What is wrong can be marked at any time, which ends the signature.
    let signed_then =
        |then: Vec<Event>| given([vec![started(None), recorded_symptom(), completed(), signed()], then].concat());
    signed_then(vec![]).when(retract()).then([retracted()]);
    assert!(signed_then(vec![retracted()]).when(symptom(json!({"symptom_id": OTHER_SYMPTOM}))).is_accepted());
    given([started(None), recorded_symptom(), cancelled()]).when(retract()).then([retracted()]);
    given([started(None), cancelled()]).when(symptom(json!({}))).then_code("wrong-status");
}

#[test]
fn nobody_records_their_own_symptoms() {
    let by_patient = Caller { patient_id: Some(PATIENT), ..somebody("nurse") };
    given([started(None)]).by(by_patient).when(symptom(json!({}))).then_refused(NotTheirs::TreatsThemselves);
}
