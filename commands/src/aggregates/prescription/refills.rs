//! Refills: how often and how long a medication may be dispensed, and dispensing the same quantity once more.

use std::collections::BTreeSet;

use chrono::{Days, Months, NaiveDate, TimeDelta};
use hims_domain::medication::Medication;
use hims_domain::permission::Update;
use hims_domain::prescription::{Event, Line, Order, Prescription, Refill, Status};
use hims_domain::values::{Reason, Text};
use hims_domain::{Personal, PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;

use super::Refusal;
use super::against::Against;
use crate::aggregates::patient::{check_alive, reads_person};
use crate::machinery::command::existing;
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Opens a refill of a prescription that was dispensed: the pharmacy may dispense the quantity of the items once
    /// more. A refill before most of the last quantity can be used up needs an `early_reason`; of a controlled
    /// medication there is none. Patients may open refills of their own prescriptions.
    pub struct RefillPrescription {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// The items to refill, one or more; all that have refills left if left out.
        pub item_ids: Option<Vec<PrescriptionItemId>>,
        /// Why the refill is needed so early, such as a journey.
        pub early_reason: Option<Personal<Reason>>,
    }

    /// Takes back a refill that was opened by mistake, as far as nothing of the refill was dispensed.
    pub struct UndoPrescriptionRefill {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// Why the refill is taken back.
        pub reason: Personal<Reason>,
    }
}

/// The most refills of any medication.
const MOST_REFILLS: i32 = 11;

/// How often a medication may be refilled, and until when it may be dispensed (21 CFR 1306.12 and 1306.22).
struct Limits {
    refills: i32,
    latest: Option<NaiveDate>,
    usual: Option<NaiveDate>,
}

/// The limits of a schedule for a prescription that is written today; `None` for schedule I, which is not prescribed.
fn limits(schedule: Option<&str>, today: NaiveDate) -> Option<Limits> {
    let months = |months| today.checked_add_months(Months::new(months));
    match schedule {
        Some("I") => None,
        Some("II") => {
            let latest = today.checked_add_days(Days::new(90));
            Some(Limits { refills: 0, latest, usual: latest })
        }
        Some("III" | "IV") => Some(Limits { refills: 5, latest: months(6), usual: months(6) }),
        _ => Some(Limits { refills: MOST_REFILLS, latest: months(24), usual: months(12) }),
    }
}

/// Checks the refills and the days' supply of an order by themselves.
pub(super) fn check_refills(order: &Order, index: usize) -> Result<(), Refused> {
    if !(0..=MOST_REFILLS).contains(&order.refills_allowed) {
        let pointer = format!("/items/{index}/refills_allowed");
        return Err(Refused::field("out-of-range", &pointer, "give 0 to 11 refills"));
    }
    if order.days_supply.is_some_and(|it| !(1..=365).contains(&it)) {
        return Err(Refused::field("out-of-range", &format!("/items/{index}/days_supply"), "give 1 to 365 days"));
    }
    Ok(())
}

/// Checks an order against the schedule of its medication, and sets its last day of validity if the order has none.
pub(super) fn keep_limits(
    order: &mut Order,
    medication: &Medication,
    index: usize,
    today: NaiveDate,
) -> Result<(), Refused> {
    let field = |name: &str| format!("/items/{index}/{name}");
    let schedule = medication.details.dea_schedule.as_ref().map(Text::as_str);
    let Some(limits) = limits(schedule, today) else {
        let message = "a medication of schedule I is not prescribed";
        return Err(Refused::field("schedule-one", &field("medication_id"), message));
    };
    if order.refills_allowed > limits.refills {
        let code = if limits.refills == 0 { "no-refills-allowed" } else { "out-of-range" };
        let message = format!("the schedule of the medication allows {} refills at most", limits.refills);
        return Err(Refused::field(code, &field("refills_allowed"), message));
    }
    match order.valid_until.zip(limits.latest) {
        Some((until, latest)) if until < today || until > latest => {
            let message = format!("give a day from {today} to {latest}, the last one that the medication allows");
            Err(Refused::field("out-of-range", &field("valid_until"), message))
        }
        Some(_) => Ok(()),
        None => {
            order.valid_until = order.valid_until.or(limits.usual);
            Ok(())
        }
    }
}

/// The first day on which most of what was dispensed last for a line can be used up: after three quarters of the days'
/// supply. `None` if nothing was dispensed, or if nobody said for how long it lasts.
fn earliest(prescription: &Prescription, line: &Line) -> Option<NaiveDate> {
    let days = line.item.order.days_supply.or(line.item.order.duration_days)?;
    let enough = (i64::from(days) * 3 + 3) / 4;
    prescription.last_fill(line.item.id)?.checked_add_signed(TimeDelta::try_days(enough)?)
}

impl RefillPrescription {
    /// The lines to refill, each with its place in the request if the request names lines.
    fn lines<'p>(&self, prescription: &'p Prescription) -> Result<Vec<(Option<String>, &'p Line)>, Refused> {
        let Some(item_ids) = &self.item_ids else {
            let left = prescription.lines.iter().filter(|line| line.refills_left() > 0);
            let lines: Vec<_> = left.map(|line| (None, line)).collect();
            return if lines.is_empty() { refuse(Refusal::NoRefillsLeft) } else { Ok(lines) };
        };
        if item_ids.is_empty() {
            let message = "give the items to refill, or leave the field out to refill all that have refills left";
            return Err(Refused::field("no-items", "/item_ids", message));
        }
        let (mut known, mut lines, mut against) = (BTreeSet::new(), Vec::new(), Against::default());
        for (nth, id) in item_ids.iter().enumerate().filter(|(_, id)| known.insert(**id)) {
            let at = format!("/item_ids/{nth}");
            match prescription.lines.iter().find(|line| line.item.id == *id) {
                Some(line) => lines.push((Some(at), line)),
                None => against.at(at, Refusal::NoSuchItem),
            }
        }
        against.nothing().map(|()| lines)
    }

    /// What stands against the refill of a line, if anything does.
    fn against(&self, prescription: &Prescription, line: &Line, ctx: &Context<'_>) -> Option<Refusal> {
        let today = ctx.today();
        if line.refills_left() <= 0 {
            return Some(Refusal::NoRefillsLeft);
        }
        if line.item.order.valid_until.is_some_and(|it| it < today) {
            return Some(Refusal::Expired);
        }
        let from = earliest(prescription, line).filter(|it| today < *it)?;
        let medication = ctx.found.get::<Medication>(line.item.order.medication_id);
        if medication.is_some_and(|it| it.details.controlled_substance) {
            return Some(Refusal::TooEarlyForControlled { from });
        }
        self.early_reason.is_none().then_some(Refusal::TooEarly { from })
    }
}

impl Command for RefillPrescription {
    const NAME: &'static str = "refill-prescription";
    const PERMISSION: Permission = Permission::Update(Update::PrescriptionStatus);
    const REVERSED_BY: Option<&'static str> = Some(UndoPrescriptionRefill::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn is_own(&self, state: Option<&Prescription>, caller: &Caller) -> bool {
        state.is_some_and(|it| caller.is_patient(it.patient_id))
    }

    fn follows_on(state: &Prescription) -> bool {
        state.status == Status::Dispensed
    }

    fn reads(&self, state: Option<&Prescription>, found: &Found) -> Reads {
        let reads = state.map_or_else(Reads::nothing, |it| reads_person(Reads::nothing(), it.patient_id, found));
        let lines = state.into_iter().flat_map(|it| &it.lines);
        lines.fold(reads, |reads, line| reads.stream::<Medication>(line.item.order.medication_id))
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        if prescription.status != Status::Dispensed {
            return Err(Refused::wrong_status::<Prescription>(prescription.status));
        }
        check_alive(prescription.patient_id, ctx)?;
        let lines = self.lines(prescription)?;
        let mut against = Against::default();
        for (at, line) in &lines {
            if let Some(why) = self.against(prescription, line, ctx) {
                against.line(at.as_deref(), line, why);
            }
        }
        against.nothing()?;
        let refills =
            lines.iter().map(|(_, line)| Refill { item_id: line.item.id, refills_used: line.refills_used + 1 });
        Ok(Decision::event(Event::RefillOpened { refills: refills.collect(), early_reason: self.early_reason }))
    }
}

impl Command for UndoPrescriptionRefill {
    const NAME: &'static str = "undo-prescription-refill";
    const PERMISSION: Permission = Permission::Update(Update::PrescriptionStatus);
    const REVERSED_BY: Option<&'static str> = Some(RefillPrescription::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        state.status == Status::SentToPharmacy
    }

    fn decide(self, state: Option<&Prescription>, _: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        if prescription.status != Status::SentToPharmacy {
            return Err(Refused::wrong_status::<Prescription>(prescription.status));
        }
        let is_untouched = |line: &Line| line.refills_used > 0 && line.outstanding() >= line.item.order.quantity;
        let (undone, others): (Vec<_>, Vec<_>) = prescription.lines.iter().partition(|line| is_untouched(line));
        if undone.is_empty() {
            return refuse(Refusal::NoRefillOpen);
        }
        let is_left = others.iter().any(|line| line.outstanding() > Decimal::ZERO)
            || undone.iter().any(|line| line.outstanding() > line.item.order.quantity);
        let status = if is_left { Status::SentToPharmacy } else { Status::Dispensed };
        let refill = |line: &&Line| Refill { item_id: line.item.id, refills_used: line.refills_used - 1 };
        let refills = undone.iter().map(refill).collect();
        Ok(Decision::event(Event::RefillUndone { refills, status, reason: self.reason }))
    }
}
