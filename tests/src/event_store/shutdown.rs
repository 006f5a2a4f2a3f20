use futures::future::join_all;
use hims_event_store::AppendError;

use super::fixture::{Log, begin, id, on_every_log};

on_every_log!(what_waits_is_written_before_the_end, it_ends_under_load, afterwards_nothing_is_taken);

async fn what_waits_is_written_before_the_end(log: Log) {
    let appends = join_all((0..50).map(|_| log.append(begin(id()))));
    let (appended, ()) = futures::join!(appends, log.store().shutdown());
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    assert_eq!(log.proved_length().await, 50);
}

async fn it_ends_under_load(log: Log) {
    let mut head = log.store().head();
    let load = join_all((0..50).map(async |_| {
        let mut appended = 0;
        while log.append(begin(id())).await.is_ok() {
            appended += 1;
            // A log in memory answers without waiting, so this task has to let the other tasks run.
            tokio::task::yield_now().await;
        }
        appended
    }));
    let end = async {
        head.wait_for(|it| *it > 200).await.expect("the store lives");
        log.store().shutdown().await;
    };
    let (appended, ()) = futures::join!(load, end);
    assert_eq!(log.proved_length().await, appended.into_iter().sum::<i64>());
}

async fn afterwards_nothing_is_taken(log: Log) {
    log.append(begin(id())).await.expect("appended");
    log.store().shutdown().await;
    log.store().shutdown().await;
    assert!(matches!(log.append(begin(id())).await, Err(AppendError::Closed)));
    assert_eq!(log.proved_length().await, 1);
}
