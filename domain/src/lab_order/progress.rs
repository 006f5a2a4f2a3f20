//! How far an order is: the statuses of its lines and its own status, as a function of what happened to the lines and
//! specimens, and the events that tell these statuses.

use super::{
    After, Event, Item, ItemAdded, ItemAfter, ItemStatus, LabOrder, Placed, Specimen, SpecimenCollected,
    SpecimenStatus, Status,
};
use crate::values::Reason;
use crate::{Aggregate as _, LabOrderItemId, LabResultId, LabTestId, Personal, SpecimenId};

impl After {
    /// What stands in an event until it is known what the event leads to.
    pub fn unknown() -> Self {
        Self { status: Status::Ordered, items: Vec::new() }
    }
}

impl Event {
    fn after_mut(&mut self) -> Option<&mut After> {
        match self {
            Self::Placed(_) => None,
            Self::ItemAdded(it) => Some(&mut it.after),
            Self::SpecimenCollected(it) => Some(&mut it.after),
            Self::ItemCancelled { after, .. }
            | Self::SpecimenReceived { after, .. }
            | Self::SpecimenRejected { after, .. }
            | Self::ItemResulted { after, .. }
            | Self::ItemReopened { after, .. }
            | Self::Cancelled { after, .. } => Some(after),
        }
    }
}

impl Item {
    pub(super) fn new(id: LabOrderItemId, lab_test_id: LabTestId) -> Self {
        let status = ItemStatus::Ordered;
        Self { id, lab_test_id, status, lab_result_id: None, is_final: false, is_cancelled: false }
    }

    /// The status that follows from what happened to the line and to the specimens that were taken for it.
    fn status_with<'a>(&self, specimens: impl Iterator<Item = &'a Specimen>) -> ItemStatus {
        let of_line = specimens.filter(|it| it.item_ids.contains(&self.id));
        let (usable, rejected): (Vec<_>, Vec<_>) = of_line.partition(|it| it.is_usable());
        let is_received = usable.iter().any(|it| it.status == SpecimenStatus::Received);
        let needs_another = usable.is_empty() && !rejected.is_empty();
        match () {
            () if self.is_cancelled => ItemStatus::Cancelled,
            () if self.is_final => ItemStatus::Resulted,
            () if needs_another => ItemStatus::Ordered,
            () if self.lab_result_id.is_some() || is_received => ItemStatus::InProgress,
            () if usable.is_empty() => ItemStatus::Ordered,
            () => ItemStatus::Collected,
        }
    }
}

impl LabOrder {
    pub(super) fn placed(it: &Placed) -> Self {
        Self {
            number: it.number.clone(),
            patient_id: it.patient_id,
            provider_id: it.provider_id,
            consultation_id: it.details.consultation_id,
            priority: it.details.priority,
            status: Status::Ordered,
            items: it.items.iter().map(|item| Item::new(item.id, item.lab_test_id)).collect(),
            specimens: std::collections::BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, it: &ItemAdded) {
        self.items.push(Item::new(it.item.id, it.item.lab_test_id));
        for specimen_id in &it.specimen_ids {
            if let Some(specimen) = self.specimens.get_mut(specimen_id) {
                specimen.item_ids.insert(it.item.id);
            }
        }
    }

    pub(super) fn collect(&mut self, it: &SpecimenCollected) {
        let specimen = Specimen {
            number: it.number.clone(),
            specimen_type: it.specimen_type.clone(),
            collected_at: it.collected_at,
            collected_by: it.collected_by,
            status: SpecimenStatus::Collected,
            item_ids: it.item_ids.clone(),
        };
        self.specimens.insert(it.specimen_id, specimen);
    }

    pub(super) fn move_specimen(&mut self, id: SpecimenId, status: SpecimenStatus) {
        if let Some(specimen) = self.specimens.get_mut(&id) {
            specimen.status = status;
        }
    }

    pub(super) fn change_item(&mut self, id: LabOrderItemId, change: impl Fn(&mut Item)) {
        self.items.iter_mut().filter(|it| it.id == id).for_each(change);
    }

    /// Sets all statuses to those that follow from what happened.
    pub(super) fn settle(&mut self) {
        for item in &mut self.items {
            item.status = item.status_with(self.specimens.values());
        }
        let any = |status| self.items.iter().any(|it| it.status == status);
        let (is_open, is_done) = (self.items.iter().any(Item::is_open), any(ItemStatus::Resulted));
        self.status = match () {
            () if !is_open && is_done => Status::Completed,
            () if !is_open => Status::Cancelled,
            () if any(ItemStatus::Ordered) => Status::Ordered,
            () if any(ItemStatus::InProgress) || is_done => Status::InProgress,
            () => Status::Collected,
        };
    }

    /// The line with an id.
    pub fn item(&self, id: LabOrderItemId) -> Option<&Item> {
        self.items.iter().find(|it| it.id == id)
    }

    /// Whether a specimen that was taken for a line can be used.
    pub fn has_specimen(&self, item_id: LabOrderItemId) -> bool {
        self.specimens.values().any(|it| it.item_ids.contains(&item_id) && it.is_usable())
    }

    /// The event, with the statuses that follow from it.
    #[must_use]
    pub fn followed_up(&self, mut event: Event) -> Event {
        let then = Self::evolve(Some(self.clone()), &event);
        if let (Some(then), Some(after)) = (then, event.after_mut()) {
            let before = |item: &Item| self.item(item.id).map(|it| it.status);
            let moved = then.items.iter().filter(|it| before(it) != Some(it.status));
            let items = moved.map(|it| ItemAfter { item_id: it.id, status: it.status }).collect();
            *after = After { status: then.status, items };
        }
        event
    }

    /// A test has a result, preliminary or final.
    pub fn resulted(&self, item_id: LabOrderItemId, lab_result_id: LabResultId, is_final: bool) -> Event {
        self.followed_up(Event::ItemResulted { item_id, lab_result_id, is_final, after: After::unknown() })
    }

    /// The result of a test was withdrawn, and the test is to be done again.
    pub fn reopened(&self, item_id: LabOrderItemId) -> Event {
        self.followed_up(Event::ItemReopened { item_id, after: After::unknown() })
    }

    /// A test is not done.
    pub fn item_cancelled(&self, item_id: LabOrderItemId, reason: Option<Personal<Reason>>) -> Event {
        self.followed_up(Event::ItemCancelled { item_id, reason, after: After::unknown() })
    }
}
