//! The commands of each aggregate, with their refusals and their tests.

pub mod appointment;
pub mod consultation;
pub mod department;
pub mod medication;
pub mod medication_lot;
pub mod patient;
pub mod prescription;
pub mod role;
pub mod room;
pub mod session;
pub mod user;
pub mod vital_signs;
