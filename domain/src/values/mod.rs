//! Texts and numbers with a form of their own, such as phone numbers and record numbers.
//!
//! Reading a value normalises the value where possible (an e-mail address to lower case, a country to its code) and
//! never fails because of a rule. [`Described::check`](crate::Described::check) reports a value that breaks its rule.

pub mod coding;
mod contact;
mod country;
mod date;
mod folded;
mod measured;
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
pub use measured::Measured;
pub use money::{Currency, Money, Percent, UnitPrice, to_cents};
pub use number::{
    ClaimNumber, DeaNumber, InvoiceNumber, LabOrderNumber, Mrn, PrescriptionNumber, ReceiptNumber, SpecimenNumber, Ssn,
    holds_card_number,
};
pub use reason::OverrideReason;
pub use text::{Code, LongText, Name, Reason, Text, is_blank, known_names};
pub use time_of_day::TimeOfDay;
pub use unit::{UcumCode, Unit, measuring_unit};
pub use words::{holds, words};
