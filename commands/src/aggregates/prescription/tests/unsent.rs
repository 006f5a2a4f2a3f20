//! A prescription that was not sent yet does not concern the pharmacy: who may not read it cannot move it.

use super::*;

/// The codes of the refusals of every command that moves a prescription in a status, given by a role.
fn codes(status: Status, role: &str) -> [Option<&'static str>; 5] {
    let at = || at_the_counter(until(status)).by(somebody(role));
    [
        at().when(send()).code(),
        at().when(mark_ready()).code(),
        at().when(dispense_all()).code(),
        at().when(dispense_elsewhere()).code(),
        at().when(cancel()).code(),
    ]
}

#[test]
fn the_pharmacy_does_not_move_what_it_does_not_see() {
    assert_eq!(codes(Status::Pending, "pharmacist"), [Some("not-found"); 5]);
    let [send, _, _, elsewhere, cancel] = codes(Status::SentToPharmacy, "pharmacist");
    assert_eq!([send, elsewhere, cancel], [None; 3]);
}

#[test]
fn who_wrote_a_prescription_moves_it_before_it_is_sent() {
    let [send, _, _, _, cancel] = codes(Status::Pending, "doctor");
    assert_eq!([send, cancel], [None; 2]);
}

#[test]
fn who_reads_no_prescriptions_moves_none() {
    for status in EVERY {
        assert_eq!(codes(status, "receptionist"), [Some("not-found"); 5], "{status}");
    }
}
