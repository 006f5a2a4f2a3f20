//! Who a user is as a caller, by the user's roles and department at this moment.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use hims_domain::access::PurposeOfUse;
use hims_domain::department::Department;
use hims_domain::role::{Permissions, Role};
use hims_domain::user::User;
use hims_domain::{PatientId, UserId};
use hims_event_store::Actor;

use crate::department::zone_named;
use crate::machinery::execute::Executor;
use crate::{Caller, Failure};

/// A user as a caller, outside of any session.
///
/// # Errors
/// When the log does not answer.
pub(crate) async fn caller_of(executor: &Executor, id: UserId, user: &User) -> Result<Caller, Failure> {
    let (role, permissions) = permissions(executor, user).await?;
    let (patient_id, duplicates) = records(executor, user).await?;
    Ok(Caller {
        actor: Actor::User { id: id.0 },
        role: Some(role),
        permissions: permissions.into(),
        is_system: false,
        session_id: None,
        patient_id,
        duplicates,
        department_id: user.department_id,
        time_zone: time_zone(executor, user).await?,
        must_change_password: user.must_change_password,
        purpose_of_use: PurposeOfUse::Treatment,
        must_enrol_second_factor: false,
        ip: None,
        user_agent: None,
    })
}

/// The record of the patient who a user is, and the records that were merged into it. A login that is linked to a
/// duplicate belongs to the record that survives.
async fn records(executor: &Executor, user: &User) -> Result<(Option<PatientId>, BTreeSet<PatientId>), Failure> {
    let Some(linked) = user.patient_id else { return Ok((None, BTreeSet::new())) };
    let (survivor, patient) = executor.survivor(linked.0, true).await?;
    Ok((Some(PatientId(survivor)), patient.map(|it| it.duplicates.clone()).unwrap_or_default()))
}

/// The time zone of the user's department; that of the hospital for a user without a department.
async fn time_zone(executor: &Executor, user: &User) -> Result<Tz, Failure> {
    let Some(id) = user.department_id else { return Ok(executor.time_zone()) };
    let department = executor.load::<Department>(id.0, true).await?.state;
    Ok(department.map_or_else(|| executor.time_zone(), |it| zone_named(&it.details.time_zone)))
}

/// The name of the user's primary role, and the permissions of all the user's roles together, of which a service account
/// has those that its scopes name.
pub(super) async fn permissions(executor: &Executor, user: &User) -> Result<(String, Permissions), Failure> {
    let mut name = String::new();
    let mut all = Permissions::default();
    for id in user.role_ids() {
        let Some(role) = executor.load::<Role>(id.0, true).await?.state else { continue };
        if name.is_empty() {
            role.definition.name.as_str().clone_into(&mut name);
        }
        all = all.with(&role.definition.permissions);
    }
    if let Some(service) = &user.service {
        all = all.narrowed_to(&service.scopes);
    }
    Ok((name, all))
}
