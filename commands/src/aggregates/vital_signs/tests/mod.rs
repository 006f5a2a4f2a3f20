mod together;

use hims_domain::role::Role;
use hims_domain::user::User;
use hims_testing::sample_with;
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{
    CONSULTATION, DOCTOR, OTHER_PATIENT, PATIENT, ask, created, created_with, defined, registered, registered_as, said,
    with,
};
use crate::testing::world::somebody;
use crate::testing::{ASKING, Given, at, given, id, now};
use crate::{Caller, consultation, role_id, user};

const VITAL_SIGNS: VitalSignsId = VitalSignsId(uuid::Uuid::from_u128(30));
const RIGHT: VitalSignsId = VitalSignsId(uuid::Uuid::from_u128(31));

fn record(measurements: Value) -> RecordVitalSigns {
    ask(with(json!({"patient_id": PATIENT}), measurements))
}

fn recorded(patient_id: PatientId) -> Event {
    Event::Recorded(Recorded {
        patient_id,
        consultation_id: None,
        recorded_by: UserId(ASKING),
        recorded_at: now(),
        measurements: ask(json!({"heart_rate": 72})),
        extreme: Vec::new(),
        corrects: None,
    })
}

fn mark(changes: Value) -> MarkVitalSignsEnteredInError {
    ask(with(json!({"vital_signs_id": VITAL_SIGNS, "reason": "wrong patient"}), changes))
}

fn marked(corrected_by: Option<VitalSignsId>) -> Event {
    Event::MarkedEnteredInError { reason: said("wrong patient"), corrected_by }
}

fn given_vital_signs(events: impl IntoIterator<Item = Event>) -> Given<VitalSigns> {
    let given = given(events).and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, [created()]);
    ["doctor", "nurse", "receptionist"]
        .into_iter()
        .fold(given, |given, name| given.and::<Role>(role_id(name), [defined(name)]))
}

fn taken(measurements: Value) -> Recorded {
    match given_vital_signs([]).when(record(measurements)).then_event() {
        Event::Recorded(it) => it,
        Event::MarkedEnteredInError { .. } => panic!("recorded"),
    }
}

#[test]
fn vital_signs_are_taken_now_by_the_caller_unless_told() {
    given_vital_signs([]).when(record(json!({"heart_rate": 72}))).then([recorded(PATIENT)]).then_claims([]);
    let told = taken(json!({"heart_rate": 72, "recorded_by": DOCTOR, "recorded_at": "2026-11-23T09:00:00Z"}));
    assert_eq!((told.recorded_by, told.recorded_at), (DOCTOR, at("2026-11-23T09:00:00Z")));
}

#[test]
fn what_is_kept_whole_is_rounded_half_to_even() {
    let it = taken(json!({
        "heart_rate": "72.5", "respiratory_rate": "15.5", "blood_pressure_systolic": 120.49, "pain_scale": "2.5",
        "oxygen_saturation": "97.5",
    }));
    let kept = it.measurements;
    assert_eq!(kept.heart_rate, Some(dec!(72)));
    assert_eq!(kept.respiratory_rate, Some(dec!(16)));
    assert_eq!(kept.blood_pressure_systolic, Some(dec!(120)));
    assert_eq!(kept.pain_scale, Some(dec!(2)));
    assert_eq!(kept.oxygen_saturation, Some(dec!(98)));
}

#[test]
fn the_rest_is_rounded_to_the_decimals_of_the_table() {
    let kept = taken(json!({"temperature": "98.65", "weight_kg": "70.005", "height_cm": "175.015"})).measurements;
    assert_eq!(kept.temperature, Some(dec!(98.6)));
    assert_eq!(kept.weight_kg, Some(dec!(70.00)));
    assert_eq!(kept.height_cm, Some(dec!(175.02)));
    assert_eq!(kept.bmi(), Some(dec!(22.9)));
}

#[test]
fn something_is_measured() {
    given_vital_signs([]).when(record(json!({}))).then_refused(Refusal::Empty);
    let only_words = json!({"notes": "asleep", "oxygen_supplement": true});
    given_vital_signs([]).when(record(only_words)).then_refused(Refusal::Empty);
}

/// The name, the physical limits and the clinical limits of each measurement.
const LIMITS: [(&str, [&str; 2], [&str; 2]); 9] = [
    ("blood_pressure_systolic", ["0", "400"], ["50", "300"]),
    ("blood_pressure_diastolic", ["0", "300"], ["30", "200"]),
    ("heart_rate", ["0", "500"], ["30", "250"]),
    ("respiratory_rate", ["0", "200"], ["4", "60"]),
    ("temperature", ["50", "122"], ["80", "115"]),
    ("oxygen_saturation", ["0", "100"], ["50", "100"]),
    ("weight_kg", ["0.1", "999.99"], ["0.4", "400"]),
    ("height_cm", ["10", "300"], ["20", "250"]),
    ("pain_scale", ["0", "10"], ["0", "10"]),
];

#[test]
fn what_is_within_clinical_limits_is_accepted() {
    for (field, _, clinical) in LIMITS {
        for value in clinical {
            assert_eq!(taken(json!({ field: value })).extreme, Vec::<String>::new(), "{field} {value}");
        }
    }
}

#[test]
fn what_is_beyond_clinical_limits_is_to_be_confirmed_and_is_flagged() {
    for (field, physical, clinical) in LIMITS {
        for value in physical.into_iter().filter(|it| !clinical.contains(it)) {
            let told = json!({ field: value });
            given_vital_signs([]).when(record(told.clone())).then_field("extreme-value", &format!("/{field}"));
            assert_eq!(taken(with(told, json!({"confirm_extreme": true}))).extreme, [field], "{value}");
        }
    }
}

#[test]
fn what_is_beyond_physical_limits_is_refused_even_when_confirmed() {
    for (field, [low, high], _) in LIMITS {
        let (low, high): (Decimal, Decimal) = (low.parse().unwrap(), high.parse().unwrap());
        for value in [low - dec!(1), high + dec!(1)] {
            given_vital_signs([])
                .when(record(json!({ field: value, "confirm_extreme": true })))
                .then_field("out-of-range", &format!("/{field}"));
        }
    }
}

#[test]
fn a_temperature_is_judged_on_its_own_scale() {
    let celsius = |value| json!({"temperature": value, "temperature_unit": "C"});
    assert_eq!(taken(celsius("37.2")).extreme, Vec::<String>::new());
    given_vital_signs([]).when(record(celsius("24"))).then_field("extreme-value", "/temperature");
    given_vital_signs([]).when(record(celsius("98.6"))).then_field("out-of-range", "/temperature");
    given_vital_signs([]).when(record(json!({"temperature": "37.2"}))).then_field("out-of-range", "/temperature");
}

#[test]
fn a_heart_that_stands_still_can_be_recorded() {
    let it = taken(json!({"heart_rate": 0, "blood_pressure_systolic": 0, "confirm_extreme": true}));
    assert_eq!(it.extreme, ["blood_pressure_systolic", "heart_rate"]);
}

#[test]
fn the_consultation_is_of_the_same_patient() {
    let started = |patient_id: PatientId| [sample_with::<Consultation>("started", json!({ "patient_id": patient_id }))];
    let command = || record(json!({"heart_rate": 72, "consultation_id": CONSULTATION}));
    let with_consultation_of =
        |patient_id| given_vital_signs([]).and::<Consultation>(CONSULTATION, started(patient_id)).when(command());
    assert!(with_consultation_of(PATIENT).is_accepted());
    with_consultation_of(OTHER_PATIENT).then_refused(consultation::Refusal::NotOfThePatient);
}

#[test]
fn whose_they_are_and_who_took_them_must_exist() {
    let nobody = "00000000-0000-0000-0000-00000000dead";
    for field in ["patient_id", "recorded_by", "consultation_id"] {
        given_vital_signs([])
            .when(record(with(json!({"heart_rate": 72}), json!({ field: nobody }))))
            .then_field("unknown-reference", &format!("/{field}"));
    }
}

#[test]
fn a_part_of_the_system_names_who_took_them() {
    given_vital_signs([])
        .by(crate::Caller::system("import"))
        .when(record(json!({"heart_rate": 72})))
        .then_field("who-did-it", "/recorded_by");
}

#[test]
fn what_was_wrong_is_marked() {
    given_vital_signs([recorded(PATIENT)]).when(mark(json!({}))).then([marked(None)]).then_nothing_else();
}

#[test]
fn what_is_right_may_be_recorded_already() {
    given_vital_signs([recorded(PATIENT)])
        .and::<VitalSigns>(RIGHT, [recorded(PATIENT)])
        .when(mark(json!({"corrected_by": RIGHT})))
        .then([marked(Some(RIGHT))])
        .then_nothing_else();
}

#[test]
fn what_is_right_is_recorded_or_named_not_both() {
    given_vital_signs([recorded(PATIENT)])
        .and::<VitalSigns>(RIGHT, [recorded(PATIENT)])
        .when(mark(json!({"corrected_by": RIGHT, "correction": {"heart_rate": 70}})))
        .then_refused(Refusal::TwoCorrections);
}

#[test]
fn what_is_right_may_be_recorded_with_the_mark() {
    let then = given_vital_signs([recorded(PATIENT)])
        .at(at("2026-11-23T11:00:00Z"))
        .when(mark(json!({"correction": {"heart_rate": 70}})));
    let [Event::MarkedEnteredInError { corrected_by: Some(new), .. }] = then.events()[..] else { panic!("marked") };
    let Event::Recorded(before) = recorded(PATIENT) else { panic!("recorded") };
    then.then_also::<VitalSigns>(
        new,
        [Event::Recorded(Recorded {
            measurements: ask(json!({"heart_rate": 70})),
            corrects: Some(VITAL_SIGNS),
            ..before
        })],
    );
}

#[test]
fn a_correction_keeps_what_it_does_not_name() {
    let whole = json!({"heart_rate": 27, "temperature": "37.2", "temperature_unit": "C", "oxygen_supplement": true,
                       "pain_scale": 3});
    let corrected = |correction: Value| {
        let Event::Recorded(before) = recorded(PATIENT) else { panic!("recorded") };
        let before = Recorded { measurements: ask(whole.clone()), ..before };
        let then = given([Event::Recorded(before)]).when(mark(json!({ "correction": correction })));
        let [Event::MarkedEnteredInError { corrected_by: Some(new), .. }] = then.events()[..] else { panic!("marked") };
        let [Event::Recorded(right)] = &then.events_of::<VitalSigns>(new)[..] else { panic!("recorded") };
        right.measurements.clone()
    };
    assert_eq!(corrected(json!({"heart_rate": 72})), ask(with(whole.clone(), json!({"heart_rate": 72}))));
    let without_pain = json!({"heart_rate": 72, "pain_scale": null, "oxygen_supplement": false});
    assert_eq!(corrected(without_pain.clone()), ask(with(whole.clone(), without_pain)));
}

#[test]
fn a_correction_keeps_the_same_limits() {
    let correction = |rate| json!({"correction": {"heart_rate": rate}});
    given([recorded(PATIENT)]).when(mark(correction(400))).then_field("extreme-value", "/correction/heart_rate");
    given([recorded(PATIENT)]).when(mark(correction(501))).then_field("out-of-range", "/correction/heart_rate");
    let fat = json!({"correction": {"weight_kg": "300", "height_cm": "10"}});
    given([recorded(PATIENT)]).when(mark(fat)).then_field("out-of-range", "/correction/height_cm");
    let wordless = json!({"correction": {"heart_rate": 70, "notes": ""}});
    given([recorded(PATIENT)]).when(mark(wordless)).then_field("invalid-fields", "/correction/notes");
    let nothing_left = json!({"correction": {"heart_rate": null}});
    given([recorded(PATIENT)]).when(mark(nothing_left)).then_refused(Refusal::Empty);
    for same in [json!({}), json!({"heart_rate": "72.4"})] {
        given([recorded(PATIENT)]).when(mark(json!({"correction": same}))).then_refused(Refusal::NothingCorrected);
    }
    let confirmed = with(correction(400), json!({"confirm_extreme": true}));
    assert!(given([recorded(PATIENT)]).when(mark(confirmed)).is_accepted());
}

#[test]
fn what_is_right_is_of_the_same_patient() {
    given_vital_signs([recorded(PATIENT)])
        .and::<VitalSigns>(RIGHT, [recorded(OTHER_PATIENT)])
        .when(mark(json!({"corrected_by": RIGHT})))
        .then_refused(Refusal::OtherPatient);
}

#[test]
fn what_is_right_must_exist() {
    given([recorded(PATIENT)])
        .when(mark(json!({"corrected_by": id::<VitalSignsId>(77)})))
        .then_field("unknown-reference", "/corrected_by");
}

#[test]
fn a_measurement_does_not_correct_itself() {
    given_vital_signs([recorded(PATIENT)])
        .when(mark(json!({"corrected_by": VITAL_SIGNS})))
        .then_refused(Refusal::CorrectsItself);
}

#[test]
fn only_who_may_record_vital_signs_is_named() {
    let command = || record(json!({"heart_rate": 72, "recorded_by": DOCTOR}));
    let named = |role| {
        let somebody_of = created_with(json!({"role_id": role_id(role)}));
        given_vital_signs([]).and::<User>(DOCTOR, [somebody_of]).by(somebody("nurse"))
    };
    for role in ["nurse", "doctor"] {
        assert!(named(role).when(command()).is_accepted(), "{role}");
    }
    named("receptionist").when(command()).then_field("not-entitled", "/recorded_by");
    // An import tells what was done elsewhere, by whoever had the right to do it there and then.
    assert!(named("receptionist").by(Caller::system("import")).when(command()).is_accepted());
}

#[test]
fn nobody_measures_themselves() {
    let measured = json!({"heart_rate": 72});
    let by_named = || record(with(measured.clone(), json!({"recorded_by": DOCTOR})));
    let linked = |patient_id| [created(), hims_domain::user::Event::LinkedToPatient { patient_id }];
    let named = |patient_id| given_vital_signs([]).and::<User>(DOCTOR, linked(patient_id)).by(somebody("nurse"));
    named(PATIENT).when(by_named()).then_refused(user::Refusal::TreatsThemselves);
    assert!(named(OTHER_PATIENT).when(by_named()).is_accepted());
    let as_patient = |patient_id| Caller { patient_id: Some(patient_id), ..somebody("nurse") };
    for command in [record(measured.clone()), by_named()] {
        given_vital_signs([]).by(as_patient(PATIENT)).when(command).then_refused(user::Refusal::TreatsThemselves);
    }
    given([recorded(PATIENT)])
        .by(as_patient(PATIENT))
        .when(mark(json!({})))
        .then_refused(user::Refusal::TreatsThemselves);
    // Staff are patients too: they measure everybody else.
    assert!(given_vital_signs([]).by(as_patient(OTHER_PATIENT)).when(record(measured)).is_accepted());
}

#[test]
fn marking_twice_is_quiet() {
    given([recorded(PATIENT), marked(None)]).when(mark(json!({}))).then_nothing();
}

#[test]
fn a_measurement_is_a_number_or_its_digits() {
    let exact = |value: Value| taken(json!({ "temperature": value })).measurements.temperature;
    for value in [json!(98.6), json!("98.6"), json!("98.60")] {
        assert_eq!(exact(value), Some(dec!(98.6)));
    }
    assert_eq!(exact(json!(99)), Some(dec!(99)));
}
