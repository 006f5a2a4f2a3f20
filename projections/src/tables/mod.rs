//! The read tables: one file for each group of tables, and `dispatch`, which sends events to the tables.

mod appointments;
pub(crate) mod audit;
mod consultations;
mod departments;
pub(crate) mod dispatch;
mod insurance_policies;
mod inventory;
mod medications;
mod patients;
mod payers;
mod prescriptions;
mod process_failures;
mod roles;
mod rooms;
mod sessions;
mod treatments;
mod users;
mod vital_signs;
