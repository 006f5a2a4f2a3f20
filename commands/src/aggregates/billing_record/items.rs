//! The lines of a record, as long as there is no invoice.

use std::collections::BTreeSet;

use hims_domain::billing_record::{BillingRecord, Charge, Event, Item, ItemAdded, Line, Priced, Status};
use hims_domain::permission::Update;
use hims_domain::values::Text;
use hims_domain::{BillingItemId, BillingRecordId, ChargeSourceId, PatientId, described};
use rust_decimal::Decimal;

use super::{LINES, MOST, Refusal, check_sums, pending};
use crate::aggregates::medication_lot::check_quantity;
use crate::aggregates::price::Sought;
use crate::machinery::coding::read_at;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Adds a line to a record without an invoice. Without a unit price, the line gets the price of the price list on
    /// the day of the service: that of the patient's payer, else the standard list. If there is none, the line waits for
    /// a price, and no invoice can be issued before.
    pub struct AddBillingItem {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// The id of the new line; issued by the server if left out.
        pub item_id: Option<BillingItemId>,
        /// What is charged for.
        #[serde(flatten)]
        pub item: Item,
    }

    /// Changes a line of a record without an invoice. A line without a unit price of its own gets the price of the
    /// price list as it is now.
    pub struct ChangeBillingItem {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// Which line.
        pub item_id: BillingItemId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Item>,
    }

    /// Removes a line of a record without an invoice. What the line charged for can be charged again.
    pub struct RemoveBillingItem {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// Which line.
        pub item_id: BillingItemId,
    }
}

/// What a line charges for.
#[derive(PartialEq)]
pub(super) struct ChargedFor<'a> {
    /// The kind of the source.
    pub(super) kind: &'a str,
    pub(super) id: ChargeSourceId,
    /// Tells what was done repeatedly for one source apart; empty for what is done once.
    pub(super) occasion: &'a str,
}

/// What a line charges for; `None` for a line that names no source.
pub(super) fn charged_for(item: &Item) -> Option<ChargedFor<'_>> {
    let occasion = item.source_occasion.as_ref().map_or("", Text::as_str);
    Some(ChargedFor { kind: item.source_type.as_ref()?.as_str(), id: item.source_id?, occasion })
}

/// The key of what a line charges for; `None` for a line that names no source.
pub(super) fn source_key(item: &Item) -> Option<String> {
    charged_for(item).map(|it| scopes::key(&[it.kind, &it.id.to_string(), it.occasion]))
}

/// The key by which all records are found that charge for the source of a line, whatever the occasion.
pub(super) fn charged_key(item: &Item) -> Option<String> {
    charged_for(item).map(|it| scopes::key(&[it.kind, &it.id.to_string()]))
}

/// The service of an item, whose price is looked up.
fn sought(patient_id: PatientId, item: &Item) -> Sought<'_> {
    let (code_system, code) = (item.code_system.as_str(), item.code.as_str());
    Sought { patient_id, day: item.service_date, code_system, code }
}

/// Looks up what decides on the price of an item, unless the item has a price of its own.
pub(super) fn reads_price(reads: Reads, patient_id: PatientId, item: &Item, found: &Found) -> Reads {
    match item.unit_price {
        Some(_) => reads,
        None => sought(patient_id, item).reads(reads, found),
    }
}

/// The price of an item: its own, or else that of the price list. A tax rate of its own comes before that of the list.
fn price_of(record: &BillingRecord, item: &Item, found: &Found) -> Option<Priced> {
    match item.unit_price {
        Some(unit_price) => {
            let tax_rate = item.tax_rate.unwrap_or_default();
            Some(Priced { unit_price, tax_rate, price_list: None, price_effective_from: None })
        }
        None => {
            let listed = sought(record.patient_id, item).price(found)?;
            Some(Priced { tax_rate: item.tax_rate.unwrap_or(listed.tax_rate), ..listed })
        }
    }
}

/// Writes the code of an item as its code system does, and checks what is said of the item.
fn checked(mut item: Item) -> Result<Item, Refused> {
    let refused = |code, field, message: &str| Err(Refused::field(code, field, message));
    item.code = read_at(item.code_system.as_str(), &item.code, "/code")?;
    check_quantity(item.quantity, "/quantity")?;
    if item.modifiers.len() > 4 {
        return refused("out-of-range", "/modifiers", "give at most four modifiers");
    }
    let pointers: BTreeSet<_> = item.diagnosis_pointers.iter().collect();
    let is_in_range = item.diagnosis_pointers.iter().all(|it| (1..=12).contains(it));
    if pointers.len() > 4 || pointers.len() < item.diagnosis_pointers.len() || !is_in_range {
        let message = "give at most four different numbers of diagnoses, from 1 to 12";
        return refused("out-of-range", "/diagnosis_pointers", message);
    }
    if item.discount_amount.is_some() && item.discount_percent.is_some() {
        return refused("invalid-fields", "/discount_percent", "give either an amount or a percentage");
    }
    if item.source_type.is_some() != item.source_id.is_some() {
        return refused("invalid-fields", "/source_id", "give the type and the id of the source, or none of the two");
    }
    if item.source_occasion.is_some() && item.source_id.is_none() {
        return refused("invalid-fields", "/source_occasion", "give the source too, or leave the occasion out");
    }
    Ok(item)
}

/// The event that adds a line, or changes the line with the same id, with its price and its charge; and the record after
/// the event. `None` if nothing changes.
///
/// # Errors
/// When another line of the record charges for the same source, or the amounts become too great.
pub(super) fn put(
    record: &BillingRecord,
    item_id: BillingItemId,
    item: Item,
    found: &Found,
) -> Result<Option<(Event, BillingRecord)>, Refused> {
    let known = record.line(item_id);
    let charges_for = charged_for(&item);
    let is_same = |line: &Line| line.id != item_id && charged_for(&line.item) == charges_for;
    if charges_for.is_some() && record.lines.iter().any(is_same) {
        return refuse(Refusal::AlreadyCharged);
    }
    if known.is_none() && record.lines.len() >= LINES {
        return refuse(Refusal::TooManyItems);
    }
    let priced = price_of(record, &item, found);
    // A product beyond the most is refused before it is rounded, so that no number overflows.
    let is_too_much = priced.as_ref().is_some_and(|it| item.quantity * it.unit_price.number() > MOST + Decimal::ONE);
    if is_too_much {
        return refuse(Refusal::BeyondTheMost);
    }
    let charge = priced.as_ref().map(|it| Charge::of(&item, it)).unwrap_or_default();
    if known.is_some_and(|line| line.item == item && line.priced == priced) {
        return Ok(None);
    }
    let line_number = known.map_or(record.last_number + 1, |it| it.number);
    let patient_id = record.patient_id;
    let line = |after| Box::new(ItemAdded { item_id, line_number, patient_id, item, priced, charge, after });
    let (event, after) = record.followed(|after| match known {
        Some(_) => Event::ItemChanged(line(after)),
        None => Event::ItemAdded(line(after)),
    });
    check_sums(&event)?;
    Ok(Some((event, after)))
}

impl Command for AddBillingItem {
    const NAME: &'static str = "add-billing-item";
    const PERMISSION: Permission = Permission::Update(Update::Billing);
    const REVERSED_BY: Option<&'static str> = Some(RemoveBillingItem::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.status() == Status::Pending
    }

    fn reads(&self, state: Option<&BillingRecord>, found: &Found) -> Reads {
        match state {
            Some(record) => reads_price(Reads::nothing(), record.patient_id, &self.item, found),
            None => Reads::nothing(),
        }
    }

    fn decide(self, state: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let known = &existing(state)?.parts;
        let item_id = ctx.part_id(self.item_id, |id| known.contains(&id.into()))?;
        let record = pending(state)?;
        let added = put(record, item_id, checked(self.item)?, ctx.found)?;
        Ok(added.map_or_else(Decision::nothing, |(event, _)| Decision::event(event)))
    }
}

/// The refusal of a request that names a line which the record never had.
fn no_such_line<T>() -> Result<T, Refused> {
    Err(Refused::field("unknown-reference", "/item_id", "there is no line with this id in the record"))
}

impl Command for ChangeBillingItem {
    const NAME: &'static str = "change-billing-item";
    const PERMISSION: Permission = Permission::Update(Update::Billing);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.status() == Status::Pending && !state.lines.is_empty()
    }

    fn reads(&self, state: Option<&BillingRecord>, found: &Found) -> Reads {
        let line = state.and_then(|record| Some((record, record.line(self.item_id)?)));
        let changed = line.and_then(|(record, it)| Some((record, self.changes.clone().apply(&it.item).ok()?)));
        match changed {
            Some((record, item)) => reads_price(Reads::nothing(), record.patient_id, &item, found),
            None => Reads::nothing(),
        }
    }

    fn decide(self, state: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = pending(state)?;
        let Some(line) = record.line(self.item_id) else { return no_such_line() };
        let item = checked(self.changes.apply(&line.item)?)?;
        let changed = put(record, self.item_id, item, ctx.found)?;
        Ok(changed.map_or_else(Decision::nothing, |(event, _)| Decision::event(event)))
    }
}

impl Command for RemoveBillingItem {
    const NAME: &'static str = "remove-billing-item";
    const PERMISSION: Permission = Permission::Update(Update::Billing);
    const REVERSED_BY: Option<&'static str> = Some(AddBillingItem::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.status() == Status::Pending && !state.lines.is_empty()
    }

    fn decide(self, state: Option<&BillingRecord>, _: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = pending(state)?;
        let item_id = self.item_id;
        match record.line(item_id) {
            Some(_) => {
                Ok(Decision::event(record.follow(|after| Event::ItemRemoved { item_id, taken_back_by: None, after })))
            }
            None if record.parts.contains(&item_id.into()) => Ok(Decision::nothing()),
            None => no_such_line(),
        }
    }
}
