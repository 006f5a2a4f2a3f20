//! The read tables, one file for each group of them, and which events go to which.

mod appointments;
pub(crate) mod audit;
mod consultations;
mod departments;
pub(crate) mod dispatch;
mod inventory;
mod medications;
mod patients;
mod prescriptions;
mod roles;
mod rooms;
mod sessions;
mod users;
mod vital_signs;
