//! What may be asked of a hospital: commands, who may give them, and what follows from them.
//!
//! A command is a struct, which is its request body, and a pure [`Command::decide`]. [`Executor::execute`] does the rest:
//! it authorises, loads, decides, appends, and decides again when somebody else was faster.

mod access;
mod aggregates;
mod machinery;

#[cfg(test)]
mod testing;

pub use access::{
    Caller, Credentials, LoggedIn, Login, LoginFailure, Password, Permission, SessionLimits, role_id, system_roles,
};
pub use aggregates::{
    appointment, consultation, department, medication, medication_lot, patient, prescription, role, room, session,
    user, vital_signs,
};
pub use machinery::{
    Claims, Command, Context, Decision, Entry, EventRef, Executor, Failure, Found, Held, Kind, Loaded, Malformed,
    Outcome, Passwords, Patch, Reads, Refused, Registry, Request, Surroundings, Target, claims_of, json_schema,
    json_schema_with, one_of, read, refuse, scopes, upcasters,
};
