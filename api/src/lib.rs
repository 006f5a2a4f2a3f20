//! The hospital over HTTP and on the command line. This crate only translates requests and answers; it decides nothing.

mod backup;
mod bootstrap;
pub mod cli;
mod connections;
mod database;
mod demo;
mod disk;
mod due;
pub mod embedded;
mod feed;
pub mod generate;
mod hospital;
pub mod import;
mod keys;
mod openapi;
mod outside;
mod problem;
mod readers;
mod reports;
mod routes;
pub mod server;
mod settings;
mod sight;
mod slow;
mod surroundings;
mod telemetry;
mod wire;

pub use connections::DatabaseError;
pub use hospital::{Hospital, HospitalError, Purpose};
pub use openapi::document as openapi_document;
pub use outside::{OutsideError, provide_encryption};
pub use readers::Readers;
pub use routes::Proxies;
pub use settings::Settings;
pub use slow::Rows;
pub use surroundings::surroundings;
