use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use hims_commands::user::{CreateUser, RemoveSecondFactor};
use hims_commands::{Caller, NewPassword, Request, scopes};
use hims_domain::permission::{Create, Update};
use hims_domain::user::Profile;
use hims_domain::values::Email;
use hims_domain::{DepartmentId, Personal};

use super::{Failure, say};
use crate::{Hospital, Purpose, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum UserWork {
    /// Create a user; the password is read from standard input and must be changed at the first login
    Add(NewUser),
    /// Take the second factor of a user away, who has lost device and recovery codes, and end the user's sessions
    RemoveSecondFactor {
        /// The e-mail address with which the user logs in
        #[arg(long)]
        email: String,
        /// Why the second factor is taken away
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewUser {
    /// The e-mail address with which the user logs in
    #[arg(long)]
    email: String,
    /// The name of the user's role, such as doctor
    #[arg(long)]
    role: String,
    /// The given name of the user; a user may have one name only
    #[arg(long, required_unless_present = "last_name")]
    first_name: Option<String>,
    /// The family name of the user
    #[arg(long)]
    last_name: Option<String>,
    /// The code of the department in which the user works, such as MED
    #[arg(long)]
    department: Option<String>,
}

pub(super) async fn work_on_users(settings: &Settings, work: UserWork) -> Result<ExitCode, Failure> {
    match work {
        UserWork::Add(user) => add(settings, user).await,
        UserWork::RemoveSecondFactor { email, reason } => remove_second_factor(settings, &email, &reason).await,
    }
}

async fn remove_second_factor(settings: &Settings, email: &str, reason: &str) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let removed = async {
        let user_id = hospital.login.user_with(email).await?;
        let user_id = user_id.ok_or("there is no user with this e-mail address; give the address of a login")?;
        let command = RemoveSecondFactor { user_id, reason: Personal::Known(reason.into()), code: None };
        let request = Request::of(Caller::system("command-line"));
        Ok::<_, Failure>(hospital.executor.execute(command, request).await?)
    }
    .await;
    if removed.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    let had_one = !removed?.events.is_empty();
    say(if had_one { "the second factor was taken away" } else { "the user has no second factor" })?;
    Ok(ExitCode::SUCCESS)
}

async fn add(settings: &Settings, user: NewUser) -> Result<ExitCode, Failure> {
    let NewUser { email, role, first_name, last_name, department } = user;
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let added = async {
        hospital.define_roles().await?;
        let role_id = hospital.store.owners(scopes::ROLE_NAME, &role).await?.pop();
        let role_id =
            role_id.ok_or_else(|| format!("there is no role named {role}; give the name of an existing role"))?;
        let department_id = match department {
            None => None,
            Some(code) => Some(department_with(&hospital, &code).await?),
        };
        let mut password = String::new();
        if std::io::stdin().is_terminal() {
            // If the question cannot be written, for standard error is closed, the password is read all the same.
            let _ = write!(std::io::stderr(), "the first password of the user: ");
        }
        std::io::stdin().read_line(&mut password)?;
        let command = CreateUser {
            id: None,
            email: Personal::Known(Email::parse(&email)?),
            profile: Profile {
                first_name: first_name.map(|it| Personal::Known(it.as_str().into())),
                last_name: last_name.map(|it| Personal::Known(it.as_str().into())),
                phone: None,
                avatar_url: None,
            },
            role_id: role_id.into(),
            additional_role_ids: std::collections::BTreeSet::new(),
            department_id,
            password: Some(NewPassword::new(password.trim_end_matches(['\r', '\n']))),
        };
        let mut caller = Caller::system("command-line");
        caller.is_system = false;
        let permissions = Arc::make_mut(&mut caller.permissions);
        permissions.create.insert(Create::Users.into());
        // Whoever may run this program on the server may give any role.
        permissions.update.insert(Update::UserPermissions.into());
        Ok::<_, Failure>(hospital.executor.execute(command, Request::of(caller)).await?)
    }
    .await;
    if added.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    say(format_args!("user {} was created", added?.id))?;
    Ok(ExitCode::SUCCESS)
}

/// The department that has a code.
async fn department_with(hospital: &Hospital, code: &str) -> Result<DepartmentId, Failure> {
    let departments = hospital.store.owners(scopes::DEPARTMENT_CODE, &code.to_uppercase()).await?;
    match departments.first() {
        Some(id) => Ok((*id).into()),
        None => Err(format!("there is no department with the code {code}; give the code of an existing one").into()),
    }
}
