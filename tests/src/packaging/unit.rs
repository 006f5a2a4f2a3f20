//! The systemd unit and the settings of the Debian package.

use std::process::Command;

use super::{file, succeeds, text_of};
use crate::hospital::hims;
use crate::support::scratch;

const UNIT: &str = "packaging/hims.service";

#[test]
fn systemd_takes_the_unit() {
    let folder = scratch("unit");
    let unit = folder.path().join("hims.service");
    // The program is looked for, and is not installed here.
    let installed = "ExecStart=/usr/bin/hims ";
    let text = text_of(UNIT);
    assert!(text.contains(installed), "{text}");
    let built = format!("ExecStart={} ", hims().get_program().to_string_lossy());
    std::fs::write(&unit, text.replace(installed, &built)).expect("a unit");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().expect("systemd");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("hims.service"), "{told}");
}

#[test]
fn the_unit_lets_the_program_do_little() {
    // The exposure goes from 0 to 100, and is above 90 for a unit without protection.
    let security = ["security", "--offline=true", "--no-pager", "--threshold=15"];
    succeeds(Command::new("systemd-analyze").args(security).arg(file(UNIT)));
}

#[test]
fn the_program_reads_the_settings_of_the_package() {
    let folder = scratch("package");
    let nowhere = folder.path().join("nowhere");
    let mut command = hims();
    command.current_dir(file("packaging")).env("HIMS_DATA_DIR", &nowhere).args(["migrate", "status"]);
    let output = command.output().expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nowhere"), "the settings are read, and there is no database yet: {told}");
    let page = text_of("docs/configuration.md");
    let examples = text_of("packaging/hims.toml");
    let names = examples.lines().filter_map(|it| it.split_once(" = ")).map(|(name, _)| name.trim_start_matches("# "));
    let names: Vec<_> = names.collect();
    assert!(names.contains(&"bind") && names.contains(&"database_url"), "{names:?}");
    let unknown: Vec<_> = names.iter().filter(|it| !page.contains(&format!("| `{it}` |"))).collect();
    assert!(unknown.is_empty(), "packaging/hims.toml has lines for settings that are none: {unknown:?}");
}
