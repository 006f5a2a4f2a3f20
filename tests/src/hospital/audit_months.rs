//! The months of the audit log: made ahead, and moved into the archive as a whole.

use super::Hospital;
use super::archive::{did, moved, run};
use super::command_line::text;
use super::releases::{tell, until};
use super::tables::count;

#[tokio::test]
async fn months_of_the_audit_log_move_as_a_whole_and_are_read_as_before() {
    let hospital = Hospital::start().await;
    let made = "set search_path = hims, public;
        select create_monthly_partition('audit_logs', it::date) from unnest(array['2015-03-01', '2015-04-01']) as it;
        insert into audit_logs (id, position, action, resource_type, \"timestamp\", success, version)
        select gen_random_uuid(), 0, 'patient.changed', 'patient', it::timestamptz, true, 1
          from unnest(array['2015-03-01T00:00Z', '2015-03-31T23:59Z', '2015-04-01T00:00Z']) as it";
    tell(&hospital, made).await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let old = "audit-logs?timestamp_to=2016-01-01T00:00:00Z&sort=timestamp";
    let before = admin.items(old).await;
    assert_eq!(before.len(), 3);
    let whole = count(hospital.owner(), "hims.audit_logs").await;
    let is_readable = async || {
        assert_eq!(admin.items(old).await, before);
        assert_eq!(admin.row("audit-logs", before[1]["id"].as_str().expect("an id")).await, before[1]);
        assert!(count(hospital.owner(), "hims.audit_logs").await >= whole);
        nurse.get(old).await.problem(403, "forbidden");
    };
    for _ in 0..2 {
        let said = did(&hospital, &["archive"]);
        assert_eq!(moved(&said)["audit_logs"], 3, "{said}");
        assert_eq!(count(hospital.owner(), "hims.audit_logs_archive").await, 3);
        is_readable().await;
        assert!(!moved(&did(&hospital, &["archive"])).contains_key("audit_logs"));
        assert_eq!(moved(&did(&hospital, &["archive", "--bring-back"]))["audit_logs"], 3);
        assert_eq!(count(hospital.owner(), "hims.audit_logs_archive").await, 0);
        is_readable().await;
    }
}

#[tokio::test]
async fn months_are_made_ahead_and_a_missing_one_is_told() {
    let mut hospital = Hospital::start().await;
    hospital.settle().await;
    let months = "pg_inherits where inhparent = 'hims.audit_logs'::regclass";
    assert!(count(hospital.owner(), months).await >= 4);
    let nobody = hospital.nobody();
    let ahead = async || {
        let metrics = nobody.send(nobody.request(reqwest::Method::GET, "/metrics")).await;
        let gauge = metrics.text.lines().find_map(|line| line.strip_prefix("hims_audit_months_ahead "));
        gauge.expect("a gauge").to_owned()
    };
    assert_eq!(ahead().await, "3");
    // The doctor finds other things to say about a database that is made for tests.
    let doctor = || text(&run(&hospital, &["doctor"]).stdout);
    assert!(doctor().contains("ok      audit log: partitions are made 3 months ahead"));
    let next = "do $$ begin execute format('drop table hims.audit_logs_y%s',
                    to_char((now() at time zone 'UTC') + interval '1 month', 'YYYY\"m\"MM')); end $$";
    tell(&hospital, next).await;
    assert_eq!(ahead().await, "0");
    assert!(doctor().contains("advice  audit log: the next month has no partition"));
    // Whoever projects next makes it.
    hospital.node.end();
    hospital.node = hospital.another_node().await;
    let nobody = hospital.nobody();
    until(async || {
        let metrics = nobody.send(nobody.request(reqwest::Method::GET, "/metrics")).await;
        metrics.text.contains("hims_audit_months_ahead 3")
    })
    .await;
}
