//! Changes of the quantity of a lot: why they are made, and those that wait for a witness.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::inventory_level::WasteReason;
use crate::values::Reason;
use crate::{UserId, terms};

terms! {
    /// To whom a quantity goes back.
    pub enum ReturnTo {
        Supplier = "supplier",
        Stock = "stock",
    }
}

/// What somebody wants to record of a controlled product, and what a second person has to have seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wanted {
    /// A correction of the quantity.
    Adjusted {
        /// The reason for the correction.
        reason: Reason,
    },
    /// A count.
    Counted {
        /// The quantity that was counted.
        counted: Decimal,
    },
    /// A quantity is thrown away.
    Wasted {
        /// Why the quantity is thrown away.
        reason_code: WasteReason,
        /// More about the reason.
        reason: Option<Reason>,
    },
}

impl Wanted {
    /// The kind of the change, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Adjusted { .. } => "adjusted",
            Self::Counted { .. } => "counted",
            Self::Wasted { .. } => "wasted",
        }
    }
}

/// A change of the quantity that waits for a witness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestedChange {
    /// What is to be recorded.
    pub wanted: Wanted,
    /// The change of the quantity; negative when there is less.
    pub change: Decimal,
    /// Who asks for the change; `None` for a part of the system.
    pub requested_by: Option<UserId>,
    /// Until when somebody may witness the change.
    pub expires_at: DateTime<Utc>,
}

impl RequestedChange {
    /// The quantity that is set aside until the change is witnessed or rejected.
    pub fn set_aside(&self) -> Decimal {
        (-self.change).max(Decimal::ZERO)
    }
}
