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
