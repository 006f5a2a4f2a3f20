//! Price lists: setting and ending prices, and looking a price up.

mod lookup;

use chrono::NaiveDate;
use hims_domain::permission::Update;
use hims_domain::price::{Cut, Event, Price, PriceSet, STANDARD, Version, price_id};
use hims_domain::values::coding::read_code;
use hims_domain::values::{Percent, Text, UnitPrice};
use hims_domain::{PriceId, described};

use crate::machinery::coding::read_at;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{Claims, Command, Context, Decision, Permission, Refused, Registry, Target, refuse};

pub(crate) use lookup::Sought;

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<SetPrice>().add::<EndPrice>();
}

refusals! {
    InForce = Conflict, "in-force",
        "a price begins on this day already and is in force, so it never changes; set the new price from a later day on";
    InThePast = Rule, "in-the-past",
        "a price neither begins nor ends in the past, since services of the past were charged by what was known then";
    NothingToEnd = Conflict, "nothing-to-end", "the service has no price in this list on that day";
}

described! {
    /// Sets what a service costs from a day on. The price before ends the day before. A price that is not in force yet
    /// is replaced if it begins on the same day.
    pub struct SetPrice {
        /// The price list; `standard` if left out.
        pub price_list: Option<Text<20>>,
        /// The code system (URI) of the service.
        pub code_system: Text<100>,
        /// The code of the service.
        pub code: Text<20>,
        /// What the service is called.
        pub description: Text<500>,
        /// The price of one unit, with at most four decimals.
        pub unit_price: UnitPrice,
        /// The tax on the price, in percent; none if left out.
        pub tax_rate: Option<Percent>,
        /// The first day on which the price counts; not in the past.
        pub effective_from: NaiveDate,
    }

    /// Ends the price of a service: there is none in the list after a day, until another price is set.
    pub struct EndPrice {
        /// Which price: the prices of one service in one list.
        pub price_id: PriceId,
        /// The last day on which the service has a price; not in the past.
        pub last_day: NaiveDate,
    }
}

impl Claims for Price {}

/// The id of the prices of a service in a list, whose code is written as its code system does. A code that cannot be read
/// is taken as it is.
fn id_in(list: &str, code_system: &str, code: &str) -> PriceId {
    let code = read_code(code_system, code).unwrap_or_else(|_| code.to_owned());
    price_id(list, code_system, &code)
}

impl SetPrice {
    fn list(&self) -> Text<20> {
        self.price_list.clone().unwrap_or_else(|| STANDARD.into())
    }
}

/// The first day on which a price may begin, and the last on which it may end: today, except in an import, which tells
/// of prices of the past.
fn check_day(day: NaiveDate, ctx: &Context<'_>) -> Result<(), Refused> {
    if day < ctx.today() && !ctx.caller.is_system { refuse(Refusal::InThePast) } else { Ok(()) }
}

impl Command for SetPrice {
    const NAME: &'static str = "set-price";
    const PERMISSION: Permission = Permission::Update(Update::PriceList);
    const REVERSED_BY: Option<&'static str> = Some(EndPrice::NAME);
    type Aggregate = Price;

    fn target(&self) -> Target {
        // A code that cannot be read is refused when the command is decided.
        Target::either(id_in(self.list().as_str(), self.code_system.as_str(), self.code.as_str()))
    }

    fn decide(self, state: Option<&Price>, ctx: &Context<'_>) -> Result<Decision<Price>, Refused> {
        let code = read_at(self.code_system.as_str(), &self.code, "/code")?;
        let first = self.effective_from;
        let known = state.and_then(|it| it.versions.get(&first));
        let next = state.and_then(|it| it.versions.range(first..).find(|(from, _)| **from != first));
        let version = Version {
            effective_from: first,
            effective_to: next.and_then(|(from, _)| from.pred_opt()),
            description: self.description.clone(),
            unit_price: self.unit_price,
            tax_rate: self.tax_rate.unwrap_or_default(),
        };
        // A price in force that ends is not set anew by saying the same again, such as in a second import.
        let is_in_force = first <= ctx.today();
        let is_same = |it: &&Version| match is_in_force {
            true => **it == Version { effective_to: it.effective_to, ..version.clone() },
            false => **it == version,
        };
        match known {
            Some(it) if is_same(&it) => return Ok(Decision::nothing()),
            Some(_) if is_in_force => return refuse(Refusal::InForce),
            Some(_) | None => {}
        }
        check_day(first, ctx)?;
        let before = state.and_then(|it| it.versions.range(..first).next_back()).map(|(_, version)| version);
        let cut = before.filter(|it| it.covers(first)).and_then(|it| {
            first.pred_opt().map(|effective_to| Cut { effective_from: it.effective_from, effective_to })
        });
        let (price_list, code_system) = (self.list(), self.code_system);
        Ok(Decision::event(Event::Set(Box::new(PriceSet { price_list, code_system, code, version, cut }))))
    }
}

impl Command for EndPrice {
    const NAME: &'static str = "end-price";
    const PERMISSION: Permission = Permission::Update(Update::PriceList);
    const REVERSED_BY: Option<&'static str> = Some(SetPrice::NAME);
    type Aggregate = Price;

    fn target(&self) -> Target {
        Target::existing(self.price_id)
    }

    fn decide(self, state: Option<&Price>, ctx: &Context<'_>) -> Result<Decision<Price>, Refused> {
        let price = existing(state)?;
        let Some(last) = price.on(self.last_day) else { return refuse(Refusal::NothingToEnd) };
        let dropped: Vec<_> = price.versions.keys().copied().filter(|first| *first > self.last_day).collect();
        if last.effective_to == Some(self.last_day) && dropped.is_empty() {
            return Ok(Decision::nothing());
        }
        check_day(self.last_day, ctx)?;
        let cut = Cut { effective_from: last.effective_from, effective_to: self.last_day };
        Ok(Decision::event(Event::Ended { cut, dropped }))
    }
}

#[cfg(test)]
mod tests;
