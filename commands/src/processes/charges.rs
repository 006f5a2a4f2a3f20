use std::collections::BTreeMap;

use hims_domain::lab_result::ResultStatus;
use hims_domain::values::Text;
use hims_domain::{DomainEvent, PatientId, consultation, inventory_level, lab_result, prescription, treatment};

use crate::billing_record::{
    ChargeConsultation, ChargeDispensing, ChargeLabResult, ChargeSupply, ChargeTreatment, ChargedQuantity, Moved,
    RevokeDispensingCharges, RevokeLabCharge, RevokeSupplyCharge,
};
use crate::{Failure, Happened, Process, Reaction};

/// Charges for what was done: consultations, treatments, what was dispensed here, tests of the laboratory with a final
/// result, and articles that were issued for a patient. What another pharmacy dispensed is not charged. Another kind of
/// service is a further event type here, and a further command of the billing records.
pub(super) struct Charges;

/// What follows from a result of the laboratory: its test is charged once the result is final, and no more once the
/// result is withdrawn. Corrections cost nothing.
fn of_result(happened: &Happened, event: &lab_result::Event) -> Option<Reaction> {
    let lab_result_id = happened.stream_id.into();
    match event {
        lab_result::Event::Recorded(it) if it.result_status == ResultStatus::Final => {
            Some(Reaction::command(ChargeLabResult { lab_result_id }))
        }
        lab_result::Event::Finalised { .. } => Some(Reaction::command(ChargeLabResult { lab_result_id })),
        lab_result::Event::Withdrawn { .. } => Some(Reaction::command(RevokeLabCharge { lab_result_id })),
        _ => None,
    }
}

/// What follows from a movement of an article: what is issued for a patient is charged, and no more once it is put back.
fn of_level(happened: &Happened, event: &inventory_level::Event) -> Option<Reaction> {
    let moved = |patient_id: PatientId, consultation_id| {
        let movement = event.movement();
        Moved {
            inventory_item_id: movement.inventory_item_id,
            location_id: movement.location_id,
            patient_id,
            consultation_id,
            quantity: movement.change.abs(),
            occasion: Text(happened.position.to_string()),
        }
    };
    match event {
        inventory_level::Event::Issued { patient_id: Some(patient_id), consultation_id, .. } => {
            let (issued, issued_at) = (moved(*patient_id, *consultation_id), happened.occurred_at);
            Some(Reaction::command(ChargeSupply { issued, issued_at }))
        }
        inventory_level::Event::Returned { patient_id: Some(patient_id), consultation_id, .. } => {
            Some(Reaction::command(RevokeSupplyCharge { returned: moved(*patient_id, *consultation_id) }))
        }
        _ => None,
    }
}

impl Process for Charges {
    const NAME: &'static str = "charges";
    const ON: &'static [&'static str] = &[
        "consultation.completed",
        "treatment.completed",
        "prescription.dispensed",
        "prescription.dispensing_reversed",
        "lab_result.recorded",
        "lab_result.finalised",
        "lab_result.withdrawn",
        "inventory_level.issued",
        "inventory_level.returned",
    ];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let (id, at) = (happened.stream_id, happened.occurred_at);
        let reaction = match &happened.event {
            DomainEvent::Consultation(consultation::Event::Completed { .. }) => {
                Reaction::command(ChargeConsultation { consultation_id: id.into() })
            }
            DomainEvent::Treatment(treatment::Event::Completed { .. }) => {
                Reaction::command(ChargeTreatment { treatment_id: id.into(), completed_at: at })
            }
            DomainEvent::Prescription(prescription::Event::Dispensed { dispensed, .. }) => {
                let here = dispensed.iter().filter(|it| it.lot_id.is_some());
                let here = here.map(|it| ChargedQuantity { item_id: it.item_id, quantity: it.quantity });
                let dispensed: Vec<_> = here.collect();
                if dispensed.is_empty() {
                    return Ok(Vec::new());
                }
                let occasion = Text(happened.position.to_string());
                Reaction::command(ChargeDispensing { prescription_id: id.into(), occasion, dispensed, dispensed_at: at })
            }
            DomainEvent::Prescription(prescription::Event::DispensingReversed { reversed, .. }) => {
                // An item that was taken back from several lots is named several times, with the same quantity left.
                let left: BTreeMap<_, _> = reversed.iter().map(|it| (it.item_id, it.quantity_dispensed)).collect();
                let left = left.into_iter().map(|(item_id, quantity)| ChargedQuantity { item_id, quantity }).collect();
                Reaction::command(RevokeDispensingCharges { prescription_id: id.into(), left })
            }
            DomainEvent::LabResult(event) => return Ok(of_result(happened, event).into_iter().collect()),
            DomainEvent::InventoryLevel(event) => return Ok(of_level(happened, event).into_iter().collect()),
            _ => return Ok(Vec::new()),
        };
        Ok(vec![reaction])
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::inventory_level::InventoryLevel;
    use hims_domain::lab_result::LabResult;
    use hims_domain::{Aggregate, MedicationLotId, PrescriptionItemId};
    use hims_testing::{fields, patched, sample, sample_with};
    use rust_decimal::dec;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::Command;
    use crate::testing::now;

    /// The only command that follows from an event; `None` if nothing follows.
    async fn reaction<C: Command>(event: DomainEvent) -> Option<C> {
        let (stream_id, at) = (Uuid::from_u128(1), now());
        let happened = Happened { position: 71, user_id: None, stream_id, recorded_at: at, occurred_at: at, event };
        let reactions = Charges.react(&happened).await.unwrap();
        assert!(reactions.len() <= 1);
        reactions.first().map(|it| it.given::<C>().unwrap().clone())
    }

    /// Two parts of an event of a prescription, of one item, from these lots.
    fn of_lots<A: Aggregate>(name: &str, field: &str, lots: [Option<MedicationLotId>; 2]) -> A::Event {
        let part = fields::<A>(name)[field][0].clone();
        let parts: Vec<Value> =
            lots.iter().map(|lot| with_lot(patched(part.clone(), json!({"quantity": "2"})), *lot)).collect();
        sample_with::<A>(name, json!({ field: parts }))
    }

    fn with_lot(mut part: Value, lot: Option<MedicationLotId>) -> Value {
        part["lot_id"] = json!(lot);
        part
    }

    #[expect(clippy::unnecessary_wraps, reason = "the lot of a part, which other parts do not have")]
    fn lot() -> Option<MedicationLotId> {
        Some(MedicationLotId(Uuid::from_u128(0xd)))
    }

    #[tokio::test]
    async fn what_was_completed_is_charged() {
        let completed = DomainEvent::Consultation(sample::<consultation::Consultation>("completed"));
        assert!(reaction::<ChargeConsultation>(completed).await.is_some());
        let completed = DomainEvent::Treatment(treatment::Event::Completed { outcome: None });
        assert_eq!(reaction::<ChargeTreatment>(completed).await.map(|it| it.completed_at), Some(now()));
    }

    #[tokio::test]
    async fn what_was_dispensed_here_is_charged_by_the_position_and_what_another_pharmacy_dispensed_is_not() {
        let dispensed = |lots| DomainEvent::Prescription(of_lots::<prescription::Prescription>("dispensed", "dispensed", lots));
        let charge = reaction::<ChargeDispensing>(dispensed([lot(), None])).await.unwrap();
        assert_eq!((charge.occasion.as_str(), charge.dispensed.len()), ("71", 1));
        assert_eq!(charge.dispensed[0].quantity, dec!(2));
        assert!(reaction::<ChargeDispensing>(dispensed([None, None])).await.is_none());
    }

    #[tokio::test]
    async fn a_test_is_charged_once_its_result_is_final_and_no_more_once_it_is_withdrawn() {
        let event = |name: &str, changes| DomainEvent::LabResult(sample_with::<LabResult>(name, changes));
        for (name, changes) in [("recorded", json!({"result_status": "F"})), ("finalised", json!({}))] {
            assert!(reaction::<ChargeLabResult>(event(name, changes)).await.is_some(), "{name}");
        }
        for (name, changes) in [("recorded", json!({"result_status": "P"})), ("corrected", json!({}))] {
            assert!(reaction::<ChargeLabResult>(event(name, changes)).await.is_none(), "{name}");
        }
        assert!(reaction::<RevokeLabCharge>(event("withdrawn", json!({}))).await.is_some());
    }

    #[tokio::test]
    async fn what_is_issued_for_a_patient_is_charged_and_what_is_put_back_no_more() {
        let event = |name: &str, changes| DomainEvent::InventoryLevel(sample_with::<InventoryLevel>(name, changes));
        let moved = json!({"movement": {"change": "-2.5"}});
        let charge = reaction::<ChargeSupply>(event("issued", moved)).await.unwrap();
        assert_eq!((charge.issued.quantity, charge.issued.occasion.as_str()), (dec!(2.5), "71"));
        let moved = json!({"movement": {"change": "1"}});
        let revoke = reaction::<RevokeSupplyCharge>(event("returned", moved)).await.unwrap();
        assert_eq!((revoke.returned.quantity, revoke.returned.occasion.as_str()), (dec!(1), "71"));
        for name in ["issued", "returned"] {
            let of_ward = event(name, json!({"patient_id": null}));
            assert!(reaction::<ChargeSupply>(of_ward).await.is_none(), "{name} for the ward");
        }
    }

    #[tokio::test]
    async fn an_item_that_was_taken_back_from_two_lots_is_named_once() {
        let reversed = of_lots::<prescription::Prescription>("dispensing_reversed", "reversed", [lot(), None]);
        let revoke = reaction::<RevokeDispensingCharges>(DomainEvent::Prescription(reversed)).await.unwrap();
        let items: Vec<PrescriptionItemId> = revoke.left.iter().map(|it| it.item_id).collect();
        assert_eq!(items.len(), 1, "{items:?}");
    }
}
