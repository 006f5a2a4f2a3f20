use std::collections::BTreeMap;

use hims_domain::{DomainEvent, consultation, prescription, treatment};

use crate::billing_record::{
    ChargeConsultation, ChargeDispensing, ChargeTreatment, ChargedQuantity, RevokeDispensingCharges,
};
use crate::{Failure, Happened, Process, Reaction};

/// Charges for what was done: consultations, treatments, and what was dispensed here. What another pharmacy dispensed is
/// not charged. Another kind of service is a further event type here, and a further command of the billing records.
pub(super) struct Charges;

impl Process for Charges {
    const NAME: &'static str = "charges";
    const ON: &'static [&'static str] = &[
        "consultation.completed",
        "treatment.completed",
        "prescription.dispensed",
        "prescription.dispensing_reversed",
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
                let occasion = hims_domain::values::Text(happened.position.to_string());
                Reaction::command(ChargeDispensing { prescription_id: id.into(), occasion, dispensed, dispensed_at: at })
            }
            DomainEvent::Prescription(prescription::Event::DispensingReversed { reversed, .. }) => {
                // An item that was taken back from several lots is named several times, with the same quantity left.
                let left: BTreeMap<_, _> = reversed.iter().map(|it| (it.item_id, it.quantity_dispensed)).collect();
                let left = left.into_iter().map(|(item_id, quantity)| ChargedQuantity { item_id, quantity }).collect();
                Reaction::command(RevokeDispensingCharges { prescription_id: id.into(), left })
            }
            _ => return Ok(Vec::new()),
        };
        Ok(vec![reaction])
    }
}

#[cfg(test)]
mod tests {
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
        let happened = Happened { position: 71, stream_id, recorded_at: at, occurred_at: at, event };
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
    async fn an_item_that_was_taken_back_from_two_lots_is_named_once() {
        let reversed = of_lots::<prescription::Prescription>("dispensing_reversed", "reversed", [lot(), None]);
        let revoke = reaction::<RevokeDispensingCharges>(DomainEvent::Prescription(reversed)).await.unwrap();
        let items: Vec<PrescriptionItemId> = revoke.left.iter().map(|it| it.item_id).collect();
        assert_eq!(items.len(), 1, "{items:?}");
    }
}
