//! Nothing is answered as recorded before the standby has it.

use std::sync::Arc;

use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_event_store::{EventStore as _, PgEventStore, PgOptions, Upcasters};
use hims_projections::migrations;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use super::fixture::{begin, id, key};
use crate::support::{Proxy, Standby, pool_as, scratch, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_in_the_log_after_a_lost_connection_waits_for_the_standby() {
    let folder = scratch("primary");
    let primary = EmbeddedPostgres::start(EmbeddedOptions::new(folder.path())).await.expect("a primary");
    let owner = PgPoolOptions::new().connect_lazy_with(primary.migration_options());
    migrations::up(&owner).await.expect("migrated");
    let mut standby = Standby::of(&primary).await;
    let proxy = Proxy::before(&primary.connect_options());
    let pool = pool_as("hims_writer", &proxy.options(&primary.connect_options()));
    let store = PgEventStore::connect(pool, key(), Upcasters::default(), PgOptions::default()).await;
    let store = Arc::new(store.expect("a store"));
    store.append(begin(id())).await.expect("recorded here and there");
    standby.stop();
    let appending = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(begin(id())).await })
    };
    let mut superuser = primary.superuser_options().database("hims").connect().await.expect("a superuser");
    let waits = "select exists (select 1 from pg_stat_activity
                  where wait_event = 'SyncRep' and query like '%update log.head%')";
    until(&mut superuser, waits).await;
    // The commit's wait is cut short, which leaves its event visible although the standby does not have the event.
    proxy.cut();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
                where wait_event = 'SyncRep' and query like '%update log.head%'";
    superuser.execute(end).await.expect("the session is ended");
    until(&mut superuser, "select max(position) = 2 from log.events").await;
    let confirms = "select exists (select 1 from pg_stat_activity where wait_event = 'SyncRep' and query = 'COMMIT')";
    until(&mut superuser, confirms).await;
    let confirming = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.confirm(store.timeline()).await })
    };
    let confirms = "select exists (select 1 from pg_stat_activity
                     where wait_event = 'SyncRep' and query like '%pg_logical_emit_message%')";
    until(&mut superuser, confirms).await;
    assert!(!appending.is_finished() && !confirming.is_finished(), "the standby has not confirmed anything");
    standby.start();
    assert_eq!(appending.await.expect("no panic").expect("recorded").last, 2);
    confirming.await.expect("no panic").expect("confirmed");
    let mut there = standby.connect("hims").await;
    until(&mut there, "select max(position) = 2 from log.events").await;
    store.shutdown().await;
    owner.close().await;
    standby.stop();
    primary.stop().await;
}
