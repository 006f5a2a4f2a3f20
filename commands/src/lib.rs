//! What may be asked of a hospital: commands, who may give them, and what follows from them.
//!
//! A command is a struct, which is its request body, and a pure [`Command::decide`]. [`Executor::execute`] does the rest:
//! it authorises, loads, decides, appends, and decides again when somebody else was faster.

mod cache;
mod caller;
mod command;
mod context;
mod decision;
mod execute;
mod load;
mod login;
mod outcome;
mod password;
mod patch;
mod reads;
mod refusal;
mod registry;
mod schema;
pub mod scopes;
mod system_roles;
mod upcasters;

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

#[cfg(test)]
mod testing;

pub use caller::{Caller, Permission, Verb};
pub use command::{Command, Passwords, Target};
pub use context::{Context, Found, Surroundings};
pub use decision::Decision;
pub use execute::Executor;
pub use load::Loaded;
pub use login::{Credentials, LoggedIn, Login, LoginFailure, SessionLimits};
pub use outcome::{EventRef, Failure, Outcome, Request};
pub use password::Password;
pub use patch::Patch;
pub use reads::Reads;
pub use refusal::{Kind, Refused, refuse};
pub use registry::{Entry, Registry};
pub use schema::{Malformed, json_schema, read};
pub use system_roles::{role_id, system_roles};
pub use upcasters::upcasters;
