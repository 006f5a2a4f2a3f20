//! The statuses of an order and of its items, as they follow from what happens.

use hims_domain::fold;
use hims_domain::lab_order::{After, ItemAfter, RejectionCode};

use super::*;

/// The order after some events.
pub(super) fn order(events: impl IntoIterator<Item = Event>) -> LabOrder {
    fold::<LabOrder>(&events.into_iter().collect::<Vec<_>>()).unwrap()
}

/// Lets things happen to an order of two tests, and tells the status after each of them: that of the order and those of
/// the items.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        Self(vec![placed()])
    }

    fn order(&self) -> LabOrder {
        order(self.0.clone())
    }

    /// Adds an event, and compares the statuses that the event tells with those that follow from the state.
    #[track_caller]
    fn then(&mut self, event: &Event, status: &str, items: &[&str]) -> &mut Self {
        let event = self.order().followed_up(event.clone());
        let before = self.order();
        self.0.push(event.clone());
        let order = self.order();
        let found: Vec<_> = order.items.iter().map(|it| it.status.as_str()).collect();
        assert_eq!((order.status.as_str(), found.as_slice()), (status, items));
        let told = serde_json::to_value(&event).unwrap();
        let told: After =
            serde_json::from_value(told.as_object().unwrap().values().next().unwrap()["after"].clone()).unwrap();
        let moved = order.items.iter().filter(|item| before.item(item.id).map(|it| it.status) != Some(item.status));
        let items = moved.map(|it| ItemAfter { item_id: it.id, status: it.status }).collect();
        assert_eq!(told, After { status: order.status, items });
        self
    }

    #[track_caller]
    fn collected(&mut self, specimen: u128, items: &[LabOrderItemId], status: &str, after: &[&str]) -> &mut Self {
        let changes = json!({"specimen_id": Uuid::from_u128(specimen), "item_ids": items});
        self.then(&sample_with::<LabOrder>("specimen_collected", changes), status, after)
    }

    #[track_caller]
    fn received(&mut self, specimen: u128, status: &str, after: &[&str]) -> &mut Self {
        let specimen_id = id(specimen);
        self.then(&Event::SpecimenReceived { specimen_id, after: After::unknown() }, status, after)
    }

    #[track_caller]
    fn rejected(&mut self, specimen: u128, status: &str, after: &[&str]) -> &mut Self {
        let (specimen_id, reason_code) = (id(specimen), RejectionCode::Clotted);
        let event = Event::SpecimenRejected { specimen_id, reason_code, note: None, after: After::unknown() };
        self.then(&event, status, after)
    }

    #[track_caller]
    fn resulted(&mut self, item: LabOrderItemId, is_final: bool, status: &str, after: &[&str]) -> &mut Self {
        let event = self.order().resulted(item, id(0xb1), is_final);
        self.then(&event, status, after)
    }

    #[track_caller]
    fn cancelled(&mut self, item: LabOrderItemId, status: &str, after: &[&str]) -> &mut Self {
        let event = self.order().item_cancelled(item, None);
        self.then(&event, status, after)
    }
}

#[test]
fn an_order_goes_from_ordered_to_completed() {
    Story::new()
        .collected(1, &[FIRST], "ordered", &["collected", "ordered"])
        .collected(2, &[SECOND], "collected", &["collected", "collected"])
        .received(1, "in_progress", &["in_progress", "collected"])
        .received(2, "in_progress", &["in_progress", "in_progress"])
        .resulted(FIRST, false, "in_progress", &["in_progress", "in_progress"])
        .resulted(FIRST, true, "in_progress", &["resulted", "in_progress"])
        .resulted(SECOND, true, "completed", &["resulted", "resulted"]);
}

#[test]
fn one_specimen_may_do_for_all_tests() {
    Story::new().collected(1, &[FIRST, SECOND], "collected", &["collected"; 2]).received(
        1,
        "in_progress",
        &["in_progress"; 2],
    );
}

#[test]
fn a_result_without_a_specimen_begins_the_work() {
    Story::new()
        .resulted(FIRST, false, "ordered", &["in_progress", "ordered"])
        .cancelled(SECOND, "in_progress", &["in_progress", "cancelled"])
        .resulted(FIRST, true, "completed", &["resulted", "cancelled"]);
}

#[test]
fn a_rejection_leads_back_to_ordered() {
    Story::new()
        .collected(1, &[FIRST, SECOND], "collected", &["collected"; 2])
        .rejected(1, "ordered", &["ordered"; 2])
        .collected(2, &[FIRST, SECOND], "collected", &["collected"; 2])
        .received(2, "in_progress", &["in_progress"; 2])
        .rejected(2, "ordered", &["ordered"; 2]);
}

#[test]
fn a_rejection_after_a_preliminary_result_leads_back_to_ordered_but_a_final_result_stays() {
    Story::new()
        .collected(1, &[FIRST, SECOND], "collected", &["collected"; 2])
        .received(1, "in_progress", &["in_progress"; 2])
        .resulted(FIRST, true, "in_progress", &["resulted", "in_progress"])
        .resulted(SECOND, false, "in_progress", &["resulted", "in_progress"])
        .rejected(1, "ordered", &["resulted", "ordered"])
        .collected(2, &[SECOND], "in_progress", &["resulted", "in_progress"]);
}

#[test]
fn another_specimen_keeps_the_work_going_when_one_is_rejected() {
    Story::new()
        .collected(1, &[FIRST, SECOND], "collected", &["collected"; 2])
        .collected(2, &[FIRST], "collected", &["collected"; 2])
        .rejected(1, "ordered", &["collected", "ordered"]);
}

#[test]
fn an_order_whose_tests_are_all_cancelled_is_cancelled() {
    Story::new().cancelled(FIRST, "ordered", &["cancelled", "ordered"]).cancelled(
        SECOND,
        "cancelled",
        &["cancelled"; 2],
    );
}

#[test]
fn a_withdrawn_result_opens_the_order_again() {
    let mut story = Story::new();
    story
        .collected(1, &[FIRST, SECOND], "collected", &["collected"; 2])
        .received(1, "in_progress", &["in_progress"; 2])
        .resulted(FIRST, true, "in_progress", &["resulted", "in_progress"])
        .resulted(SECOND, true, "completed", &["resulted"; 2]);
    let reopened = story.order().reopened(SECOND);
    story.then(&reopened, "in_progress", &["resulted", "in_progress"]);
    assert_eq!(story.order().item(SECOND).unwrap().lab_result_id, None);
    story.resulted(SECOND, true, "completed", &["resulted"; 2]);
}

#[test]
fn a_test_is_added_to_a_completed_order_with_the_specimen_that_is_there() {
    let mut story = Story::new();
    story
        .collected(1, &[FIRST, SECOND], "collected", &["collected"; 2])
        .received(1, "in_progress", &["in_progress"; 2])
        .resulted(FIRST, true, "in_progress", &["resulted", "in_progress"])
        .resulted(SECOND, true, "completed", &["resulted"; 2]);
    let then = laboratory(story.0.clone()).when(add(Addition::Reflex, json!({})));
    let event = then.then_event();
    story.then(&event, "in_progress", &["resulted", "resulted", "in_progress"]);
    assert_eq!(story.order().items[2].status, ItemStatus::InProgress);
    let cancelled = [placed(), order([placed()]).item_cancelled(FIRST, None)];
    let cancelled = [cancelled.to_vec(), vec![order(cancelled).item_cancelled(SECOND, None)]].concat();
    laboratory(cancelled).when(add(Addition::Reflex, json!({}))).then_code("wrong-status");
}
