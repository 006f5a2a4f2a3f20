//! Values that know their form.
//!
//! Reading normalises what it can (an e-mail address to lower case, a phone number to E.164) and never fails on a rule;
//! [`Described::check`](crate::Described::check) reports what does not keep its rule.

mod contact;
mod number;
mod text;

pub use contact::{Email, Phone};
pub use number::{Mrn, PrescriptionNumber, Ssn};
pub use text::{Code, LongText, Text, is_blank};
