use hims_event_store::{Append, AppendError, Receipt, StreamAppend};

use super::fixture::{Log, at, begin, credited, id, on_every_log};

on_every_log!(
    a_command_is_recorded_once,
    a_refused_command_leaves_no_receipt,
    a_command_that_changed_nothing_has_a_receipt,
);

async fn a_command_is_recorded_once(log: Log) {
    let (command, stream) = (id(), id());
    log.append(begin(id())).await.expect("something before");
    let with_receipt = |append| Append { receipt: Some(Receipt::new(command, vec![1, 2, 3])), ..append };
    let credits = StreamAppend::begin("account", stream, [credited(1), credited(2)]);
    log.append(with_receipt(Append::stream(credits))).await.expect("recorded");
    // A repeated command and a different request under the same id are both recognised, even when the append would be
    // refused for another reason as well.
    for again in [begin(stream), at(stream, 2), begin(id())] {
        let repeated = log.append(with_receipt(again)).await;
        assert!(matches!(repeated, Err(AppendError::Repeated { command_id }) if command_id == command), "{repeated:?}");
    }
    let receipt = log.store().receipt(command).await.expect("an answer").expect("a receipt");
    assert_eq!(receipt, Receipt { command_id: command, fingerprint: vec![1, 2, 3], first: 2, last: 3 });
    assert_eq!(log.proved_length().await, 3);
}

async fn a_refused_command_leaves_no_receipt(log: Log) {
    let (command, stream) = (id(), id());
    let with_receipt = |append| Append { receipt: Some(Receipt::new(command, vec![1])), ..append };
    assert!(matches!(log.append(with_receipt(at(stream, 3))).await, Err(AppendError::Conflict { .. })));
    assert_eq!(log.store().receipt(command).await.expect("an answer"), None);
    log.append(with_receipt(begin(stream))).await.expect("now it may");
}

async fn a_command_that_changed_nothing_has_a_receipt(log: Log) {
    let (command, stream) = (id(), id());
    for append in [begin(id()), begin(stream), at(stream, 1)] {
        log.append(append).await.expect("recorded");
    }
    let receipt = || Receipt::new(command, vec![1, 2, 3]);
    let kept = log.store().acknowledge(receipt(), stream, 1).await.expect("an answer");
    assert_eq!(kept, Some(2), "the position of that version, not of the newest");
    let found = log.store().receipt(command).await.expect("an answer");
    assert_eq!(found, Some(Receipt { first: 3, last: 2, ..receipt() }));
    // The receipt is not replaced by another, and no append is recorded under the same command id.
    assert_eq!(log.store().acknowledge(receipt(), stream, 2).await.expect("an answer"), None);
    let again = log.append(Append { receipt: Some(receipt()), ..at(stream, 2) }).await;
    assert!(matches!(again, Err(AppendError::Repeated { .. })), "{again:?}");
    assert_eq!(log.proved_length().await, 3);
}
