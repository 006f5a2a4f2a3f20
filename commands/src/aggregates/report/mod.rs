//! Reports: the definitions that a release brings along, and who may have which report.

mod parameters;

use hims_domain::permission::Read;
use hims_domain::report::{Definition, Event, Report, report_of};
use hims_domain::values::Text;
use serde::Deserialize;

pub use parameters::complete;
pub(crate) use parameters::{dated, end_of_shown_day};

use crate::machinery::command::never_sent;
use crate::machinery::refusal::refusals;
use crate::{Caller, Claims, Command, Context, Decision, Permission, Refused, Target, refuse};

refusals! {
    NotForRole { words: String } = Forbidden, "forbidden",
        "the report needs one of the permissions {words}, which the caller's roles do not include";
}

/// The words with which callers read only some of the rows of a table.
const OF_SOME_ROWS: [&str; 2] = [Read::AssignedPatients.as_str(), Read::OwnRecords.as_str()];

/// A report holds nothing.
impl Claims for Report {}

/// Whether the caller reads what one of the words names, such as `read:billing`.
fn reads_one_of<'a>(caller: &Caller, words: impl IntoIterator<Item = &'a Text<50>>) -> bool {
    let reads =
        |word: &Text<50>| word.as_str().strip_prefix("read:").is_some_and(|it| caller.permissions.read.contains(it));
    caller.reads(Read::AllData) || words.into_iter().any(reads)
}

/// Whether the caller may ask for a report. Which rows it shows them, row-level security decides.
pub(crate) fn may_have(report: &Report, caller: &Caller) -> bool {
    reads_one_of(caller, &report.definition.words)
}

/// Whether the caller may have a report that was made for somebody else: the caller reads every row of it, so whatever
/// the other has seen.
pub(crate) fn may_have_of_others(report: &Report, caller: &Caller) -> bool {
    let of_all_rows = |it: &&Text<50>| !OF_SOME_ROWS.iter().any(|word| it.as_str() == format!("read:{word}"));
    reads_one_of(caller, report.definition.words.iter().filter(of_all_rows))
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
