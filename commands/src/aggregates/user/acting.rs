//! Who acts: whether the user who treats, measures or is booked may do so.

use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::{PatientId, UserId};

use super::Refusal;
use crate::aggregates::patient::records_of;
use crate::{Context, Found, Permission, Reads, Refused, refuse};

/// Also looks up a user whom a request names, and the user's roles.
pub(crate) fn reads_named(reads: Reads, named: Option<UserId>, found: &Found) -> Reads {
    let roles = named.and_then(|id| found.get::<User>(id)).into_iter().flat_map(User::role_ids);
    roles.fold(reads.maybe::<User>(named), Reads::stream::<Role>)
}

/// The user who treats or measures a patient: the named user, or else the caller.
///
/// A named user must be active, must have the permission that the act needs, and must not be the patient. The caller
/// has the permission of the command; that the caller is not the patient either is a rule of all commands.
///
/// A part of the system, such as an import, may name anybody: it tells what was done in another system, perhaps years
/// ago. Who acted then may have left or have another role today, and what was done stays done.
pub(crate) fn acting(
    ctx: &Context<'_>,
    named: Option<UserId>,
    field: &str,
    patient_id: PatientId,
    needed: Permission,
) -> Result<UserId, Refused> {
    match named {
        Some(id) if ctx.caller.is_system => drop(ctx.named::<User>(id, field)?),
        Some(id) => check_provider(ctx, id, field, patient_id, needed)?,
        None => {}
    }
    ctx.user(named, field)
}

/// Refuses a user who is inactive, lacks the permission that the act needs, or is the patient.
pub(crate) fn check_provider(
    ctx: &Context<'_>,
    id: UserId,
    field: &str,
    patient_id: PatientId,
    needed: Permission,
) -> Result<(), Refused> {
    let user = ctx.named::<User>(id, field)?;
    if !user.is_active {
        return refuse(Refusal::NotActing);
    }
    if user.patient_id.is_some_and(|own| records_of(patient_id, ctx.found).contains(&own)) {
        return refuse(Refusal::TreatsThemselves);
    }
    let mut roles = user.role_ids().filter_map(|role| ctx.found.get::<Role>(role));
    if roles.any(|role| needed.is_in(&role.definition.permissions)) {
        return Ok(());
    }
    let message = format!("the user's roles do not include {needed}, which this needs; name somebody else");
    Err(Refused::field("not-entitled", field, message))
}
