//! When providers work: weekly hours, exceptions on single days, and leave.

mod hours;
mod leave;
mod telling;

use hims_domain::appointment::Slot;
use hims_domain::permission::Create;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::values::Text;
use hims_domain::{DepartmentId, Invalid, UserId};
use uuid::Uuid;

pub use hours::{OfferedHours, RemoveScheduleException, SetProviderHours, SetScheduleException};
pub use leave::{AddProviderLeave, CancelProviderLeave};
pub(crate) use telling::TellOfLeave;

use crate::department::zone_named;
use crate::machinery::refusal::refusals;
use crate::user::reads_named;
use crate::{Claims, Context, Found, Held, Permission, Reads, Refused, Registry, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<SetProviderHours>()
        .add::<SetScheduleException>()
        .add::<RemoveScheduleException>()
        .add::<AddProviderLeave>()
        .add::<CancelProviderLeave>();
}

refusals! {
    HoursOverlap = Rule, "hours-overlap", "two spans of one day overlap; let one end before the other begins";
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the end comes before the beginning; exchange the two";
    NoProvider = Conflict, "no-provider",
        "the user is no active provider: their roles do not include create:consultations; name a provider";
    NoSuchException = Missing, "not-found", "the provider has no hours of their own for that day in the department";
    NoSuchLeave = Missing, "not-found", "the provider has no leave with this id";
    OutsideHours = Conflict, "outside-hours",
        "the slot is not within the provider's hours; choose another, or repeat with outside_hours: true";
    OnLeave = Conflict, "on-leave",
        "the provider is on leave at that time; choose another, or repeat with outside_hours: true";
}

/// What a provider must be able to do.
pub(crate) const SEES_PATIENTS: Permission = Permission::Create(Create::Consultations);

impl Claims for ProviderSchedule {
    /// The ids of leaves are unique, since each is the key of a row.
    fn claims(&self, _: Uuid, held: &mut Held) {
        for known in &self.leaves {
            held.take(scopes::PROVIDER_LEAVE, known.leave_id.to_string());
        }
    }
}

/// Looks up a provider and their roles.
fn reads_provider(id: UserId, found: &Found) -> Reads {
    reads_named(Reads::nothing(), Some(id), found)
}

/// Refuses a user who cannot be booked.
fn check_provider(ctx: &Context<'_>, id: UserId) -> Result<(), Refused> {
    let user = ctx.named::<User>(id, "/provider_id")?;
    let mut roles = user.role_ids().filter_map(|role| ctx.found.get::<Role>(role));
    let sees_patients = roles.any(|role| SEES_PATIENTS.is_in(&role.definition.permissions));
    if user.is_active && sees_patients { Ok(()) } else { refuse(Refusal::NoProvider) }
}

/// Also looks up the schedule of a provider who is to be booked.
pub(crate) fn reads_schedule(reads: Reads, provider_id: UserId) -> Reads {
    reads.stream::<ProviderSchedule>(ProviderSchedule::stream_of(provider_id))
}

/// Refuses a slot outside the hours of a provider or in their leave, unless this is `accepted`. Returns whether it had
/// to be accepted. A slot without a department is only compared with the leave.
pub(crate) fn check_hours(
    ctx: &Context<'_>,
    provider_id: UserId,
    department_id: Option<DepartmentId>,
    (slot, time_zone): (Slot, &Text<64>),
    accepted: bool,
) -> Result<bool, Refused> {
    let stream = ProviderSchedule::stream_of(provider_id);
    let Some(schedule) = ctx.found.get::<ProviderSchedule>(stream) else { return Ok(false) };
    let zone = zone_named(time_zone);
    let is_outside = department_id.is_some_and(|id| schedule.is_outside_hours(id, slot, &zone));
    let against = schedule.is_on_leave(slot).then_some(Refusal::OnLeave);
    let against: Vec<Refused> =
        against.into_iter().chain(is_outside.then_some(Refusal::OutsideHours)).map(Refused::from).collect();
    let errors = against.iter().map(|it| Invalid::coded(it.code, "/starts_at", it.detail.clone())).collect();
    match against.into_iter().next() {
        Some(first) if !accepted => Err(Refused { errors, ..first }),
        first => Ok(first.is_some()),
    }
}

#[cfg(test)]
mod tests;
