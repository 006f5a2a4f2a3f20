//! Who may do what, and how much of it: callers and their permissions, logins, passwords, allowances, and the roles
//! that every hospital begins with.

mod allowances;
mod caller;
mod login;
pub(crate) mod one_time;
pub(crate) mod password;
mod person;
#[cfg(test)]
mod role_words;
mod system_roles;

pub use allowances::{Allowances, Share};
pub(crate) use caller::CHART_WORDS;
pub use caller::{Caller, Duty, Permission};
pub use login::{
    AskForTicket, Credentials, Enrolled, Enrolment, FirstCode, LoggedIn, Login, LoginFailure, Proof, SecondFactors,
    SessionLimits, Ticket, TicketStream, token_hash,
};
pub use one_time::OneTimeCode;
pub use password::{NewPassword, Password};
pub(crate) use person::caller_of;
pub use system_roles::{role_id, system_roles};
