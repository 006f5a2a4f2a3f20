use hims_domain::payer::{Details, Event};
use hims_domain::values::Phone;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per payer: an insurer, or another organisation that pays for patients.
    PayerRow in "payers", catalogue for everybody, stamped {
        /// The payer.
        id: Uuid [indexed],
        /// The short code of the payer, unique in the hospital.
        code: String [indexed],
        /// The name of the payer.
        name: String [indexed],
        /// The id of the payer in electronic claims (X12 NM109).
        electronic_payer_id: Option<String>,
        /// The kind of insurance in electronic claims (X12 SBR09), such as `CI`.
        claim_filing_indicator: Option<String>,
        /// The price list that was agreed with the payer; null for the standard list.
        price_list: Option<String>,
        /// The number of days after a service in which the payer takes claims.
        timely_filing_days: Option<i32>,
        /// The phone number of the payer in E.164, followed by `;ext=` and the extension if there is one.
        phone: Option<String>,
        /// The postal address of the payer.
        address: Option<String>,
        /// Whether policies of the payer can be added and verified.
        is_active: bool,
    }
}

fn row(event: &Projected<'_, Event>, details: &Details) -> PayerRow {
    PayerRow {
        id: event.stream_id,
        code: details.code.0.clone(),
        name: details.name.0.clone(),
        electronic_payer_id: text(details.electronic_payer_id.as_ref()),
        claim_filing_indicator: text(details.claim_filing_indicator.as_ref()),
        price_list: text(details.price_list.as_ref()),
        timely_filing_days: details.timely_filing_days,
        phone: details.phone.as_ref().map(Phone::as_str).map(str::to_owned),
        address: text(details.address.as_ref()),
        is_active: true,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, PayerRow>) {
    match event.data {
        Event::Added(details) => rows.insert(row(event, details)),
        Event::Changed(details) => {
            let changed = row(event, details);
            rows.change(event, move |row| {
                *row = PayerRow { is_active: row.is_active, stamps: row.stamps, ..changed };
            });
        }
        Event::Deactivated => rows.change(event, |row| row.is_active = false),
        Event::Reactivated => rows.change(event, |row| row.is_active = true),
    }
}
