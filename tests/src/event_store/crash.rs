//! PostgreSQL is killed while appends are written: after its restart every acknowledged append is in the log.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures::future::join_all;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_event_store::{EventStore, PgEventStore, PgOptions, Upcasters};
use hims_projections::migrations;
use tokio::sync::{mpsc, watch};

use super::fixture::{Log, at, id, key};
use crate::support::{pool_as, scratch};

/// Kills the PostgreSQL server and its sessions with SIGKILL, so that they can write nothing more.
fn kill(server: u32) {
    let parent_of = |stat: String| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok();
    let processes = Path::new("/proc").read_dir().expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let sessions = pids.filter(|pid| stat(*pid).and_then(parent_of) == Some(server));
    let doomed: Vec<_> = std::iter::once(server).chain(sessions).map(|pid| pid.to_string()).collect();
    // The status of `kill` is not checked, since a session may have ended by itself in the meantime.
    Command::new("kill").arg("-KILL").args(doomed).status().expect("kill");
}

async fn wait_for(acknowledged: &mut mpsc::UnboundedReceiver<i64>, into: &mut Vec<i64>, count: usize) {
    while into.len() < count {
        into.push(acknowledged.recv().await.expect("the tasks go on"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_the_store_goes_on() {
    let folder = scratch("crash");
    let start = async || EmbeddedPostgres::start(EmbeddedOptions::new(folder.path())).await.expect("PostgreSQL starts");
    let mut server = start().await;
    migrations::up(&pool_as("hims_owner", &server.migration_options())).await.expect("migrated");
    let pool = pool_as("hims_writer", &server.connect_options());
    let store = PgEventStore::connect(pool, key(), Upcasters::default(), PgOptions::default()).await.expect("a store");
    let store: Arc<dyn EventStore> = Arc::new(store);
    let (acknowledge, mut acknowledgements) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let tasks = (0..8).map(|_| {
        let (store, acknowledge, stopped) = (store.clone(), acknowledge.clone(), stopped.clone());
        tokio::spawn(async move {
            let (mut stream, mut version) = (id(), 0);
            while !*stopped.borrow() {
                if let Ok(appended) = store.append(at(stream, version)).await {
                    acknowledge.send(appended.last).expect("the test counts the answers");
                    version += 1;
                } else {
                    // The append may or may not have been recorded, so the task continues with a new stream.
                    (stream, version) = (id(), 0);
                }
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut acknowledged = Vec::new();
    for round in 1..4 {
        wait_for(&mut acknowledgements, &mut acknowledged, round * 1000).await;
        kill(server.pid());
        server.ended().await;
        server = start().await;
    }
    wait_for(&mut acknowledgements, &mut acknowledged, 4000).await;
    stop.send_replace(true);
    join_all(tasks).await.into_iter().for_each(|task| task.expect("the task ends"));
    drop(acknowledge);
    while let Some(position) = acknowledgements.recv().await {
        acknowledged.push(position);
    }
    let log = Log { stores: vec![store], database: None };
    let recorded = log.proved_length().await;
    acknowledged.sort_unstable();
    assert!(acknowledged.is_sorted_by(|one, next| one < next), "a position was acknowledged twice");
    assert!(acknowledged.last().is_some_and(|it| *it <= recorded), "an acknowledged append is lost");
    log.append(at(id(), 0)).await.expect("it goes on");
    log.store().shutdown().await;
    server.stop().await;
}
