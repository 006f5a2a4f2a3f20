//! Carries out commands: what a command is, what it may look up and decide, and how its decision is recorded.

#[cfg(test)]
mod asserted;
mod begun;
mod cache;
pub(crate) mod catalogue;
pub(crate) mod claims;
pub(crate) mod coding;
pub(crate) mod command;
pub(crate) mod context;
pub(crate) mod decision;
pub(crate) mod execute;
mod load;
mod outcome;
pub(crate) mod own_record;
mod patch;
mod phone;
pub(crate) mod process;
pub(crate) mod reads;
pub(crate) mod refusal;
mod registry;
mod schema;
pub mod scopes;
pub(crate) mod sight;
pub(crate) mod step;
mod upcasters;

pub use begun::begun;
pub use claims::{Claims, Held, claims_of};
pub use command::{Command, Passwords, Target};
pub use context::{Context, Found, Surroundings};
pub use decision::{Decision, Mistake};
pub use execute::Executor;
pub use execute::maintenance::{fold_of, note_of_restore};
pub use load::Loaded;
pub use outcome::{Cause, EventRef, Failure, Outcome, Request};
pub use patch::Patch;
pub use phone::{PhoneRegion, read_phone};
pub use process::{DailyWork, Day, Happened, Part, Process, Processes, Reaction, Tables};
pub use reads::Reads;
pub use refusal::{Kind, Refused, refuse};
pub use registry::{Entry, Registry};
pub use schema::{LONGEST_LIST, Malformed, json_schema, json_schema_with, one_of, read};
pub use sight::Sight;
pub use upcasters::upcasters;
