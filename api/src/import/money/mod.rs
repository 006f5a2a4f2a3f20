//! The money of other systems, whatever the form of the files: `bill` enters charges with their invoice, `claims` what
//! payers were asked and what they answered, `policies` finds the policy that pays, and `amounts` rounds to cents.
//!
//! Everything is entered with the commands that clients use, each with the time of the source. A bill is checked as a
//! whole before its first command, so that no command is refused in the middle; an interrupted import is continued by
//! the next one, since each part has an id that follows from the source.

mod amounts;
mod bill;
mod claims;
mod policies;

pub(super) use amounts::rounded_together;
pub(super) use bill::Bill;
pub(super) use claims::{Answered, Asked};
pub(super) use policies::Policies;
