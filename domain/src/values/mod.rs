//! Texts and numbers with a form of their own, such as phone numbers and record numbers.
//!
//! Reading a value normalises the value where possible (an e-mail address to lower case, a country to its code) and
//! never fails because of a rule. [`Described::check`](crate::Described::check) reports a value that breaks its rule.

pub mod coding;
mod contact;
mod country;
mod date;
mod folded;
mod money;
mod number;
mod reason;
mod text;
mod time_of_day;
mod unit;
mod words;

pub use contact::{Email, Phone};
pub use country::Country;
pub use date::PartialDate;
pub use folded::folded;
pub use money::{Money, Percent};
pub use number::{DeaNumber, Mrn, PrescriptionNumber, Ssn};
pub use reason::OverrideReason;
pub use text::{Code, LongText, Name, Reason, Text, is_blank};
pub use time_of_day::TimeOfDay;
pub use unit::{Unit, measuring_unit};
pub use words::{holds, words};
