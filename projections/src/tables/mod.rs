//! The read tables: one file for each group of tables, and `dispatch`, which sends events to the tables.

mod appointment_notes;
mod appointment_series;
mod appointments;
pub(crate) mod audit;
mod consultations;
mod departments;
pub(crate) mod dispatch;
mod emergency_contacts;
mod insurance_policies;
mod inventory;
mod medical_history;
mod medications;
mod notification_preferences;
mod notifications;
mod patient_medications;
mod patients;
mod payers;
mod prescriptions;
mod process_failures;
mod provider_schedules;
mod roles;
mod rooms;
mod sessions;
mod treatments;
mod users;
mod vital_signs;
