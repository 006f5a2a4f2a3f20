//! The commands of each aggregate, with their refusals and their tests.

pub mod amendment_request;
pub mod appointment;
pub mod appointment_note;
pub mod appointment_series;
pub mod billing_record;
pub mod care_team_assignment;
pub(crate) mod consent;
pub mod consultation;
pub mod department;
pub mod disclosure;
pub mod emergency_access;
pub(crate) mod erasure;
pub mod insurance_claim;
pub mod insurance_policy;
pub mod interaction_profile;
pub mod inventory_item;
pub mod inventory_level;
pub mod lab_order;
pub mod lab_result;
pub mod lab_test;
pub(crate) mod legal_hold;
pub mod medical_history;
pub mod medication;
pub mod medication_list;
pub mod medication_lot;
pub mod notification;
pub mod notification_preferences;
pub mod password_reset;
pub mod patient;
pub mod payer;
pub mod prescription;
pub mod price;
pub(crate) mod process_failure;
pub mod provider_schedule;
pub mod report;
pub mod report_execution;
pub mod report_schedule;
pub mod role;
pub mod room;
pub mod session;
pub mod supplier;
pub mod treatment;
pub mod user;
pub mod vital_signs;
pub mod waitlist_entry;

use hims_domain::access::Access;
use hims_domain::log::Log;

use crate::{Claims, Registry};

/// A recorded attempt claims nothing, and no command applies to its stream.
impl Claims for Access {}

/// What happened to the log claims nothing. Only a restore records it.
impl Claims for Log {}

/// Adds every command that callers can give by name. Sessions are begun and ended through routes of their own.
pub(crate) fn register(registry: &mut Registry) {
    role::register(registry);
    user::register(registry);
    session::register(registry);
    password_reset::register(registry);
    department::register(registry);
    room::register(registry);
    patient::register(registry);
    provider_schedule::register(registry);
    appointment::register(registry);
    appointment_series::register(registry);
    appointment_note::register(registry);
    waitlist_entry::register(registry);
    consultation::register(registry);
    care_team_assignment::register(registry);
    emergency_access::register(registry);
    consent::register(registry);
    erasure::register(registry);
    legal_hold::register(registry);
    amendment_request::register(registry);
    disclosure::register(registry);
    treatment::register(registry);
    vital_signs::register(registry);
    medical_history::register(registry);
    lab_test::register(registry);
    lab_order::register(registry);
    lab_result::register(registry);
    medication::register(registry);
    supplier::register(registry);
    inventory_item::register(registry);
    inventory_level::register(registry);
    medication_lot::register(registry);
    prescription::register(registry);
    interaction_profile::register(registry);
    payer::register(registry);
    insurance_policy::register(registry);
    insurance_claim::register(registry);
    medication_list::register(registry);
    price::register(registry);
    billing_record::register(registry);
    notification::register(registry);
    notification_preferences::register(registry);
    report_execution::register(registry);
    report_schedule::register(registry);
}
