//! What is true in a hospital and what has happened there: ids, values, events, and the state into which events fold.
//!
//! This crate has no input or output, no clock, no randomness and no `async`. Every other crate of the workspace may
//! depend on this crate; this crate depends on none of them.

mod aggregate;
mod allergen;
mod derived;
mod described;
mod event;
mod ids;
pub mod instant;
mod personal;
pub mod values;

pub mod access;
pub mod alert;
pub mod amendment_request;
pub mod appointment;
pub mod appointment_note;
pub mod appointment_series;
pub mod billing_record;
pub mod care_team_assignment;
pub mod consent;
pub mod consultation;
pub mod department;
pub mod disclosure;
pub mod emergency_access;
pub mod erasure;
pub mod insurance_claim;
pub mod insurance_policy;
pub mod interaction_profile;
pub mod interaction_source;
pub mod inventory_item;
pub mod inventory_level;
pub mod lab_order;
pub mod lab_result;
pub mod lab_test;
pub mod legal_hold;
pub mod log;
pub mod medical_history;
pub mod medication;
pub mod medication_list;
pub mod medication_lot;
pub mod notification;
pub mod notification_preferences;
pub mod password_reset;
pub mod patient;
pub mod payer;
pub mod permission;
pub mod prescription;
pub mod price;
pub mod process_failure;
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
pub mod wall_clock;

pub use aggregate::{Aggregate, Subject, fold};
pub use derived::{derived, derived_row};
pub use described::{Described, Field, Invalid, Pointer, Shape};
#[doc(hidden)]
pub use described::{field_name as __field_name, has_word as __has_word};
pub use event::{DomainEvent, Read};
pub use ids::*;
pub use personal::{ERASED_MARK, PERSONAL_MARK, Personal};
