//! Charging no more for what was dispensed and taken back.

use std::collections::BTreeMap;

use hims_domain::billing_record::{BillingRecord, Event, Item, Line, Status};
use hims_domain::prescription::Prescription;
use hims_domain::{PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;

use super::Refusal;
use super::charges::{ChargedQuantity, DISPENSING};
use super::items::{charged_key, put, reads_price};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Charges no more for items of a prescription than what is left of them after a dispensing was taken back. Lines
    /// of an invoice never change, so that a person has to adjust the invoice.
    pub struct RevokeDispensingCharges {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// What is left of the items that were taken back, each item once.
        pub left: Vec<ChargedQuantity>,
    }
}

/// The key by which the records are found that charge for an item of a prescription.
fn dispensing_key(item_id: PrescriptionItemId) -> String {
    scopes::key(&[DISPENSING, &item_id.to_string()])
}

/// The lines of a record that charge for a source.
fn lines_of<'a>(record: &'a BillingRecord, key: &'a str) -> impl DoubleEndedIterator<Item = &'a Line> {
    let is_cancelled = record.status() == Status::Cancelled;
    record.lines.iter().filter(move |line| !is_cancelled && charged_key(&line.item).as_deref() == Some(key))
}

impl RevokeDispensingCharges {
    /// How much of an item is charged, and is not dispensed here any more.
    fn excess(prescription: &Prescription, left: &ChargedQuantity, found: &Found) -> Decimal {
        let key = dispensing_key(left.item_id);
        let records = found.owners::<BillingRecord>(scopes::CHARGED_SOURCE, key.clone());
        let charged: Decimal =
            records.flat_map(|(_, record)| lines_of(record, &key)).map(|line| line.item.quantity).sum();
        let elsewhere = prescription.given.iter().filter(|it| it.item_id == left.item_id && it.lot_id.is_none());
        let here = left.quantity - elsewhere.map(|it| it.quantity).sum::<Decimal>();
        charged - here.max(Decimal::ZERO)
    }
}

/// Charges a quantity less with the lines of a record that charge for a source, beginning with the last line. Returns the
/// events; `excess` becomes what is still charged too much.
///
/// # Errors
/// When a changed line breaks a rule.
fn lessen(record: &mut BillingRecord, key: &str, excess: &mut Decimal, found: &Found) -> Result<Vec<Event>, Refused> {
    let lines: Vec<Line> = lines_of(record, key).rev().cloned().collect();
    let mut events = Vec::new();
    for line in lines {
        let taken = line.item.quantity.min(*excess);
        if taken <= Decimal::ZERO {
            continue;
        }
        *excess -= taken;
        let quantity = line.item.quantity - taken;
        let lessened = if quantity.is_zero() {
            Some(record.followed(|after| Event::ItemRemoved { item_id: line.id, after }))
        } else {
            put(record, line.id, Item { quantity, ..line.item }, found)?
        };
        if let Some((event, after)) = lessened {
            *record = after;
            events.push(event);
        }
    }
    Ok(events)
}

impl Command for RevokeDispensingCharges {
    const NAME: &'static str = "revoke-dispensing-charges";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn reads(&self, _: Option<&Prescription>, found: &Found) -> Reads {
        self.left.iter().fold(Reads::nothing(), |reads, left| {
            let key = dispensing_key(left.item_id);
            let reads = reads.owners::<BillingRecord>(scopes::CHARGED_SOURCE, key.clone());
            let records = found.owners::<BillingRecord>(scopes::CHARGED_SOURCE, key.clone());
            // The lines of an invoice never change, so that nobody asks for their prices.
            records.filter(|(_, it)| it.status() == Status::Pending).fold(reads, |reads, (_, record)| {
                let lines = lines_of(record, &key);
                lines.fold(reads, |reads, line| reads_price(reads, record.patient_id, &line.item, found))
            })
        })
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        let mut changed: BTreeMap<_, BillingRecord> = BTreeMap::new();
        let mut decision = Decision::nothing();
        for left in &self.left {
            let mut excess = Self::excess(prescription, left, ctx.found);
            let key = dispensing_key(left.item_id);
            let records = ctx.found.owners::<BillingRecord>(scopes::CHARGED_SOURCE, key.clone());
            for (id, known) in records.filter(|(_, it)| it.status() == Status::Pending) {
                let record = changed.entry(id).or_insert_with(|| known.clone());
                let events = lessen(record, &key, &mut excess, ctx.found)?;
                decision =
                    events.into_iter().fold(decision, |decision, event| decision.also::<BillingRecord>(id, event));
            }
            if excess > Decimal::ZERO {
                return refuse(Refusal::ChargedAlready);
            }
        }
        Ok(decision)
    }
}
