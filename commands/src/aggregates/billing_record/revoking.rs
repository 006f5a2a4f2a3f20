//! Charging no more for what was dispensed and taken back, and what other reversals of charges share.

use std::collections::BTreeMap;

use hims_domain::billing_record::{BillingRecord, Event, Item, Line, Status};
use hims_domain::prescription::Prescription;
use hims_domain::{BillingItemId, PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::Refusal;
use super::charges::{ChargedQuantity, DISPENSING};
use super::items::{charged_for, put, reads_price};
use crate::machinery::command::existing;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

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

/// What lines charge for, whatever the occasion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) kind: &'static str,
    pub(super) id: Uuid,
}

impl Source {
    pub(super) fn of_item(item_id: PrescriptionItemId) -> Self {
        Self { kind: DISPENSING, id: item_id.into() }
    }

    /// The key by which the records are found that charge for the source.
    fn key(self) -> String {
        scopes::key(&[self.kind, &self.id.to_string()])
    }

    /// Looks up the records that charge for the source.
    pub(super) fn reads_records(self, reads: Reads) -> Reads {
        reads.owners::<BillingRecord>(scopes::CHARGED_SOURCE, self.key())
    }

    /// The records that charge for the source, which were looked up.
    pub(super) fn records(self, found: &Found) -> impl Iterator<Item = (Uuid, &BillingRecord)> {
        found.owners::<BillingRecord>(scopes::CHARGED_SOURCE, self.key())
    }

    /// The lines of a record that charge for the source.
    pub(super) fn lines(self, record: &BillingRecord) -> impl DoubleEndedIterator<Item = &Line> {
        let is_of_source =
            move |item: &Item| charged_for(item).is_some_and(|it| it.kind == self.kind && it.id.0 == self.id);
        record.charged_lines().filter(move |line| is_of_source(&line.item))
    }
}

/// Also removes a line of a record, which becomes the record afterwards.
pub(super) fn removed<A: Claims>(
    decision: Decision<A>,
    (id, record): (Uuid, &mut BillingRecord),
    item_id: BillingItemId,
    taken_back_by: Option<Uuid>,
) -> Decision<A> {
    let (event, after) = record.followed(|after| Event::ItemRemoved { item_id, taken_back_by, after });
    *record = after;
    decision.also::<BillingRecord>(id, event)
}

impl RevokeDispensingCharges {
    /// How much of an item is charged, and is not dispensed here any more.
    fn excess(prescription: &Prescription, left: &ChargedQuantity, found: &Found) -> Decimal {
        let source = Source::of_item(left.item_id);
        let lines = source.records(found).flat_map(|(_, record)| source.lines(record));
        let charged: Decimal = lines.map(|line| line.item.quantity).sum();
        let elsewhere = prescription.given.iter().filter(|it| it.item_id == left.item_id && it.lot_id.is_none());
        let here = left.quantity - elsewhere.map(|it| it.quantity).sum::<Decimal>();
        charged - here.max(Decimal::ZERO)
    }
}

/// Charges a quantity less with the lines of a record that charge for an item of a prescription, beginning with the last
/// line. The record becomes the record afterwards, and `excess` what is still charged too much.
///
/// # Errors
/// When a changed line breaks a rule.
fn lessen(
    mut decision: Decision<Prescription>,
    (id, record): (Uuid, &mut BillingRecord),
    item_id: PrescriptionItemId,
    excess: &mut Decimal,
    found: &Found,
) -> Result<Decision<Prescription>, Refused> {
    let lines: Vec<Line> = Source::of_item(item_id).lines(record).rev().cloned().collect();
    for line in lines {
        let taken = line.item.quantity.min(*excess);
        if taken <= Decimal::ZERO {
            continue;
        }
        *excess -= taken;
        let quantity = line.item.quantity - taken;
        if quantity.is_zero() {
            decision = removed(decision, (id, record), line.id, None);
        } else if let Some((event, after)) = put(record, line.id, Item { quantity, ..line.item }, found)? {
            *record = after;
            decision = decision.also::<BillingRecord>(id, event);
        }
    }
    Ok(decision)
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
            let source = Source::of_item(left.item_id);
            let reads = source.reads_records(reads);
            // The lines of an invoice never change, so that nobody asks for their prices.
            let pending = source.records(found).filter(|(_, it)| it.status() == Status::Pending);
            pending.fold(reads, |reads, (_, record)| {
                let lines = source.lines(record);
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
            let records = Source::of_item(left.item_id).records(ctx.found);
            for (id, known) in records.filter(|(_, it)| it.status() == Status::Pending) {
                let record = changed.entry(id).or_insert_with(|| known.clone());
                decision = lessen(decision, (id, record), left.item_id, &mut excess, ctx.found)?;
            }
            if excess > Decimal::ZERO {
                return refuse(Refusal::ChargedAlready);
            }
        }
        Ok(decision)
    }
}
