//! A history gives the same state whether it is folded at once, event by event, or from a state stored in between.
#![expect(clippy::unwrap_used, reason = "a value that cannot be read fails the test")]

use chrono::NaiveDate;
use hims_domain::appointment::{self, Appointment, Slot};
use hims_domain::billing_record::{self, BillingRecord};
use hims_domain::insurance_claim::{self, InsuranceClaim};
use hims_domain::medication_list::{self, MedicationList};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::patient::{self, Patient};
use hims_domain::prescription::{self, Dispensing, Prescription, Reversed};
use hims_domain::price::{self, Price};
use hims_domain::provider_schedule::{self, ProviderSchedule};
use hims_domain::waitlist_entry::{self, WaitlistEntry};
use hims_domain::{Aggregate, PatientId, Personal, PrescriptionItemId, RoomId, UserId, fold};
use hims_testing::{fields, patched, sample, sample_with};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (0_u128..5).prop_map(|it| Uuid::from_u128(it).into())
}

fn quantity() -> impl Strategy<Value = Decimal> {
    (-50_000_i64..50_000).prop_map(|it| Decimal::new(it, 3))
}

fn slot() -> impl Strategy<Value = Slot> {
    (0_i64..1_000_000, 1_i32..480).prop_map(|(minute, duration_minutes)| Slot {
        starts_at: chrono::DateTime::from_timestamp(minute * 60, 0).unwrap(),
        duration_minutes,
    })
}

fn appointment_event() -> impl Strategy<Value = appointment::Event> {
    use appointment::Event;
    let scheduled = (id::<PatientId>(), id::<UserId>(), slot()).prop_map(|(patient_id, provider_id, slot)| {
        let changes = json!({"patient_id": patient_id, "provider_id": provider_id, "slot": slot});
        sample_with::<Appointment>("scheduled", changes)
    });
    let rescheduled = (slot(), id::<UserId>(), prop::option::of(id::<RoomId>()));
    let rescheduled = rescheduled.prop_map(|(slot, provider_id, room_id)| {
        let changes = json!({"slot": slot, "provider_id": provider_id, "room_id": room_id, "department_id": null,
                             "time_zone": "UTC"});
        sample_with::<Appointment>("rescheduled", changes)
    });
    prop_oneof![
        2 => scheduled,
        3 => rescheduled,
        8 => prop::sample::select(vec![
            Event::Confirmed,
            Event::Started,
            Event::Completed,
            Event::MarkedNoShow,
            sample::<Appointment>("checked_in"),
            sample::<Appointment>("check_in_undone"),
            sample::<Appointment>("start_undone"),
            sample::<Appointment>("no_show_undone"),
            sample::<Appointment>("cancelled"),
        ]),
    ]
}

/// Events of a lot that are folded as they are in the golden files.
const LOT_SAMPLES: [&str; 10] = [
    "quarantined",
    "released",
    "recalled",
    "recall_revoked",
    "dispensing_reversed",
    "counted",
    "wasted",
    "transferred_out",
    "transferred_in",
    "returned",
];

fn lot_event() -> impl Strategy<Value = medication_lot::Event> {
    use medication_lot::Event;
    let received =
        quantity().prop_map(|quantity| sample_with::<MedicationLot>("received", json!({ "quantity": quantity })));
    prop_oneof![
        1 => received,
        3 => (quantity(), quantity()).prop_map(|(change, on_hand_after)| Event::Adjusted {
            change,
            on_hand_after,
            reason: "counted".into(),
            performed_by: None,
            witnessed_by: None,
        }),
        3 => (id(), id(), quantity(), quantity()).prop_map(|(prescription_id, item_id, quantity, on_hand_after)| {
            Event::Dispensed { prescription_id, item_id, quantity, on_hand_after, reserved_after: quantity }
        }),
        3 => (id(), id(), quantity()).prop_map(|(prescription_id, item_id, quantity)| {
            let (on_hand_after, reserved_after) = (quantity, quantity);
            Event::Reserved { prescription_id, item_id, quantity, on_hand_after, reserved_after }
        }),
        3 => (id::<Uuid>(), quantity()).prop_map(|(item_id, quantity)| {
            let released = json!({"item_id": item_id, "quantity": quantity});
            sample_with::<MedicationLot>("reservation_released", released)
        }),
        3 => (id::<Uuid>(), quantity()).prop_map(|(change_id, change)| {
            let requested = json!({"change_id": change_id, "requested": {"change": change}});
            sample_with::<MedicationLot>("change_requested", requested)
        }),
        3 => (prop::sample::select(vec!["change_witnessed", "change_rejected"]), id::<Uuid>()).prop_map(|(event, change_id)| {
            sample_with::<MedicationLot>(event, json!({"change_id": change_id}))
        }),
        5 => prop::sample::select(LOT_SAMPLES.map(sample::<MedicationLot>).to_vec()),
    ]
}

fn prescription_event() -> impl Strategy<Value = prescription::Event> {
    use prescription::Event;
    let item = fields::<Prescription>("written")["items"][0].take();
    let written = prop::collection::vec((id::<PrescriptionItemId>(), quantity()), 1..4).prop_map(move |items| {
        let change = |(id, quantity)| patched(item.clone(), json!({"id": id, "order": {"quantity": quantity}}));
        let items: Vec<_> = items.into_iter().map(change).collect();
        sample_with::<Prescription>("written", json!({ "items": items }))
    });
    let part = (id(), prop::option::of(id()), quantity(), quantity());
    let part = part.prop_map(|(item_id, lot_id, quantity, dispensed_after)| Dispensing {
        item_id,
        lot_id,
        quantity,
        dispensed_after,
        dispensed_on: NaiveDate::from_ymd_opt(2026, 11, 23).unwrap(),
    });
    let dispensed = (prop::collection::vec(part, 0..4), any::<bool>()).prop_map(|(dispensed, completes)| {
        let (patient_id, alerts, overrides) = (PatientId(Uuid::from_u128(1)), Vec::new(), Vec::new());
        Event::Dispensed { patient_id, dispensed, alerts, overrides, completes, reserved: Vec::new() }
    });
    let refill = (prop::sample::select(vec!["refill_opened", "refill_undone"]), id::<Uuid>(), 0_i32..3);
    let refill = refill.prop_map(|(event, item_id, refills_used)| {
        sample_with::<Prescription>(event, json!({"refills": [{"item_id": item_id, "refills_used": refills_used}]}))
    });
    let back = (id(), prop::option::of(id()), quantity(), quantity()).prop_map(
        |(item_id, lot_id, quantity, quantity_dispensed)| Reversed { item_id, lot_id, quantity, quantity_dispensed },
    );
    let reversed = prop::collection::vec(back, 0..4).prop_map(|reversed| Event::DispensingReversed {
        reversed,
        status: prescription::Status::SentToPharmacy,
        reason: Personal::Known("not fetched".into()),
    });
    prop_oneof![
        1 => written,
        4 => dispensed,
        2 => reversed,
        2 => refill,
        4 => prop::sample::select(vec![
            Event::SentToPharmacy,
            sample::<Prescription>("marked_ready"),
            sample::<Prescription>("ready_undone"),
            sample::<Prescription>("ready_withdrawn"),
            sample::<Prescription>("cancelled"),
        ]),
    ]
}

fn schedule_event() -> impl Strategy<Value = provider_schedule::Event> {
    use provider_schedule::Event;
    let day = || (1_i32..4).prop_map(|day| format!("2026-11-{day:02}"));
    let set =
        day().prop_map(|day| sample_with::<ProviderSchedule>("hours_set", json!({"hours": {"effective_from": day}})));
    let exception =
        day().prop_map(|day| sample_with::<ProviderSchedule>("exception_set", json!({"exception": {"date": day}})));
    let removed = day().prop_map(|day| sample_with::<ProviderSchedule>("exception_removed", json!({"date": day})));
    let added = id::<Uuid>().prop_map(|id| sample_with::<ProviderSchedule>("leave_added", json!({"leave_id": id})));
    let cancelled = id().prop_map(|leave_id| Event::LeaveCancelled { leave_id });
    prop_oneof![set, exception, removed, added, cancelled]
}

fn waitlist_event() -> impl Strategy<Value = waitlist_entry::Event> {
    let names = ["joined", "changed", "offered", "accepted", "declined", "expired", "lapsed", "left"];
    prop::sample::select(names.map(sample::<WaitlistEntry>).to_vec())
}

fn patient_event() -> impl Strategy<Value = patient::Event> {
    let ids = || prop::collection::vec(id::<PatientId>(), 0..3);
    let merged = (id::<PatientId>(), ids()).prop_map(|(duplicate_id, brought)| {
        sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": duplicate_id, "brought": brought}))
    });
    let unmerged = (id::<PatientId>(), ids()).prop_map(|(duplicate_id, taken_along)| {
        sample_with::<Patient>("duplicate_unmerged", json!({"duplicate_id": duplicate_id, "taken_along": taken_along}))
    });
    prop_oneof![
        1 => Just(sample::<Patient>("registered")),
        6 => merged,
        4 => unmerged,
        4 => prop::sample::select(
            ["merged_into", "unmerged", "allergy_recorded", "allergy_retired"].map(sample::<Patient>).to_vec()
        ),
    ]
}

fn list_event() -> impl Strategy<Value = medication_list::Event> {
    // Entries come and go under a few ids, so that most events meet an entry.
    let names = [
        "prescribed",
        "dispensed",
        "dispensing_reversed",
        "prescription_cancelled",
        "added",
        "changed",
        "held",
        "resumed",
        "stopped",
        "completed",
        "reconciled",
        "marked_entered_in_error",
    ];
    (prop::sample::select(names.to_vec()), 0_u128..3).prop_map(|(name, nth)| {
        let id = Uuid::from_u128(nth);
        let entry = |of: Value| patched(of, json!({ "entry_id": id }));
        let changes = match name {
            "prescribed" | "dispensed" | "reconciled" => {
                json!({"entries": [entry(fields::<MedicationList>(name)["entries"][0].take())]})
            }
            "dispensing_reversed" | "prescription_cancelled" | "completed" => json!({ "entries": [id] }),
            _ => json!({ "entry_id": id }),
        };
        sample_with::<MedicationList>(name, changes)
    })
}

fn billing_event() -> impl Strategy<Value = billing_record::Event> {
    let items = (prop::sample::select(vec!["item_added", "item_changed", "item_removed"]), id::<Uuid>())
        .prop_map(|(name, id)| sample_with::<BillingRecord>(name, json!({"item_id": id})));
    let paid = (prop::sample::select(vec!["payment_recorded", "payment_refunded", "credit_moved"]), id::<Uuid>())
        .prop_map(|(name, id)| {
            let refund = if name == "payment_refunded" { json!({"payment_id": id}) } else { json!({}) };
            let named = if name == "payment_refunded" { json!({}) } else { json!({"payment_id": id}) };
            sample_with::<BillingRecord>(name, patched(named, refund))
        });
    let others = [
        "opened",
        "invoice_issued",
        "adjusted",
        "written_off",
        "claim_opened",
        "claim_adjudicated",
        "claim_reversed",
        "claim_closed",
        "cancelled",
    ];
    prop_oneof![4 => items, 4 => paid, 3 => prop::sample::select(others.map(sample::<BillingRecord>).to_vec())]
}

fn price_event() -> impl Strategy<Value = price::Event> {
    let day = || (1_i32..6).prop_map(|day| format!("2026-11-{day:02}"));
    let set = (day(), prop::option::of(day())).prop_map(|(first, cut)| {
        let cut = cut.map(|before| json!({"effective_from": before, "effective_to": first}));
        sample_with::<Price>("set", json!({"version": {"effective_from": first}, "cut": cut}))
    });
    let ended = (day(), day()).prop_map(|(first, dropped)| {
        sample_with::<Price>("ended", json!({"cut": {"effective_from": first}, "dropped": [dropped]}))
    });
    prop_oneof![3 => set, 1 => ended]
}

fn claim_event() -> impl Strategy<Value = insurance_claim::Event> {
    // Adjudications come and go under a few ids, and each speaks of one line or of both.
    let adjudication = (0_u128..3, prop::sample::subsequence(vec![0_usize, 1], 1..=2), any::<bool>());
    let adjudication = adjudication.prop_map(|(nth, chosen, is_reversal)| {
        let lines = fields::<InsuranceClaim>("payment_recorded")["lines"].take();
        let lines: Vec<_> = chosen.into_iter().map(|it| lines[it].clone()).collect();
        let id = Uuid::from_u128(nth);
        if is_reversal {
            sample_with::<InsuranceClaim>("payment_reversed", json!({"reverses_id": id, "lines": lines}))
        } else {
            sample_with::<InsuranceClaim>("payment_recorded", json!({"payment_id": id, "lines": lines}))
        }
    });
    let others = ["submitted", "accepted", "pended", "appealed", "denial_upheld", "replaced", "cancelled"];
    prop_oneof![
        1 => Just(sample::<InsuranceClaim>("created")),
        6 => adjudication,
        4 => prop::sample::select(others.map(sample::<InsuranceClaim>).to_vec()),
    ]
}

fn contact_event() -> impl Strategy<Value = patient::Event> {
    let contact = (0_u128..4, prop::sample::subsequence(vec![0_u128, 1, 2, 3], 0..=4), any::<bool>());
    let changed = contact.prop_map(|(nth, order, is_removed)| {
        let order: Vec<_> = order.into_iter().map(Uuid::from_u128).collect();
        let name = if is_removed { "emergency_contact_removed" } else { "emergency_contact_added" };
        sample_with::<Patient>(name, json!({"contact_id": Uuid::from_u128(nth), "order": order}))
    });
    let others = ["registered", "demographics_changed"].map(sample::<Patient>).to_vec();
    prop_oneof![1 => prop::sample::select(others), 4 => changed]
}

/// The state after it was stored as a snapshot and read again.
fn stored<A: Aggregate>(state: Option<A>) -> Option<A> {
    state.map(|it| from(serde_json::to_value(it).unwrap()))
}

fn folds_alike<A: Aggregate + PartialEq>(history: &[A::Event], batch: usize) -> Result<(), TestCaseError> {
    let at_once = fold::<A>(history);
    let one_by_one = history.iter().fold(None, |state, event| stored(A::evolve(state, event)));
    prop_assert_eq!(&one_by_one, &at_once);
    let in_batches =
        history.chunks(batch).fold(None, |state: Option<A>, events| stored(events.iter().fold(state, A::evolve)));
    prop_assert_eq!(&in_batches, &at_once);
    Ok(())
}

proptest! {
    #[test]
    fn an_appointment_folds_alike(history in prop::collection::vec(appointment_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<Appointment>(&history, batch)?;
    }

    #[test]
    fn a_lot_folds_alike(history in prop::collection::vec(lot_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<MedicationLot>(&history, batch)?;
    }

    #[test]
    fn a_prescription_folds_alike(history in prop::collection::vec(prescription_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<Prescription>(&history, batch)?;
    }

    #[test]
    fn a_claim_folds_alike(history in prop::collection::vec(claim_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<InsuranceClaim>(&history, batch)?;
    }

    #[test]
    fn a_medication_list_folds_alike(history in prop::collection::vec(list_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<MedicationList>(&history, batch)?;
    }

    #[test]
    fn a_schedule_folds_alike(history in prop::collection::vec(schedule_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<ProviderSchedule>(&history, batch)?;
    }

    #[test]
    fn an_entry_of_the_waiting_list_folds_alike(
        history in prop::collection::vec(waitlist_event(), 0..30),
        batch in 1_usize..10,
    ) {
        folds_alike::<WaitlistEntry>(&history, batch)?;
    }

    #[test]
    fn a_patient_folds_alike(history in prop::collection::vec(patient_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<Patient>(&history, batch)?;
    }

    #[test]
    fn a_billing_record_folds_alike(history in prop::collection::vec(billing_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<BillingRecord>(&history, batch)?;
    }

    #[test]
    fn a_price_folds_alike(history in prop::collection::vec(price_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<Price>(&history, batch)?;
    }

    #[test]
    fn emergency_contacts_fold_alike(history in prop::collection::vec(contact_event(), 0..30), batch in 1_usize..10) {
        folds_alike::<Patient>(&history, batch)?;
    }

    #[test]
    fn nothing_comes_of_a_history_without_a_beginning(history in prop::collection::vec(appointment_event(), 1..10)) {
        let rest: Vec<_> = history.into_iter().filter(|it| !matches!(it, appointment::Event::Scheduled(_))).collect();
        prop_assert_eq!(fold::<Appointment>(&rest), None);
    }
}
