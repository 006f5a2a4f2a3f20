//! The alerts and the dashboard: Prometheus takes them, and they ask for metrics that the program has.

use std::collections::BTreeSet;
use std::process::Command;

use hims_testing::{assert_same, rust_files};

use super::{file, succeeds, text_of};
use crate::support::scratch;

/// The files that say when each alert fires.
const TESTS: [&str; 2] = ["tests.yml", "tests-of-days.yml"];

/// The names of the metrics that the program's own crates count or measure.
fn measured() -> BTreeSet<String> {
    let crates = ["api/", "commands/", "projections/", "event-store/"];
    let files = rust_files();
    let texts = files.iter().filter(|(path, _)| crates.iter().any(|it| path.starts_with(it))).map(|(_, text)| text);
    let macros = ["counter!(\"", "gauge!(\"", "histogram!(\"", "gauge(\""];
    let names = texts.flat_map(|text| macros.iter().flat_map(move |it| text.split(it).skip(1)));
    names.filter_map(|it| it.split('"').next()).filter(|it| it.starts_with("hims_")).map(str::to_owned).collect()
}

/// The names of metrics in a text, without what a histogram adds to them.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_lowercase() && it != '_');
    let histogram =
        |it: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| it.strip_suffix(end).map(str::to_owned));
    let names = words.filter(|it| it.starts_with("hims_"));
    names.map(|it| histogram(it).unwrap_or_else(|| it.to_owned())).collect()
}

#[test]
fn prometheus_takes_the_alerts_and_they_fire_when_they_should() {
    let folder = file("docs/monitoring");
    succeeds(Command::new("promtool").args(["check", "rules", "alerts.yml"]).current_dir(&folder));
    succeeds(Command::new("promtool").args(["test", "rules"]).args(TESTS).current_dir(&folder));
}

#[test]
fn every_alert_fires_in_a_test() {
    let rules = text_of("docs/monitoring/alerts.yml");
    let tests: String = TESTS.map(|it| text_of(&format!("docs/monitoring/{it}"))).concat();
    let rules = rules.split("- alert: ").skip(1).filter_map(|it| it.lines().next());
    // Where an alert is to fire, the test says what it tells.
    let fires = tests.split("alertname: ").skip(1).filter(|it| it.contains("exp_annotations"));
    let fires: BTreeSet<_> = fires.filter_map(|it| it.lines().next()).collect();
    assert_same(fires, rules);
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let measured = measured();
    assert!(measured.contains("hims_head_position") && measured.contains("hims_append_seconds"), "{measured:?}");
    let unknown = |path: &str| named(&text_of(path)).difference(&measured).cloned().collect::<Vec<_>>();
    assert_eq!(unknown("docs/monitoring/alerts.yml"), Vec::<String>::new());
    // The dashboard shows all of them.
    assert_same(named(&text_of("docs/monitoring/dashboard.json")), measured);
}

#[test]
fn the_dashboard_asks_in_a_language_that_prometheus_understands() {
    let dashboard: serde_json::Value = serde_json::from_str(&text_of("docs/monitoring/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|it| it["targets"].as_array().expect("targets"));
    let rule = |(nth, target): (usize, &serde_json::Value)| {
        let asked = target["expr"].as_str().expect("an expression").replace("$__rate_interval", "5m");
        format!("      - {{record: 'panel:{nth}', expr: '{}'}}\n", asked.replace("$node", "a"))
    };
    let rules: String = targets.enumerate().map(rule).collect();
    let rules = format!("groups:\n  - name: dashboard\n    rules:\n{rules}");
    let folder = scratch("dashboard");
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, rules).expect("rules");
    succeeds(Command::new("promtool").args(["check", "rules"]).arg(path));
}
