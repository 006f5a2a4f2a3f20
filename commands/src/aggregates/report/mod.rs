//! Reports: the definitions that a release brings along, and who may have which report.

mod parameters;

use hims_domain::permission::Read;
use hims_domain::report::{Definition, Event, Report, report_of};
use hims_domain::role::{Permissions, Role};
use hims_domain::user::User;
use hims_domain::values::Text;
use serde::Deserialize;

pub use parameters::complete;
pub(crate) use parameters::{dated, end_of_shown_day};

use crate::machinery::command::never_sent;
use crate::machinery::refusal::refusals;
use crate::{Caller, Claims, Command, Context, Decision, Found, Permission, Refused, Target, refuse};

refusals! {
    NotForRole { words: String } = Forbidden, "forbidden",
        "the report needs one of the permissions {words}, which the caller's roles do not include";
}

/// The words with which callers read only some of the rows of a table.
const OF_SOME_ROWS: [&str; 2] = [Read::AssignedPatients.as_str(), Read::OwnRecords.as_str()];

/// A report holds nothing.
impl Claims for Report {}

/// Whether permissions include one of the words, such as `read:billing`, or the word to read all data.
fn read_one_of<'a>(permissions: &Permissions, words: impl IntoIterator<Item = &'a Text<50>>) -> bool {
    let reads = |word: &Text<50>| word.as_str().strip_prefix("read:").is_some_and(|it| permissions.read.contains(it));
    permissions.read.contains(Read::AllData.as_str()) || words.into_iter().any(reads)
}

/// The words with which somebody reads every row of a report.
fn of_all_rows(report: &Report) -> impl Iterator<Item = &Text<50>> {
    let is_of_all = |it: &&Text<50>| !OF_SOME_ROWS.iter().any(|word| it.as_str() == format!("read:{word}"));
    report.definition.words.iter().filter(is_of_all)
}

/// Whether the caller may ask for a report. Which rows it shows them, row-level security decides.
pub(crate) fn may_have(report: &Report, caller: &Caller) -> bool {
    caller.is_system || read_one_of(&caller.permissions, &report.definition.words)
}

/// Whether the caller may have a report that was made for somebody else: the caller reads every row of it, so whatever
/// the other has seen.
pub(crate) fn may_have_of_others(report: &Report, caller: &Caller) -> bool {
    caller.is_system || read_one_of(&caller.permissions, of_all_rows(report))
}

/// Whether a user may have a report that was made for somebody else, by the roles that the user has now. The roles are
/// looked up with [`reads_named`](crate::user::reads_named).
pub(crate) fn user_may_have_of_others(report: &Report, user: &User, found: &Found) -> bool {
    let roles = user.role_ids().filter_map(|it| found.get::<Role>(it));
    let permissions = roles.fold(Permissions::default(), |all, it| all.with(&it.definition.permissions));
    read_one_of(&permissions, of_all_rows(report))
}

/// The refusal of a report that the caller may not have.
pub(crate) fn not_for(report: &Report) -> Refused {
    let words: Vec<_> = report.definition.words.iter().map(Text::as_str).collect();
    Refusal::NotForRole { words: words.join(", ") }.into()
}

/// The report with a code that the caller names, and may have.
///
/// # Errors
/// When there is no such report, or it is not for the caller.
pub(crate) fn asked_for<'a>(ctx: &'a Context<'_>, code: &Text<50>) -> Result<&'a Report, Refused> {
    let unknown = || Refused::field("unknown-reference", "/report_code", "there is no report with this code");
    let report = ctx.found.get::<Report>(report_of(code.as_str())).ok_or_else(unknown)?;
    if may_have(report, ctx.caller) { Ok(report) } else { refuse(not_for(report)) }
}

/// Defines a report, as the program that starts knows it. Changes nothing if the report is defined so already.
#[derive(Debug, Clone, Deserialize)]
pub struct DefineReport {
    /// What the report is.
    pub definition: Definition,
}

never_sent!(DefineReport);

impl Command for DefineReport {
    const NAME: &'static str = "define-report";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Report;

    fn target(&self) -> Target {
        Target::either(report_of(self.definition.code.as_str()))
    }

    fn decide(self, state: Option<&Report>, _: &Context<'_>) -> Result<Decision<Report>, Refused> {
        if state.is_some_and(|it| it.definition.sha256 == self.definition.sha256) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Defined(self.definition)))
    }
}

#[cfg(test)]
mod tests;
