//! The systemd unit and the settings of the Debian package.

use std::path::PathBuf;
use std::process::Command;

use super::{file, succeeds, text_of};
use crate::hospital::hims;
use crate::support::scratch;

const UNIT: &str = "packaging/hims.service";

#[test]
fn systemd_takes_the_units() {
    let folder = scratch("unit");
    let units = std::fs::read_dir(file("packaging")).expect("a folder").map(|it| it.expect("a file").path());
    let is_unit = |path: &PathBuf| path.extension().is_some_and(|it| it == "service" || it == "timer");
    let units: Vec<_> = units.filter(is_unit).collect();
    assert_eq!(units.len(), 5, "{units:?}");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    for unit in units {
        let name = unit.file_name().expect("a name");
        let text = std::fs::read_to_string(&unit).expect("a unit");
        // The program is looked for, and is not installed here.
        let built = format!("ExecStart={} ", hims().get_program().to_string_lossy());
        let is_service = unit.extension().is_some_and(|it| it == "service");
        assert_eq!(text.matches("ExecStart=/usr/bin/hims ").count(), usize::from(is_service), "{text}");
        std::fs::write(folder.path().join(name), text.replace("ExecStart=/usr/bin/hims ", &built)).expect("a unit");
        verify.arg(folder.path().join(name));
    }
    let output = verify.output().expect("systemd");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("hims"), "{told}");
}

#[test]
fn a_backup_and_an_increment_differ_in_nothing_else() {
    let [whole, increment] = ["backup", "increment"].map(|it| text_of(&format!("packaging/hims-{it}.service")));
    let alike = increment.replace("A backup of what is new", "A whole backup").replace(" --increment", "");
    // An increment is tried again a minute later in any case.
    let again = "# Where an increment or a start of the server is in the way, a whole backup is tried again.\n\
                 Restart=on-failure\nRestartSec=1min\n";
    assert_eq!(alike, whole.replace(again, ""));
    assert_ne!(increment, whole);
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
