//! Articles: what a hospital keeps in stock, and when more is to be ordered. How much of an article a room holds is an
//! inventory level; a medicine is counted in its lots instead.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Name, Text, Unit};
use crate::{Aggregate, MedicationId, Subject, SupplierId, described};

described! {
    /// The description of an article.
    pub struct Details {
        /// The stock-keeping unit: the number of the article, unique in the hospital.
        pub sku: Text<50>,
        /// The name of the article.
        pub name: Name<200>,
        /// The kind of article, such as `dressing`.
        pub category: Text<50>,
        /// The medicine, if the article is a product of the catalogue. Its stock is counted in lots.
        pub medication_id: Option<MedicationId>,
        /// The unit of every quantity of the article, such as `box`. Of a medicine, only lots in this unit count.
        pub unit: Unit,
        /// The quantity below which more is to be ordered; never if left out.
        pub reorder_level: Option<Decimal>,
        /// The quantity to order then.
        pub reorder_quantity: Option<Decimal>,
        /// The supplier from whom to order.
        pub preferred_supplier_id: Option<SupplierId>,
        /// Whether the article is kept under lock and key.
        #[serde(default)]
        pub is_controlled: bool,
    }
}

/// An article.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryItem {
    /// The description of the article.
    pub details: Details,
    /// Only an active article is received and reordered.
    pub is_active: bool,
    /// What was left and could be used when it became known that more is to be ordered; `None` if there is enough.
    pub flagged_with: Option<Decimal>,
}

/// What can happen to an article.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The article was added.
    Added(Details),
    /// The description of the article changed. The event holds the whole new description.
    Changed(Details),
    /// The article is neither received nor reordered any more.
    Deactivated,
    /// The article is received and reordered again.
    Reactivated,
    /// The usable stock fell below the level at which more is to be ordered.
    ReorderFlagged {
        /// What is left and can be used, in all rooms together.
        usable: Decimal,
        /// The level at that time.
        reorder_level: Decimal,
    },
    /// More is no longer to be ordered: there is enough again, or nobody wants to reorder the article.
    ReorderCleared {
        /// What can be used, in all rooms together.
        usable: Decimal,
    },
}

impl InventoryItem {
    /// The level below which more is to be ordered; `None` if the article is not reordered.
    pub fn reorder_level(&self) -> Option<Decimal> {
        self.details.reorder_level.filter(|_| self.is_active)
    }

    /// Whether it is known that more is to be ordered.
    pub fn is_flagged(&self) -> bool {
        self.flagged_with.is_some()
    }
}

impl Aggregate for InventoryItem {
    const STREAM: &'static str = "inventory_item";
    const STATE_VERSION: i32 = 2;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Added(details) => Some(Self { details: details.clone(), is_active: true, flagged_with: None }),
            Event::Changed(details) => state.map(|it| Self { details: details.clone(), ..it }),
            Event::Deactivated => state.map(|it| Self { is_active: false, ..it }),
            Event::Reactivated => state.map(|it| Self { is_active: true, ..it }),
            Event::ReorderFlagged { usable, reorder_level: _ } => {
                state.map(|it| Self { flagged_with: Some(*usable), ..it })
            }
            Event::ReorderCleared { usable: _ } => state.map(|it| Self { flagged_with: None, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
