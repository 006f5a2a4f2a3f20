//! Departments: opening, changing and closing departments.

use chrono_tz::Tz;
use hims_domain::DepartmentId;
use hims_domain::department::{Department, Details, Event};
use hims_domain::user::User;
use hims_domain::values::Text;
use uuid::Uuid;

use crate::machinery::catalogue::catalogue;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Context, Found, Held, Reads, Refused, Registry, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<OpenDepartment>().add::<ChangeDepartment>().add::<CloseDepartment>().add::<ReopenDepartment>();
}

refusals! {
    Closed = Conflict, "department-closed", "the department is closed; choose an open one";
    OwnParent = Rule, "own-parent", "a department cannot be part of itself or of its own parts";
}

catalogue! {
    Department by department_id: DepartmentId, "Which department.";
    details: Details, "The department's details.", looked up by reads, checked by check;

    /// Opens a department.
    OpenDepartment = "open-department" needs Create::Departments
        with {
            /// The id of the new department; issued by the server if left out.
            id
        }
        by Event::Opened(details), undone by CloseDepartment;

    /// Changes a department's details. Existing appointments keep the time zone in which they were made.
    ChangeDepartment = "change-department" needs Update::Departments
        with {
            /// The fields to change; a field that is left out stays.
            changes
        }
        by Event::Changed(details);
}

steps! {
    Department by department_id: DepartmentId, "Which department.";

    /// Closes a department: the department takes no new appointments, rooms or staff.
    CloseDepartment = "close-department" needs Update::Departments
        moves is_active from [true] to [false] by Event::Closed, undone by ReopenDepartment;

    /// Opens a closed department again.
    ReopenDepartment = "reopen-department" needs Update::Departments
        moves is_active from [false] to [true] by Event::Reopened, undone by CloseDepartment;
}

impl Claims for Department {
    /// The code is unique, regardless of upper and lower case.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::DEPARTMENT_CODE, self.details.code.as_str().to_uppercase());
    }
}

/// The time zone with a name. A name that the time zone database no longer knows is read as UTC, so that old events stay
/// readable.
pub(crate) fn zone_named(name: &Text<64>) -> Tz {
    name.as_str().parse().unwrap_or(Tz::UTC)
}

/// The fault of the name of a time zone that the time zone database does not know.
pub(crate) fn fault_of_zone(name: &Text<64>) -> Option<&'static str> {
    let is_known = name.as_str().parse::<Tz>().is_ok();
    (!is_known).then_some("give a time zone of the IANA database, such as America/New_York")
}

/// The department that a request names in `department_id`; refused unless the department is open.
pub(crate) fn open_department<'a>(ctx: &'a Context<'_>, id: DepartmentId) -> Result<&'a Department, Refused> {
    let department = ctx.named::<Department>(id, "/department_id")?;
    if department.is_active { Ok(department) } else { refuse(Refusal::Closed) }
}

/// The largest number of ancestors of a department that are looked up.
const DEPTH: usize = 100;

/// The ids of the parent department, its parent, and so on, as far as these departments were looked up.
fn ancestors<'a>(details: &Details, found: &'a Found) -> impl Iterator<Item = DepartmentId> + use<'a> {
    std::iter::successors(details.parent_id, |it| found.get::<Department>(*it)?.details.parent_id).take(DEPTH)
}

fn reads(details: &Details, _: Option<(DepartmentId, &Details)>, found: &Found) -> Reads {
    ancestors(details, found).fold(Reads::nothing(), Reads::stream::<Department>).maybe::<User>(details.head_user_id)
}

fn check(details: &Details, _: Option<&Details>, ctx: &Context<'_>) -> Result<(), Refused> {
    if let Some(fault) = fault_of_zone(&details.time_zone) {
        return Err(Refused::field("unknown-time-zone", "/time_zone", fault));
    }
    if ancestors(details, ctx.found).any(|it| it.0 == ctx.id) {
        return refuse(Refusal::OwnParent);
    }
    if let Some(parent) = details.parent_id {
        ctx.named::<Department>(parent, "/parent_id")?;
    }
    if let Some(head) = details.head_user_id {
        ctx.named::<User>(head, "/head_user_id")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
