//! What every hospital begins with: the built-in roles, the reports and an administrator.

use hims_commands::report::DefineReport;
use hims_commands::role::{DefineRole, OfferPermissionWords};
use hims_commands::user::CreateUser;
use hims_commands::{Caller, Failure, Kind, NewPassword, Refused, Request, role_id, scopes, system_roles};
use hims_domain::report::Report;
use hims_domain::role::Role;
use hims_domain::user::Profile;
use hims_domain::values::Email;
use hims_domain::{Aggregate as _, Personal};
use hims_event_store::Recorded;
use hims_projections::reports::REPORTS;

use crate::reports::definition;
use crate::{Hospital, HospitalError, Settings};

/// The name with which events record the set-up as their actor.
const SET_UP: &str = "set-up";

/// Whether an event is of what every hospital begins with: its roles and reports.
pub(crate) fn is_of_set_up(event: &Recorded) -> bool {
    [Role::STREAM, Report::STREAM].contains(&event.stream_type.as_str())
        && event.circumstances().is_ok_and(|it| it.actor == Caller::system(SET_UP).actor)
}

impl Hospital {
    /// Defines the roles that every hospital begins with. A role that is defined already is only offered the permission
    /// words that are new in this release.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn define_roles(&self) -> Result<(), HospitalError> {
        for (id, definition) in system_roles() {
            let set_up = || Request::of(Caller::system(SET_UP));
            let done = if self.executor.load::<Role>(id.0, true).await?.version == 0 {
                self.executor.execute(DefineRole { id: Some(id), definition }, set_up()).await
            } else {
                let offer = OfferPermissionWords { role_id: id, words: definition.permissions };
                self.executor.execute(offer, set_up()).await
            };
            match done {
                // A conflict: another node defined the role at the same time.
                Ok(_) | Err(Failure::Refused(Refused { kind: Kind::Conflict, .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Tells the log of names in `second_factor_roles` that no role has: they demand a second factor of nobody.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn warn_of_unknown_roles(&self, settings: &Settings) -> Result<(), HospitalError> {
        for name in &settings.second_factor_roles {
            if self.store.owners(scopes::ROLE_NAME, name).await?.is_empty() {
                tracing::warn!(
                    role = name,
                    "second_factor_roles names a role that does not exist; define it or correct the name"
                );
            }
        }
        Ok(())
    }

    /// Defines the reports that this release can make. A report that is defined so already stays as it is.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn define_reports(&self) -> Result<(), HospitalError> {
        for report in REPORTS {
            let define = DefineReport { definition: definition(report) };
            match self.executor.execute(define, Request::of(Caller::system(SET_UP))).await {
                // A conflict: another node defined the report at the same time.
                Ok(_) | Err(Failure::Refused(Refused { kind: Kind::Conflict, .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn has_administrator(&self) -> Result<bool, HospitalError> {
        let role = role_id("administrator").to_string();
        Ok(!self.store.owners(scopes::USERS_WITH_ROLE, &role).await?.is_empty())
    }

    /// Creates an administrator if the hospital has none. Without a password in the settings, a password is drawn at
    /// random, returned once with the e-mail address, and must be changed at the first login.
    ///
    /// # Errors
    /// When the log does not answer, or the settings give no usable address or password.
    pub async fn make_administrator(&self, settings: &Settings) -> Result<Option<(String, String)>, HospitalError> {
        if self.has_administrator().await? {
            return Ok(None);
        }
        let email = settings.admin_email.clone().unwrap_or_else(|| "admin@hims.invalid".to_owned());
        let made_up = settings.admin_password.is_none().then(|| format!("{:032x}", self.executor.entropy()));
        let password = settings.admin_password.clone().or_else(|| made_up.clone()).unwrap_or_default();
        let command = administrator(&email, &password).map_err(HospitalError::Administrator)?;
        let mut caller = Caller::system(SET_UP);
        // A password must be changed at the first login unless the system set it, so a drawn password is not the
        // system's.
        caller.is_system = made_up.is_none();
        let administrator = system_roles().into_iter().find(|(id, _)| *id == role_id("administrator"));
        caller.permissions = administrator.map(|(_, role)| role.permissions.into()).unwrap_or_default();
        match self.executor.execute(command, Request::of(caller)).await {
            Ok(_) => Ok(made_up.map(|password| (email, password))),
            // Another node created an administrator at the same time. Otherwise the address belongs to another user: an
            // error.
            Err(Failure::Refused(Refused { kind: Kind::Conflict, .. })) if self.has_administrator().await? => Ok(None),
            Err(Failure::Refused(refused)) if !refused.errors.is_empty() => {
                let rules = refused.errors.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; ");
                Err(HospitalError::Administrator(rules))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The command that creates the administrator. The error says what is wrong with the address.
fn administrator(email: &str, password: &str) -> Result<CreateUser, String> {
    Ok(CreateUser {
        id: None,
        email: Personal::Known(Email::parse(email).map_err(|rule| format!("HIMS_ADMIN_EMAIL: {rule}"))?),
        profile: Profile {
            first_name: Some(Personal::Known("System".into())),
            last_name: Some(Personal::Known("Administrator".into())),
            phone: None,
            avatar_url: None,
        },
        role_id: role_id("administrator"),
        additional_role_ids: std::collections::BTreeSet::new(),
        department_id: None,
        password: Some(NewPassword::new(password)),
    })
}
