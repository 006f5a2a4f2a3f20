//! Practitioner -> user with the role of a doctor, who cannot log in until somebody sets a password. Where a
//! resource names no practitioner, one user stands for nobody in particular: nobody is guessed.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::user::{CreateUser, DeactivateUser};
use hims_commands::{role_id, scopes};
use hims_domain::Personal;
use hims_domain::user::{Profile, User};
use hims_domain::values::Email;
use uuid::Uuid;

use super::calendar::Calendar;
use super::choice;
use super::datatypes::HumanName;
use super::first_seen::FirstSeen;
use super::gather::{Found, Gathered};
use super::identity::is_user;
use super::reason::Reason;
use super::references::derived;
use super::resources::Practitioner;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// The name of the role that every practitioner gets.
pub(super) const ROLE: &str = "doctor";

/// The e-mail addresses of the practitioners. Of practitioners with the same address, the smallest id gets the address.
pub(super) fn addresses(gathered: &Gathered, calendar: &Calendar) -> BTreeMap<Uuid, Email> {
    let mut taken = BTreeSet::new();
    let address = |found: &Found<Practitioner>| {
        let addresses = choice::contacts(calendar, &found.resource.telecom, "email");
        let email = addresses.into_iter().find_map(|it| Email::parse(it).ok())?;
        taken.insert(email.clone()).then_some((found.id, email))
    };
    gathered.practitioners.iter().filter_map(address).collect()
}

/// Creates the user of a practitioner.
pub(super) async fn import(
    writer: &Writer<'_>,
    addresses: &BTreeMap<Uuid, Email>,
    seen: &FirstSeen,
    found: &Found<Practitioner>,
) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let practitioner = &found.resource;
    let at = seen.at(found.id);
    let deactivate = DeactivateUser { user_id: found.id.into() };
    let has_left = practitioner.active == Some(false);
    if let Some(there) = writer.existing::<User>(found.id).await? {
        if !is_user(practitioner, &there.profile, found.is_global) {
            return Err(writer.refuse(found.id, Reason::OtherRecord));
        }
        if has_left && writer.has_only_begun::<User>(found.id).await? {
            writer.execute(deactivate, at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = found.kept();
    kept.leave_out_all("name", practitioner.name.len().saturating_sub(1));
    let name = choice::name(&writer.calendar, &practitioner.name).map(HumanName::parts).ok_or(Reason::NoName)?;
    if !name.middle.is_empty() {
        kept.leave_out("name.given");
    }
    let phones = choice::contacts(&writer.calendar, &practitioner.telecom, "phone");
    let email = address(writer, addresses.get(&found.id), found.id).await?;
    let is_own = addresses.get(&found.id) == Some(&email);
    let used = usize::from(!phones.is_empty()) + usize::from(is_own);
    kept.leave_out_all("telecom", practitioner.telecom.len().saturating_sub(used));
    let (first_name, last_name) = (kept.personal("name", name.first), kept.personal("name", name.family));
    if first_name.is_none() && last_name.is_none() {
        return Err(Reason::NoName.into());
    }
    let profile = Profile {
        first_name,
        last_name,
        phone: kept.phone("telecom", phones.first().copied(), writer.executor.phone_region()).map(Personal::Known),
        avatar_url: None,
    };
    let user = CreateUser {
        id: Some(found.id.into()),
        email: email.into(),
        profile,
        role_id: role_id(ROLE),
        additional_role_ids: BTreeSet::new(),
        department_id: None,
        password: None,
    };
    writer.execute(user, at).await?;
    if has_left {
        writer.execute(deactivate, at).await?;
    }
    Ok(Fate::Imported(kept.left_out))
}

/// An e-mail address that no other user has: the practitioner's own, or else an address that cannot exist (RFC 2606).
async fn address(writer: &Writer<'_>, own: Option<&Email>, id: Uuid) -> Result<Email, Stop> {
    if let Some(own) = own
        && writer.owners(scopes::USER_EMAIL, own.as_str()).await?.is_empty()
    {
        return Ok(own.clone());
    }
    Email::parse(&format!("{id}@import.invalid")).map_err(|_| Reason::Malformed.into())
}

/// The id of the user who stands for nobody in particular, who is created if need be. The user is inactive, so that
/// nobody chooses the user for an appointment.
pub(super) async fn nobody(writer: &Writer<'_>) -> Result<Uuid, Stop> {
    let id = derived("practitioner|unknown");
    if writer.existing::<User>(id).await?.is_none() {
        let profile = Profile {
            first_name: Some(Personal::Known("Unknown".into())),
            last_name: Some(Personal::Known("Practitioner".into())),
            phone: None,
            avatar_url: None,
        };
        let email = Email::parse("unknown-practitioner@import.invalid").map_err(|_| Reason::Malformed)?;
        let user = CreateUser {
            id: Some(id.into()),
            email: email.into(),
            profile,
            role_id: role_id(ROLE),
            additional_role_ids: BTreeSet::new(),
            department_id: None,
            password: None,
        };
        writer.execute(user, None).await?;
    }
    if writer.has_only_begun::<User>(id).await? {
        writer.execute(DeactivateUser { user_id: id.into() }, None).await?;
    }
    Ok(id)
}
