use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use hims_event_store::{Append, Claim};

use super::history::{History, Hospital};
use super::plan::{Plan, VISITS, at};
use super::staff::tests;

fn hospital(scale: f64, seed: u64) -> Arc<Hospital> {
    let today = NaiveDate::from_ymd_opt(2026, 11, 26).unwrap();
    Arc::new(Hospital { plan: Plan::new(scale, seed, today), now: at(today, 12 * 60), tests: tests().unwrap() })
}

fn history(hospital: &Arc<Hospital>, nth: u64) -> Vec<Append> {
    History::of(hospital, nth).unwrap()
}

#[test]
fn each_patient_has_the_share_of_the_volumes() {
    let hospital = hospital(1.0, 1);
    let volumes = [
        ("appointment", 5),
        ("billing_record", 5),
        ("consultation", 5),
        ("lab_order", 2),
        ("lab_result", 10),
        ("notification", 10),
        ("patient", 1),
        ("prescription", 3),
        ("vital_signs", 20),
    ];
    assert_eq!((hospital.plan.patients, hospital.plan.users, hospital.plan.medications), (100_000, 1_000, 10_000));
    for nth in [1, 2, 50_000, 100_000] {
        let mut counted = BTreeMap::new();
        for stream in history(&hospital, nth).iter().flat_map(|it| &it.streams) {
            *counted.entry(stream.stream_type).or_insert(0) += 1;
        }
        assert_eq!(counted, BTreeMap::from(volumes), "patient {nth}");
    }
}

#[test]
fn the_same_seed_makes_the_same_and_another_seed_or_scale_makes_something_else() {
    let told = |scale, seed| format!("{:?}", history(&hospital(scale, seed), 3));
    let first = told(0.01, 1);
    assert_eq!(first, told(0.01, 1));
    assert_ne!(first, told(0.01, 2));
    assert_ne!(first, told(0.02, 1));
}

#[test]
fn the_first_stream_of_each_append_is_known_before() {
    let hospital = hospital(0.001, 1);
    for nth in 1..=hospital.plan.patients {
        let first: Vec<_> = history(&hospital, nth).iter().map(|it| it.streams[0].stream_id).collect();
        assert_eq!(first, hospital.plan.moments(nth).collect::<Vec<_>>());
    }
}

#[test]
fn no_doctor_and_no_patient_has_two_visits_at_one_time() {
    for scale in [0.0002, 0.003, 0.02] {
        let plan = &hospital(scale, 1).plan;
        let mut taken = HashSet::new();
        for nth in 1..=plan.patients {
            let visits: Vec<_> = (0..VISITS).map(|number| plan.visit(nth, number)).collect();
            assert!(visits.is_sorted_by(|one, next| one.date < next.date), "patient {nth}: {visits:?}");
            for visit in visits {
                assert!(taken.insert((visit.doctor, visit.starts_at)), "patient {nth}: {visit:?}");
            }
        }
    }
}

#[test]
fn visits_are_in_working_hours_and_some_are_still_to_come() {
    let plan = &hospital(0.1, 1).plan;
    let visits: Vec<_> = (1..=plan.patients).flat_map(|nth| (0..VISITS).map(move |it| plan.visit(nth, it))).collect();
    for visit in &visits {
        let minutes = (visit.starts_at - at(visit.date, 0)).num_minutes();
        assert!((8 * 60..17 * 60).contains(&minutes), "{visit:?}");
    }
    let ahead = visits.iter().filter(|it| it.date > plan.today).count();
    assert!((300..1_500).contains(&ahead), "{ahead} of {}", visits.len());
    assert!(visits.iter().filter(|it| it.date == plan.today).count() > 10);
}

#[test]
fn no_two_streams_claim_one_key() {
    let hospital = hospital(0.002, 1);
    let (mut streams, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for append in (1..=hospital.plan.patients).flat_map(|nth| history(&hospital, nth)) {
        for stream in &append.streams {
            assert!(streams.insert(stream.stream_id), "{}", stream.stream_type);
        }
        for claim in append.claims {
            if let Claim::Take { scope, key, .. } = claim {
                assert!(keys.insert((scope, key.clone())), "{scope}: {key}");
            }
        }
    }
    assert!(keys.len() > 1_000, "{}", keys.len());
}

/// A patient is there before the first visit, and nothing happens after today but what was agreed for later.
#[test]
fn what_happened_is_past_and_in_order() {
    let hospital = hospital(0.002, 1);
    for nth in 1..=hospital.plan.patients {
        let moments: Vec<_> = history(&hospital, nth).iter().map(|it| it.metadata.occurred_at).collect();
        assert!(moments[0] < moments[1] && moments.iter().all(|it| *it < hospital.now), "patient {nth}: {moments:?}");
    }
}
