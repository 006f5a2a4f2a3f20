//! Who may do what, and how much of it: callers and their permissions, logins, passwords, allowances, and the roles
//! that every hospital begins with.

mod allowances;
mod caller;
mod login;
pub(crate) mod one_time;
mod passkeys;
pub(crate) mod password;
pub(crate) mod person;
#[cfg(test)]
mod role_words;
mod system_roles;

pub use allowances::{Allowances, Share};
pub(crate) use caller::CHART_WORDS;
pub use caller::{Caller, Duty, Permission};
pub use login::{
    AskForChallenge, AskForReset, AskForTicket, Challenge, ChosenPassword, ClientCredentials, ClientSecret,
    Credentials, Enrolled, Enrolment, FirstCode, Identified, LoggedIn, Login, LoginFailure, NewPasskey, NewSecret,
    OpenIdAttempt, PasskeyLogin, Proof, SecondFactors, ServiceToken, SessionLimits, SignedLogin, SignedProof, Ticket,
    TicketStream, Vouched, token_hash,
};
pub(crate) use login::{reset_token, secret_hash};
pub use one_time::OneTimeCode;
pub use passkeys::{Credential, Passkeys};
pub use password::{NewPassword, Password};
pub(crate) use person::caller_of;
pub use system_roles::{role_id, system_roles};
