//! Invoices: one for each visit, paid by nine in ten patients.

use chrono::{Days, TimeDelta};
use hims_domain::Personal;
use hims_domain::billing_record::{
    BillingRecord, Charge, Event, Item, ItemAdded, Method, Opened, PaymentKind, PaymentRecorded, Priced,
};
use hims_domain::values::{Currency, InvoiceNumber, ReceiptNumber, Text, UnitPrice};
use hims_event_store::AppendError;
use rust_decimal::{Decimal, dec};

use super::history::History;
use super::plan::{Kind, ZONE};
use super::visits::Seen;

/// The code system of the services, the code of an office visit, and what the visit costs.
const CPT: &str = "http://www.ama-assn.org/go/cpt";
const VISIT: &str = "99213";
const PRICE: Decimal = dec!(128.00);

impl History {
    pub(super) fn bill(&mut self, seen: &Seen) -> Result<(), AppendError> {
        let day = seen.until.with_timezone(&ZONE).date_naive();
        let opened = Opened {
            patient_id: self.patient_id,
            consultation_id: Some(seen.consultation_id),
            opened_on: day,
            currency: Currency::default(),
        };
        let described = Personal::Known(Text::from("Office visit of an established patient"));
        let item = Item::one(day, (CPT.into(), VISIT.into()), described, PRICE);
        let priced = Priced {
            unit_price: UnitPrice::from(PRICE),
            tax_rate: dec!(0).into(),
            price_list: None,
            price_effective_from: None,
        };
        let charge = Charge::of(&item, &priced);
        let item_id = self.id(Kind::BillingItem, seen.number).into();
        let record = BillingRecord::new(&opened);
        let (added, record) = record.followed(|after| {
            let (patient_id, priced) = (self.patient_id, Some(priced));
            Event::ItemAdded(Box::new(ItemAdded { item_id, line_number: 1, patient_id, item, priced, charge, after }))
        });
        let (issued, record) = record.followed(|after| Event::InvoiceIssued {
            invoice_number: InvoiceNumber::issue(self.number(seen.number)),
            due_date: day + Days::new(30),
            after,
        });
        let mut events = vec![Event::Opened(opened), added, issued];
        if self.chance.below(10) > 0 {
            events.push(record.follow(|after| {
                Event::PaymentRecorded(PaymentRecorded {
                    payment_id: self.id(Kind::Payment, seen.number).into(),
                    patient_id: self.patient_id,
                    kind: PaymentKind::Payment,
                    method: Method::Card,
                    amount: record.standing.balance(),
                    reference: None,
                    receipt_number: ReceiptNumber::issue(self.number(seen.number)),
                    received_at: seen.until + TimeDelta::minutes(10),
                    after,
                })
            }));
        }
        self.add::<BillingRecord>(self.id(Kind::BillingRecord, seen.number), &events)
    }
}
