//! Texts and numbers with a form of their own, such as phone numbers and record numbers.
//!
//! Reading a value normalises the value where possible (an e-mail address to lower case, a phone number to E.164) and
//! never fails because of a rule. [`Described::check`](crate::Described::check) reports a value that breaks its rule.

mod contact;
mod number;
mod reason;
mod text;
mod unit;
mod words;

pub use contact::{Email, Phone};
pub use number::{Mrn, PrescriptionNumber, Ssn};
pub use reason::OverrideReason;
pub use text::{Code, LongText, Text, is_blank};
pub use unit::Unit;
pub use words::{holds_words, words};
