//! Reports on appointments and on the time of providers.

use super::ColumnKind::{Boolean, Decimal, Id, Integer, Text, Time};
use super::ParameterKind::{Choice, Day, Id as IdOf};
use super::{Category, FROM, Report, TO, column, optional, preset, required};

pub(super) const DAILY_SCHEDULE: Report = Report {
    code: "daily-schedule",
    version: 1,
    title: "Schedule of a day",
    description: "The appointments of a day, by provider and time.",
    category: Category::Scheduling,
    contains_phi: true,
    words: &["read:all_appointments", "read:assigned_patients"],
    parameters: &[
        required("date", Day, "The day, by the clocks of each department."),
        optional("department", IdOf("department"), "Only the appointments of this department."),
        optional("provider", IdOf("user"), "Only the appointments with this provider."),
    ],
    columns: &[
        column("time", Time, "Time"),
        column("minutes", Integer, "Minutes"),
        column("patient", Text, "Patient"),
        column("mrn", Text, "MRN"),
        column("provider", Text, "Provider"),
        column("room", Text, "Room"),
        column("type", Text, "Type"),
        column("status", Text, "Status"),
        column("insurance_verified", Boolean, "Insurance verified"),
    ],
    sql: include_str!("daily_schedule.sql"),
};

pub(super) const NO_SHOW_RATE: Report = Report {
    code: "no-show-rate",
    version: 1,
    title: "Missed appointments",
    description: "How many patients did not come, or cancelled, by provider, department, kind or weekday.",
    category: Category::Scheduling,
    contains_phi: false,
    words: &["read:all_appointments"],
    parameters: &[
        FROM,
        TO,
        preset("by", Choice(&["provider", "department", "type", "weekday"]), "provider", "What the rows are about."),
    ],
    columns: &[
        column("group_id", Id, "Id"),
        column("group_name", Text, "Group"),
        column("no_show", Integer, "Missed"),
        column("n", Integer, "Missed or begun"),
        column("rate", Decimal, "Missed (%)"),
        column("cancelled", Integer, "Cancelled"),
        column("cancelled_late", Integer, "Cancelled less than 24 h before"),
    ],
    sql: include_str!("no_show_rate.sql"),
};

pub(super) const PROVIDER_UTILISATION: Report = Report {
    code: "provider-utilisation",
    version: 1,
    title: "Use of providers' hours",
    description: "How much of each provider's hours was booked.",
    category: Category::Scheduling,
    contains_phi: false,
    words: &["read:all_appointments"],
    parameters: &[FROM, TO, optional("department", IdOf("department"), "Only this department.")],
    columns: &[
        column("provider_id", Id, "Provider id"),
        column("provider", Text, "Provider"),
        column("department", Text, "Department"),
        column("booked_minutes", Integer, "Minutes booked"),
        column("no_show_minutes", Integer, "Minutes missed"),
        column("offered_minutes", Integer, "Minutes offered"),
        column("utilisation", Decimal, "Booked of offered (%)"),
    ],
    sql: include_str!("provider_utilisation.sql"),
};

pub(super) const WAITLIST: Report = Report {
    code: "waitlist",
    version: 1,
    title: "Waiting list and freed time",
    description: "How long patients waited for an earlier appointment, and how much freed time was filled.",
    category: Category::Scheduling,
    contains_phi: false,
    words: &["read:all_appointments"],
    parameters: &[FROM, TO],
    columns: &[
        column("department_id", Id, "Id"),
        column("department", Text, "Department"),
        column("joined", Integer, "Joined in the span"),
        column("offered", Integer, "Of these offered something"),
        column("accepted", Integer, "Of these accepted"),
        column("lapsed", Integer, "Of these lapsed"),
        column("median_days", Decimal, "Days waited until accepted, median"),
        column("freed", Integer, "Times freed by cancelling"),
        column("filled", Integer, "Of these filled"),
    ],
    sql: include_str!("waitlist.sql"),
};
