//! Measurements and times that do not go together.

use super::*;

#[test]
fn a_diastolic_pressure_that_is_not_below_the_systolic_is_asked_back() {
    let pressure =
        |systolic, diastolic| json!({"blood_pressure_systolic": systolic, "blood_pressure_diastolic": diastolic});
    for (systolic, diastolic) in [(80, 120), (120, 120), (110, 111)] {
        let told = pressure(systolic, diastolic);
        given_vital_signs([]).when(record(told.clone())).then_field("extreme-value", "/blood_pressure_diastolic");
        let confirmed = taken(with(told, json!({"confirm_extreme": true})));
        assert_eq!(confirmed.extreme, ["blood_pressure_diastolic"], "{diastolic} over {systolic}");
    }
    assert_eq!(taken(pressure(120, 119)).extreme, Vec::<String>::new());
    // A pressure that is beyond its own limit as well is named once.
    let twice = taken(with(pressure(200, 250), json!({"confirm_extreme": true})));
    assert_eq!(twice.extreme, ["blood_pressure_diastolic"]);
}

#[test]
fn nothing_is_measured_before_the_birth() {
    let at_time = |time: &str| record(json!({"heart_rate": 72, "recorded_at": time, "confirm_extreme": true}));
    let born = |day: &str| {
        let demographics = with(crate::testing::samples::ann(), json!({"date_of_birth": day}));
        given_vital_signs([]).and::<Patient>(PATIENT, [registered_as(demographics)])
    };
    born("2026-11-20").when(at_time("2026-11-19T09:00:00Z")).then_refused(Refusal::BeforeBirth);
    // Where the patient was born, it is the twentieth already.
    assert!(born("2026-11-20").when(at_time("2026-11-19T10:00:00Z")).is_accepted());
}

#[test]
fn a_time_long_ago_is_asked_back() {
    let long_ago = json!({"heart_rate": 72, "recorded_at": "2026-10-24T09:59:59Z"});
    given_vital_signs([]).when(record(long_ago.clone())).then_field("extreme-value", "/recorded_at");
    assert_eq!(taken(with(long_ago, json!({"confirm_extreme": true}))).extreme, ["recorded_at"]);
    assert_eq!(taken(json!({"heart_rate": 72, "recorded_at": "2026-10-24T10:00:00Z"})).extreme, Vec::<String>::new());
}

#[test]
fn nothing_is_measured_in_a_consultation_that_was_cancelled() {
    let of_consultation = || record(json!({"heart_rate": 72, "consultation_id": CONSULTATION}));
    let after = |events: &[&str]| {
        let started = sample_with::<Consultation>("started", json!({ "patient_id": PATIENT }));
        let then = events.iter().map(|name| hims_testing::sample::<Consultation>(name));
        given_vital_signs([]).and::<Consultation>(CONSULTATION, std::iter::once(started).chain(then))
    };
    after(&["cancelled"]).when(of_consultation()).then_refused(consultation::Refusal::CancelledConsultation);
    assert!(after(&["completed"]).when(of_consultation()).is_accepted());
}

#[test]
fn oxygen_that_flows_is_given() {
    let flow = |given: bool| json!({"oxygen_flow_rate": "2.5", "oxygen_saturation": 94, "oxygen_supplement": given});
    assert!(taken(flow(true)).measurements.oxygen_supplement);
    for told in [flow(false), json!({"oxygen_flow_rate": "2.5", "oxygen_saturation": 94})] {
        given_vital_signs([]).when(record(told)).then_field("out-of-range", "/oxygen_supplement");
    }
    given([recorded(PATIENT)])
        .when(mark(json!({"correction": {"oxygen_flow_rate": "2.5"}})))
        .then_field("out-of-range", "/correction/oxygen_supplement");
    assert!(given_vital_signs([]).when(record(json!({"oxygen_flow_rate": 0, "heart_rate": 72}))).is_accepted());
}

#[test]
fn vital_signs_are_not_of_the_future() {
    given_vital_signs([])
        .when(record(json!({"heart_rate": 72, "recorded_at": "2026-11-23T10:00:01Z"})))
        .then_refused(Refusal::InTheFuture);
}

#[test]
fn weight_and_height_go_together() {
    given_vital_signs([])
        .when(record(json!({"weight_kg": "300", "height_cm": "10", "confirm_extreme": true})))
        .then_field("out-of-range", "/height_cm");
}
