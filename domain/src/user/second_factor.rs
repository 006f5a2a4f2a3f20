use serde::{Deserialize, Serialize};

use crate::{Personal, SessionId};

/// The hash of a recovery code: SHA-256 in hexadecimal digits, sealed in the log like every personal value.
pub type RecoveryCodeHash = Personal<String>;

/// A device or program of the user that makes one-time codes (TOTP, RFC 6238), and the codes for the day it is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The secret from which the codes follow, in base 32. It is told once, when the user enrols.
    pub second_factor_secret: Personal<String>,
    /// Whether the user has given a first code. Until then a login asks for none.
    pub is_confirmed: bool,
    /// The last time step of which a code was used. A code of this step, or of an earlier one, is refused.
    pub used_step: Option<u64>,
    /// The hashes of the recovery codes that were not used.
    pub recovery_code_hashes: Vec<RecoveryCodeHash>,
    /// How many wrong codes were given since the last right one.
    pub wrong_codes: u32,
    /// The session for which a recovery code was given last: its user has lost the device, and may remove the second
    /// factor there without another code, also after the last one.
    pub recovered_in: Option<SessionId>,
}

impl SecondFactor {
    /// A second factor of which the user has given no code yet.
    pub(super) fn enrolled(second_factor_secret: Personal<String>) -> Self {
        Self {
            second_factor_secret,
            is_confirmed: false,
            used_step: None,
            recovery_code_hashes: Vec::new(),
            wrong_codes: 0,
            recovered_in: None,
        }
    }
}
