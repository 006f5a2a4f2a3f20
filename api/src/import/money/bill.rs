//! Charges with their invoice.

use chrono::{DateTime, NaiveDate, Utc};
use hims_commands::billing_record::{AddBillingItem, IssueInvoice, OpenBillingRecord};
use hims_domain::billing_record::{BillingRecord, Item, Status};
use hims_domain::{BillingItemId, BillingRecordId, ConsultationId, Described as _, PatientId};
use rust_decimal::{Decimal, dec};

use super::super::reason::Reason;
use super::super::writer::{Stop, Writer};

/// The greatest amount that a billing record can hold.
const MOST: Decimal = dec!(99_999_999.99);
/// The largest number of lines of a billing record.
const LINES: usize = 999;

/// Charges that were invoiced together in another system.
pub(in super::super) struct Bill {
    /// The billing record.
    pub(in super::super) id: BillingRecordId,
    pub(in super::super) patient_id: PatientId,
    /// The consultation that is charged for.
    pub(in super::super) consultation_id: Option<ConsultationId>,
    /// The lines with their ids, in the order of the invoice.
    pub(in super::super) lines: Vec<(BillingItemId, Item)>,
    /// When the invoice was issued.
    pub(in super::super) at: DateTime<Utc>,
}

impl Bill {
    /// What is charged together.
    fn total(&self) -> Decimal {
        self.lines.iter().filter_map(|(_, item)| Some(item.unit_price?.number() * item.quantity)).sum()
    }

    /// The first day of the services.
    pub(in super::super) fn first_day(&self) -> Option<NaiveDate> {
        self.lines.iter().map(|(_, item)| item.service_date).min()
    }

    /// Checks that no command of the bill can be refused, as far as the bill itself tells. Negative amounts and amounts
    /// beyond what a record holds are named as such.
    pub(in super::super) fn check(&self, writer: &Writer<'_>) -> Result<(), Reason> {
        if writer.is_future(self.at) {
            return Err(Reason::InTheFuture);
        }
        let is_kept = self.lines.iter().all(|(_, item)| item.is_valid());
        if !is_kept || self.lines.len() > LINES || self.total() > MOST {
            return Err(Reason::Impossible);
        }
        if self.lines.is_empty() { Err(Reason::NoAmount) } else { Ok(()) }
    }

    /// Enters what is missing of the bill: the record, its lines and its invoice. Answers whether anything was missing.
    ///
    /// # Errors
    /// When the record with the id of the bill is of another patient.
    pub(in super::super) async fn enter(self, writer: &Writer<'_>) -> Result<bool, Stop> {
        let (billing_record_id, at) = (self.id, Some(self.at));
        let there = writer.existing::<BillingRecord>(billing_record_id.into()).await?;
        match &there {
            None => {
                let (patient_id, consultation_id) = (self.patient_id, self.consultation_id);
                let opening = OpenBillingRecord { id: Some(billing_record_id), patient_id, consultation_id };
                writer.execute_on_day(opening, self.at).await?;
            }
            Some(it) if it.patient_id != self.patient_id => return Err(Reason::OtherRecord.into()),
            Some(it) if it.status() != Status::Pending => return Ok(false),
            Some(_) => {}
        }
        for (item_id, item) in self.lines {
            if there.as_ref().is_none_or(|it| !it.parts.contains(&item_id.into())) {
                writer.execute(AddBillingItem { billing_record_id, item_id: Some(item_id), item }, at).await?;
            }
        }
        writer.execute_on_day(IssueInvoice { billing_record_id, due_date: None }, self.at).await?;
        Ok(true)
    }
}
