//! Who may not read an appointment cannot move it.

use super::*;
use crate::testing::world::somebody;

/// The codes of the refusals of commands on an appointment of cardiology.
fn codes(by: &Caller) -> [Option<&'static str>; 3] {
    let appointment = || given([scheduled()]).by(by.clone());
    [appointment().when(confirm()).code(), appointment().when(check_in()).code(), appointment().when(cancel()).code()]
}

#[test]
fn a_nurse_moves_the_appointments_of_her_department() {
    let nurse_of = |department_id| Caller { department_id, ..somebody("nurse") };
    assert_eq!(codes(&nurse_of(Some(DEPARTMENT))), [None; 3]);
    for elsewhere in [Some(OTHER_DEPARTMENT), None] {
        assert_eq!(codes(&nurse_of(elsewhere)), [Some("not-found"); 3]);
    }
    let nowhere = scheduled_in(None, "UTC");
    given([nowhere]).by(nurse_of(None)).when(confirm()).then_code("not-found");
}

#[test]
fn the_front_desk_and_doctors_move_every_appointment() {
    for role in ["receptionist", "doctor"] {
        assert_eq!(codes(&somebody(role)), [None; 3], "{role}");
    }
    assert_eq!(codes(&somebody("pharmacist")), [Some("not-found"); 3]);
}
