//! Pages of tables, in every sort order.

use hims_projections::TABLES;
use serde_json::Value;

use super::Hospital;
use super::demo::busy_day;

#[tokio::test]
async fn up_to_a_day_is_up_to_its_end() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let all = admin.items("audit-logs?limit=500").await.len();
    let days: Vec<_> = admin.items("audit-logs?limit=500&sort=timestamp").await;
    let day = |it: &Value| it["timestamp"].as_str().expect("an instant")[..10].to_owned();
    let (first, last) = (day(&days[0]), day(days.last().expect("rows")));
    let within = format!("audit-logs?limit=500&timestamp_from={first}&timestamp_to={last}");
    assert!(admin.items(&within).await.len() >= all);
    let events = admin.items(&format!("events?limit=5000&from={first}&to={last}")).await;
    assert!(events.len() >= all);
    assert_eq!(admin.items("audit-logs?timestamp_to=2020-02-29").await, Vec::<Value>::new());
}

#[tokio::test]
async fn in_every_order_pages_hold_each_row_once_and_as_the_whole_has_them() {
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    // Nothing is appended to the log, so the tables stay the same between the pages.
    hospital.settle().await;
    let mut paged = 0;
    for table in TABLES {
        let route = table.name.replace('_', "-");
        for column in table.visible().filter(|it| it.indexed) {
            for sign in ["", "-"] {
                let order = format!("{route}?sort={sign}{}", column.name);
                let whole = admin.items(&format!("{order}&limit=500")).await;
                let limit = (whole.len() / 3).max(2);
                let (mut rows, mut cursor): (Vec<Value>, _) = (Vec::new(), String::new());
                loop {
                    let page = admin.get(&format!("{order}&limit={limit}{cursor}")).await.done();
                    rows.extend(page["items"].as_array().expect("items").iter().cloned());
                    let Some(next) = page["next"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                    paged += 1;
                }
                assert_eq!(rows, whole, "{order}");
            }
        }
    }
    assert!(paged > 100, "only {paged} pages had a next one");
}

/// Whoever makes a cursor up could begin beside a value that they guess, and measure whether somebody is there.
#[tokio::test]
async fn a_cursor_that_the_server_did_not_give_out_is_refused() {
    let hospital = Hospital::start().await;
    let pharmacist = hospital.login("pharmacist").await;
    let path = "patients?sort=last_name&limit=1";
    let next = pharmacist.get(path).await.done()["next"].as_str().expect("a cursor").to_owned();
    assert_eq!(pharmacist.get(&format!("{path}&cursor={next}")).await.status, 200);
    let (cursor, mark) = next.split_once('.').expect("a mark");
    let longer = format!("{cursor}A.{mark}");
    let other_mark = format!("{cursor}.{}", mark.chars().rev().collect::<String>());
    for made_up in [cursor, &longer, &other_mark, ".", ""] {
        let refused = pharmacist.get(&format!("{path}&cursor={made_up}")).await;
        refused.problem_at(400, "invalid-parameter", "/cursor");
    }
}
