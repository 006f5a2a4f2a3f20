use hims_domain::supplier::{Details, Event};
use hims_domain::values::DeaNumber;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per supplier of medicines and supplies.
    SupplierRow in "suppliers", readers [Inventory], stamped {
        /// The supplier.
        id: Uuid [indexed],
        /// The short code of the supplier, unique in the hospital.
        code: String [indexed],
        /// The name of the supplier.
        name: String [indexed],
        /// The name of the person to talk to.
        contact_name: Option<String> [personal],
        /// The e-mail address for orders and questions.
        email: Option<String> [personal],
        /// The phone number in E.164, followed by `;ext=` and the extension if there is one.
        phone: Option<String> [personal],
        /// The postal address of the supplier.
        address: Option<String>,
        /// The number of the supplier's licence to trade in medicines.
        license_number: Option<String>,
        /// The number under which the Drug Enforcement Administration of the United States knows the supplier.
        dea_number: Option<String>,
        /// The number of days from an order to its delivery.
        lead_time_days: Option<i32>,
        /// Whether deliveries of the supplier are received.
        is_active: bool,
    }
}

fn row(event: &Projected<'_, Event>, details: &Details) -> SupplierRow {
    let Details { code, name, contact_name, email, phone, address, license_number, dea_number, lead_time_days } =
        details;
    SupplierRow {
        id: event.stream_id,
        code: code.0.clone(),
        name: name.0.clone(),
        contact_name: known_text(contact_name.as_ref()),
        email: crate::machinery::text::email(email.as_ref()),
        phone: crate::machinery::text::phone(phone.as_ref()),
        address: text(address.as_ref()),
        license_number: text(license_number.as_ref()),
        dea_number: dea_number.as_ref().map(DeaNumber::as_str).map(str::to_owned),
        lead_time_days: *lead_time_days,
        is_active: true,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, SupplierRow>) {
    match event.data {
        Event::Added(details) => rows.insert(row(event, details)),
        Event::Changed(details) => {
            let changed = row(event, details);
            rows.change(event, move |row| {
                *row = SupplierRow { is_active: row.is_active, stamps: row.stamps, ..changed };
            });
        }
        Event::Deactivated => rows.change(event, |row| row.is_active = false),
        Event::Reactivated => rows.change(event, |row| row.is_active = true),
    }
}
