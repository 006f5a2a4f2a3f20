//! Who may do what: callers and their permissions, logins, passwords, and the roles that every hospital begins with.

mod caller;
mod login;
pub(crate) mod password;
mod system_roles;

pub use caller::{Caller, Permission};
pub use login::{Credentials, LoggedIn, Login, LoginFailure, SessionLimits};
pub use password::{NewPassword, Password};
pub use system_roles::{role_id, system_roles};
