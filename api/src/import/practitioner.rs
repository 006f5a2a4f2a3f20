//! Practitioner -> user with the role of a doctor, who cannot log in until somebody sets a password.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::user::{CreateUser, DeactivateUser};
use hims_commands::{role_id, scopes};
use hims_domain::Personal;
use hims_domain::user::{Profile, User};
use hims_domain::values::Email;
use uuid::Uuid;

use super::ImportError;
use super::bundle::Practitioner;
use super::datatypes::{ContactPoint, HumanName};
use super::first_seen::FirstSeen;
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// The name of the role that every practitioner gets.
pub(super) const ROLE: &str = "doctor";

/// The e-mail addresses of the practitioners. Of practitioners with the same address, the smallest id gets the address.
pub(super) fn addresses(gathered: &Gathered) -> BTreeMap<Uuid, Email> {
    let mut taken = BTreeSet::new();
    let address = |found: &Found<Practitioner>| {
        let email = ContactPoint::of(&found.resource.telecom, "email").find_map(|it| Email::parse(it).ok())?;
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
    let practitioner = &found.resource;
    let at = seen.at(found.id);
    let deactivate = DeactivateUser { user_id: found.id.into() };
    let has_left = practitioner.active == Some(false);
    if writer.existing::<User>(found.id).await?.is_some() {
        if has_left && writer.has_only_begun::<User>(found.id).await? {
            writer.execute(deactivate, at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept::default();
    let name = HumanName::best(&practitioner.name).map(HumanName::parts).ok_or(Reason::NoName)?;
    let phone = ContactPoint::of(&practitioner.telecom, "phone").next();
    let profile = Profile {
        first_name: kept.personal("name", name.first).ok_or(Reason::NoName)?,
        last_name: kept.personal("name", name.family).ok_or(Reason::NoName)?,
        phone: kept.phone(phone, writer.executor.phone_region()).map(Personal::Known),
        avatar_url: None,
    };
    let user = CreateUser {
        id: Some(found.id.into()),
        email: address(writer, addresses.get(&found.id), found.id).await?.into(),
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
    if let Some(own) = own {
        let store = writer.executor.store();
        let owners = store.owners(scopes::USER_EMAIL, own.as_str()).await;
        if owners.map_err(|error| ImportError::Log(error.into()))?.is_empty() {
            return Ok(own.clone());
        }
    }
    Email::parse(&format!("{id}@import.invalid")).map_err(|_| Reason::Malformed.into())
}
