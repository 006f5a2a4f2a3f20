//! Charging for articles that were issued for a patient, and no more for those that were put back.

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::billing_record::{BillingRecord, Item, Line, Status};
use hims_domain::department::Department;
use hims_domain::inventory_item::InventoryItem;
use hims_domain::inventory_level::InventoryLevel;
use hims_domain::room::Room;
use hims_domain::values::Text;
use hims_domain::values::coding::ARTICLES;
use hims_domain::{ConsultationId, InventoryItemId, PatientId, RoomId, derived, described};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::Refusal;
use super::charges::{Charged, Occasion, as_code, charge_id, charged, day_in};
use super::items::{put, reads_price};
use super::revoking::{Source, removed};
use crate::machinery::command::existing;
use crate::patient::{reads_person, records_of};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

/// The kind of source of a line that charges for an article. Its id is derived from the article, the room and the
/// patient; the occasion is the position of the event that issued the article.
const SUPPLY: &str = "supply";

described! {
    /// What moved from a room to a patient, or back.
    pub struct Moved {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room.
        pub location_id: RoomId,
        /// The patient.
        pub patient_id: PatientId,
        /// The consultation in which the article was used, or not used.
        pub consultation_id: Option<ConsultationId>,
        /// The quantity, in the unit of the article.
        pub quantity: Decimal,
        /// What tells this movement from others.
        pub occasion: Text<20>,
    }

    /// Charges for an article that was issued for a patient. Does nothing if that was charged.
    pub struct ChargeSupply {
        /// What was issued.
        pub issued: Moved,
        /// When it was issued.
        pub issued_at: DateTime<Utc>,
    }

    /// Charges no more for an article that was issued for a patient and put back: first in the record of the
    /// consultation, then in others, each time beginning with the last line. Does nothing if that was done. Lines of an
    /// invoice never change, so that a person has to adjust the invoice.
    pub struct RevokeSupplyCharge {
        /// What was put back.
        pub returned: Moved,
    }
}

impl Moved {
    /// The level of the article in the room.
    fn target(&self) -> Target {
        Target::existing(InventoryLevel::stream_of(self.inventory_item_id, self.location_id))
    }

    /// What lines for the article charge for, if it was issued for a patient.
    fn source_of(&self, patient_id: PatientId) -> Source {
        let level = InventoryLevel::stream_of(self.inventory_item_id, self.location_id);
        Source { kind: SUPPLY, id: derived(SUPPLY, &[&level.to_string(), &patient_id.to_string()]) }
    }

    /// What lines for the article charge for, by all records of the patient.
    fn sources(&self, found: &Found) -> Vec<Source> {
        records_of(self.patient_id, found).into_iter().map(|id| self.source_of(id)).collect()
    }
}

/// The code of an article in price lists: its stock-keeping unit, or the beginning of its id if that is too long.
fn code_of(id: InventoryItemId, item: &InventoryItem) -> String {
    let sku = item.details.sku.as_str();
    if sku.chars().count() <= 20 { sku.to_owned() } else { as_code(&id.0.simple().to_string()) }
}

impl ChargeSupply {
    /// The day on which the article was issued, where the room is.
    fn day(&self, found: &Found) -> NaiveDate {
        let room = found.get::<Room>(self.issued.location_id);
        let department = room.and_then(|it| found.get::<Department>(it.details.department_id));
        day_in(self.issued_at, department.map(|it| &it.details.time_zone), found)
    }

    fn charged(&self, found: &Found) -> Option<(Occasion, Vec<Charged>)> {
        let Moved { inventory_item_id, patient_id, consultation_id, quantity, ref occasion, .. } = self.issued;
        let item = found.get::<InventoryItem>(inventory_item_id)?;
        let day = self.day(found);
        let (source, occasion) = (self.issued.source_of(patient_id), Some(occasion.clone()));
        let coding = (ARTICLES, code_of(inventory_item_id, item));
        let (item_id, line) = charged(source, occasion, day, coding, item.details.name.as_str());
        Some((Occasion { patient_id, consultation_id, day }, vec![(item_id, Item { quantity, ..line })]))
    }
}

impl Command for ChargeSupply {
    const NAME: &'static str = "charge-supply";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        self.issued.target()
    }

    fn reads(&self, _: Option<&InventoryLevel>, found: &Found) -> Reads {
        let room = found.get::<Room>(self.issued.location_id);
        let reads = Reads::nothing().stream::<InventoryItem>(self.issued.inventory_item_id);
        let reads = reads.stream::<Room>(self.issued.location_id);
        let reads = reads.maybe::<Department>(room.map(|it| it.details.department_id));
        match self.charged(found) {
            Some((occasion, lines)) => occasion.reads(reads, &lines, found),
            None => reads,
        }
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        existing(state)?;
        match self.charged(ctx.found) {
            Some((occasion, lines)) => occasion.charge(Decision::nothing(), lines, ctx),
            None => Ok(Decision::nothing()),
        }
    }
}

/// A line with its record.
struct LineOfRecord<'a> {
    id: Uuid,
    record: &'a BillingRecord,
    line: &'a Line,
}

impl LineOfRecord<'_> {
    /// Whether the line can still change, since there is no invoice yet.
    fn is_pending(&self) -> bool {
        self.record.status() == Status::Pending
    }
}

impl RevokeSupplyCharge {
    /// What the records keep of this return, so that it lowers the charges once.
    fn mark(&self) -> Uuid {
        let source = self.returned.source_of(self.returned.patient_id);
        charge_id("supply return", source.id, self.returned.occasion.as_str()).into()
    }

    /// The lines that charge for the article, the first to be taken back first.
    fn lines<'a>(&self, found: &'a Found) -> Vec<LineOfRecord<'a>> {
        let sources = self.returned.sources(found).into_iter();
        let records = sources.flat_map(|source| source.records(found).map(move |(id, record)| (source, id, record)));
        let lines = records
            .flat_map(|(source, id, record)| source.lines(record).map(move |line| LineOfRecord { id, record, line }));
        let mut all: Vec<_> = lines.collect();
        all.sort_by_key(|LineOfRecord { id, record, line }| {
            let is_of_another_visit = record.consultation_id != self.returned.consultation_id;
            (is_of_another_visit, std::cmp::Reverse(record.opened_on), *id, std::cmp::Reverse(line.number))
        });
        all
    }
}

impl Command for RevokeSupplyCharge {
    const NAME: &'static str = "revoke-supply-charge";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        self.returned.target()
    }

    fn reads(&self, _: Option<&InventoryLevel>, found: &Found) -> Reads {
        let reads = reads_person(Reads::nothing(), self.returned.patient_id, found);
        let reads = reads.holders(scopes::BILLING_PART, self.mark().to_string());
        let reads = self.returned.sources(found).iter().fold(reads, |reads, it| it.reads_records(reads));
        // The lines of an invoice never change, so that nobody asks for their prices.
        let pending = self.lines(found).into_iter().filter(LineOfRecord::is_pending);
        pending.fold(reads, |reads, it| reads_price(reads, it.record.patient_id, &it.line.item, found))
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        existing(state)?;
        let mark = self.mark();
        let mut decision = Decision::nothing();
        if !ctx.found.holders(scopes::BILLING_PART, mark.to_string()).is_empty() {
            return Ok(decision);
        }
        let (pending, billed): (Vec<_>, Vec<_>) = self.lines(ctx.found).into_iter().partition(LineOfRecord::is_pending);
        let mut excess = self.returned.quantity;
        let (mut changed, mut taken_back_by) = (std::collections::BTreeMap::new(), Some(mark));
        for LineOfRecord { id, record, line } in pending {
            if excess.is_zero() {
                break;
            }
            let after = changed.entry(id).or_insert_with(|| record.clone());
            decision = removed(decision, (id, after), line.id, taken_back_by.take());
            let taken = line.item.quantity.min(excess);
            excess -= taken;
            let quantity = line.item.quantity - taken;
            if quantity.is_zero() {
                continue;
            }
            // What is left of a line is a line of its own, since the removed one is never added again.
            let rest = charge_id("supply rest", mark, "");
            if let Some((event, with_rest)) = put(after, rest, Item { quantity, ..line.item.clone() }, ctx.found)? {
                *after = with_rest;
                decision = decision.also::<BillingRecord>(id, event);
            }
        }
        if excess.is_zero() || billed.is_empty() { Ok(decision) } else { refuse(Refusal::ChargedAlready) }
    }
}
