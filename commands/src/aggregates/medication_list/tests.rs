use hims_domain::medication_list::{Prescribed, Reconciled};
use hims_domain::{PrescriptionItemId, medication};
use serde_json::{Value, json};

use super::*;
use crate::Caller;
use crate::scopes::MEDICATION_ENTRY;
use crate::testing::samples::{
    MEDICATION, PATIENT, PRESCRIPTION, added_medication, ask, metformin, registered, said, with,
};
use crate::testing::world::somebody;
use crate::testing::{ASKING, Given, Then, given, now, takes};

const ITEM: PrescriptionItemId = PrescriptionItemId(Uuid::from_u128(20));
const TEA: MedicationEntryId = MedicationEntryId(Uuid::from_u128(80));
const PILLS: MedicationEntryId = MedicationEntryId(Uuid::from_u128(81));

fn tea() -> Value {
    json!({"medication_name": "St John's wort", "dose": "one cup"})
}

fn added(entry_id: MedicationEntryId, taken: Value) -> Event {
    Event::Added { patient_id: PATIENT, entry_id, taken: Box::new(ask(taken)), source: Source::Otc }
}

/// The event by which a prescription of metformin begins an entry.
fn prescribed() -> Event {
    let taken: Taken = ask(json!({"medication_id": MEDICATION, "rxnorm_code": "861007", "ingredients": ["6809"]}));
    let entries = vec![Prescribed { entry_id: PILLS, item_id: ITEM, taken, status: Status::Intended }];
    Event::Prescribed { patient_id: PATIENT, prescription_id: PRESCRIPTION, entries }
}

fn given_list(events: impl IntoIterator<Item = Event>) -> Given<MedicationList> {
    let with_ingredient = with(metformin(), json!({"ingredients": ["6809"]}));
    given(events)
        .and::<Patient>(PATIENT, [registered()])
        .and::<Medication>(MEDICATION, [medication::Event::Added(ask(with_ingredient))])
        .by(somebody("nurse"))
}

fn add(taken: Value) -> Then<MedicationList> {
    let body = with(json!({"patient_id": PATIENT, "entry_id": TEA, "source": "otc"}), taken);
    given_list([]).when(ask::<AddPatientMedication>(body))
}

fn change(of: Event, entry_id: MedicationEntryId, changes: Value) -> Then<MedicationList> {
    let body = with(json!({"patient_id": PATIENT, "entry_id": entry_id}), changes);
    given_list([of]).when(ask::<ChangePatientMedication>(body))
}

fn hold(entry_id: MedicationEntryId) -> HoldPatientMedication {
    HoldPatientMedication { patient_id: PATIENT, entry_id, reason: said("surgery") }
}

fn held(entry_id: MedicationEntryId) -> Event {
    Event::Held { entry_id, reason: said("surgery") }
}

fn resume(entry_id: MedicationEntryId) -> ResumePatientMedication {
    ResumePatientMedication { patient_id: PATIENT, entry_id, reason: None }
}

fn stop(entry_id: MedicationEntryId, end_date: Option<NaiveDate>) -> StopPatientMedication {
    StopPatientMedication { patient_id: PATIENT, entry_id, reason: said("interacts"), end_date }
}

fn stopped(entry_id: MedicationEntryId) -> Event {
    Event::Stopped { entry_id, end_date: now().date_naive(), reason: said("interacts") }
}

fn mark(entry_id: MedicationEntryId) -> MarkPatientMedicationEnteredInError {
    MarkPatientMedicationEnteredInError { patient_id: PATIENT, entry_id, reason: said("of another") }
}

fn wrong(entry_id: MedicationEntryId) -> Event {
    Event::MarkedEnteredInError { entry_id, reason: said("of another") }
}

#[expect(clippy::needless_pass_by_value, reason = "tests read better without ampersands")]
fn reconcile(decisions: Value) -> ReconcileMedicationList {
    ask(json!({"patient_id": PATIENT, "decisions": decisions}))
}

#[test]
fn a_medication_begins_the_list_or_joins_it() {
    add(tea()).then([added(TEA, tea())]).then_claims([takes(MEDICATION_ENTRY, TEA)]);
    let body = with(json!({"patient_id": PATIENT, "entry_id": TEA, "source": "otc"}), tea());
    let more = given_list([prescribed()]).when(ask::<AddPatientMedication>(body.clone()));
    more.then([added(TEA, tea())]).then_claims([takes(MEDICATION_ENTRY, TEA)]);
    given_list([added(TEA, tea())]).when(ask::<AddPatientMedication>(body.clone())).then_code("already-exists");
    let own = Caller { patient_id: Some(PATIENT), ..somebody("doctor") };
    given_list([]).by(own).when(ask::<AddPatientMedication>(body)).then_code("treating-oneself");
}

#[test]
fn a_medication_is_of_the_catalogue_or_has_a_name() {
    let catalogued = json!({"medication_id": MEDICATION});
    let known = json!({"medication_id": MEDICATION, "rxnorm_code": "861007", "ingredients": ["6809"]});
    add(catalogued.clone()).then([added(TEA, known)]);
    add(json!({})).then_field("invalid-fields", "/medication_name");
    add(with(catalogued, tea())).then_field("invalid-fields", "/medication_name");
    add(json!({"medication_id": Uuid::from_u128(0xdead)})).then_field("unknown-reference", "/medication_id");
    add(with(tea(), json!({"rxnorm_code": "N0TACODE"}))).then_field("malformed-code", "/rxnorm_code");
    add(with(tea(), json!({"ingredients": ["x"]}))).then_field("malformed-code", "/ingredients");
    let many: Vec<String> = (1..=21).map(|it| it.to_string()).collect();
    add(with(tea(), json!({"ingredients": many}))).then_field("invalid-fields", "/ingredients");
    let backwards = json!({"start_date": "2026-02-01", "end_date": "2026-01-31"});
    add(with(tea(), backwards)).then_field("ends-before-it-starts", "/end_date");
}

#[test]
fn what_was_prescribed_here_stays_the_same_medication() {
    let dose = json!({"dose": "half a tablet"});
    let [of_tea, of_pills] = [(added(TEA, tea()), TEA), (prescribed(), PILLS)];
    for (of, entry_id) in [of_tea, of_pills] {
        assert!(change(of, entry_id, dose.clone()).is_accepted());
    }
    change(prescribed(), PILLS, json!({"ingredients": ["1"]})).then_code("prescribed-here");
    let named = json!({"medication_id": null, "medication_name": "Metformin"});
    change(prescribed(), PILLS, named).then_code("prescribed-here");
    let catalogued = json!({"medication_id": MEDICATION, "medication_name": null});
    let known =
        json!({"medication_id": MEDICATION, "rxnorm_code": "861007", "ingredients": ["6809"], "dose": "one cup"});
    change(added(TEA, tea()), TEA, catalogued).then([Event::Changed { entry_id: TEA, taken: Box::new(ask(known)) }]);
    change(added(TEA, tea()), TEA, json!({"dose": "one cup"})).then_nothing();
    change(added(TEA, tea()), PILLS, dose).then_code("not-found");
}

#[test]
fn a_change_keeps_the_codes_of_the_same_product_only() {
    let coded = with(tea(), json!({"ingredients": ["258326"]}));
    let renamed = with(coded.clone(), json!({"medication_name": "Hypericum", "ingredients": null}));
    change(added(TEA, coded.clone()), TEA, json!({"medication_name": "Hypericum"}))
        .then([Event::Changed { entry_id: TEA, taken: Box::new(ask(renamed)) }]);
    let dosed = with(coded.clone(), json!({"dose": "two cups"}));
    change(added(TEA, coded), TEA, json!({"dose": "two cups"}))
        .then([Event::Changed { entry_id: TEA, taken: Box::new(ask(dosed)) }]);
}

#[test]
fn an_entry_moves_through_its_statuses() {
    let tea_then = |events: &[Event]| given_list([&[added(TEA, tea())], events].concat());
    tea_then(&[]).when(hold(TEA)).then([held(TEA)]);
    tea_then(&[held(TEA)]).when(hold(TEA)).then_nothing();
    tea_then(&[held(TEA)]).when(resume(TEA)).then([Event::Resumed { entry_id: TEA, reason: None }]);
    tea_then(&[]).when(resume(TEA)).then_nothing();
    tea_then(&[]).when(stop(TEA, None)).then([stopped(TEA)]);
    tea_then(&[held(TEA)]).when(stop(TEA, None)).then([stopped(TEA)]);
    tea_then(&[stopped(TEA)]).when(stop(TEA, None)).then_nothing();
    given_list([prescribed()]).when(stop(PILLS, None)).then([stopped(PILLS)]);
    given_list([prescribed()]).when(hold(PILLS)).then_refused(Refusal::EntryStatus { status: Status::Intended });
    tea_then(&[]).when(mark(TEA)).then([wrong(TEA)]);
    tea_then(&[wrong(TEA)]).when(mark(TEA)).then_nothing();
    let over = Event::Completed { entries: [TEA].into() };
    for (last, status) in
        [(stopped(TEA), Status::Stopped), (wrong(TEA), Status::EnteredInError), (over, Status::Completed)]
    {
        let refusal = || Refusal::EntryStatus { status };
        tea_then(std::slice::from_ref(&last)).when(hold(TEA)).then_refused(refusal());
        tea_then(std::slice::from_ref(&last)).when(resume(TEA)).then_refused(refusal());
        if status != Status::EnteredInError {
            tea_then(std::slice::from_ref(&last)).when(mark(TEA)).then_refused(refusal());
        }
        if status != Status::Stopped {
            tea_then(&[last]).when(stop(TEA, None)).then_refused(refusal());
        }
    }
}

#[test]
fn a_medication_stops_today_or_stopped_before() {
    let begun = with(tea(), json!({"start_date": "2026-11-01"}));
    let stop = |day: &str| given_list([added(TEA, begun.clone())]).when(stop(TEA, Some(day.parse().unwrap())));
    assert!(stop("2026-11-20").is_accepted());
    stop("2026-11-24").then_field("in-the-future", "/end_date");
    stop("2026-10-31").then_field("ends-before-it-starts", "/end_date");
}

#[test]
fn a_reconciliation_names_every_open_entry() {
    let both = || given_list([prescribed(), added(TEA, tea())]);
    both().when(reconcile(json!([{"entry_id": TEA, "action": "continue"}]))).then_code("unreconciled");
    both().when(reconcile(json!([{"entry_id": TEA, "action": "continue"}]))).then_candidates([PILLS]);
    let after = |entry_id, status, end_date, reason: Option<&str>| Reconciled {
        entry_id,
        status,
        end_date,
        reason: reason.map(said),
    };
    let entries = vec![
        after(TEA, Status::Stopped, Some(now().date_naive()), Some("interacts")),
        after(PILLS, Status::Intended, None, None),
    ];
    let reconciled = Event::Reconciled { entries, reconciled_by: Some(ASKING.into()), reconciled_at: now() };
    let decisions = json!([{"entry_id": TEA, "action": "stop", "reason": "interacts"},
                           {"entry_id": PILLS, "action": "continue"}]);
    both().when(reconcile(decisions)).then([reconciled]);
    let twice = json!([{"entry_id": TEA, "action": "stop"}, {"entry_id": PILLS, "action": "continue"},
                       {"entry_id": TEA, "action": "continue"}]);
    both().when(reconcile(twice)).then_field("invalid-fields", "/decisions/2/entry_id");
    let hold = json!([{"entry_id": TEA, "action": "continue"}, {"entry_id": PILLS, "action": "hold"}]);
    both().when(reconcile(hold)).then_code("wrong-status");
}

#[test]
fn a_reconciliation_need_not_name_what_is_over() {
    let past = with(tea(), json!({"end_date": "2026-11-22"}));
    assert!(given_list([added(TEA, past.clone())]).when(reconcile(json!([]))).is_accepted());
    let named = json!([{"entry_id": TEA, "action": "stop"}]);
    assert!(given_list([added(TEA, past)]).when(reconcile(named.clone())).is_accepted());
    given_list([added(TEA, tea()), stopped(TEA)]).when(reconcile(named)).then_code("wrong-status");
    let last_day = with(tea(), json!({"end_date": "2026-11-23"}));
    given_list([added(TEA, last_day)]).when(reconcile(json!([]))).then_code("unreconciled");
}

#[test]
fn what_continues_is_taken_again() {
    let decided = json!([{"entry_id": TEA, "action": "continue"}]);
    let event = given_list([added(TEA, tea()), held(TEA)]).when(reconcile(decided)).then_event();
    let list: MedicationList = hims_domain::fold(&[added(TEA, tea()), held(TEA), event]).unwrap();
    assert_eq!(list.entries[&TEA].status, Status::Active);
}

#[test]
fn the_catalogue_gives_no_ingredients_that_it_does_not_know() {
    let body = json!({"patient_id": PATIENT, "entry_id": TEA, "source": "external", "medication_id": MEDICATION});
    let then = given([])
        .and::<Patient>(PATIENT, [registered()])
        .and::<Medication>(MEDICATION, [added_medication()])
        .when(ask::<AddPatientMedication>(body));
    let Event::Added { taken, .. } = then.then_event() else { panic!("another event") };
    assert_eq!(taken.ingredients, None);
}

#[test]
fn what_is_past_its_end_is_completed_once() {
    let until = |entry_id, end_date: &str| added(entry_id, with(tea(), json!({"end_date": end_date})));
    let complete = || CompletePastMedications { patient_id: PATIENT, before: "2026-11-23".parse().unwrap() };
    let completed = || Event::Completed { entries: [TEA].into() };
    let list = || [until(TEA, "2026-11-22"), until(PILLS, "2026-11-23"), held(TEA)];
    given(list()).when(complete()).then([completed()]);
    given([list().as_slice(), &[completed()]].concat()).when(complete()).then_nothing();
    let stopped = Event::Stopped { entry_id: TEA, end_date: "2026-11-20".parse().unwrap(), reason: said("surgery") };
    given([until(TEA, "2026-11-22"), stopped]).when(complete()).then_nothing();
    given([added(TEA, tea()), prescribed()]).when(complete()).then_nothing();
}
