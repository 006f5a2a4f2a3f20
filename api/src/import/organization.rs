//! Organization -> department.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::department::{CloseDepartment, OpenDepartment};
use hims_domain::department::{Department, Details};
use hims_domain::values::Text;
use uuid::Uuid;

use super::choice;
use super::first_seen::FirstSeen;
use super::gather::{Found, Gathered};
use super::identity::is_department;
use super::reason::Reason;
use super::resources::Organization;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// The codes of `organization-type` for payers, which are no departments of a hospital.
const PAYERS: [&str; 2] = ["ins", "pay"];

/// The organizations, level by level: every organization comes after the organization that it is part of.
pub(super) fn by_depth(gathered: &Gathered) -> impl Iterator<Item = Vec<&Found<Organization>>> {
    let mut levels: BTreeMap<usize, Vec<&Found<Organization>>> = BTreeMap::new();
    for found in gathered.organizations.iter() {
        let above = std::iter::successors(Some(found), |it| gathered.organizations.get(whole(gathered, it)?));
        levels.entry(above.count()).or_default().push(found);
    }
    levels.into_values()
}

/// The organization that an organization is part of. Organizations that are part of each other in a circle are part of
/// none: nobody knows which of them is the whole.
fn whole(gathered: &Gathered, found: &Found<Organization>) -> Option<Uuid> {
    named_whole(gathered, found).filter(|_| !is_in_circle(gathered, found))
}

/// The organization that an organization says it is part of.
fn named_whole(gathered: &Gathered, found: &Found<Organization>) -> Option<Uuid> {
    gathered.resolve("Organization", &found.origin, found.resource.part_of.as_ref()?)
}

/// Whether an organization says that it is part of itself, or of one of its parts.
fn is_in_circle(gathered: &Gathered, found: &Found<Organization>) -> bool {
    let mut passed = BTreeSet::new();
    let mut next = named_whole(gathered, found);
    while let Some(id) = next.filter(|id| passed.insert(*id)) {
        if id == found.id {
            return true;
        }
        next = gathered.organizations.get(id).and_then(|it| named_whole(gathered, it));
    }
    false
}

/// Opens the department of an organization.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    seen: &FirstSeen,
    found: &Found<Organization>,
) -> Result<Fate, Stop> {
    let organization = &found.resource;
    if organization.kind.iter().any(|kind| PAYERS.iter().any(|payer| kind.has_code(payer))) {
        return Err(Reason::NotPartOfTheRecord.into());
    }
    writer.check_copies(found)?;
    let at = seen.at(found.id);
    let close = CloseDepartment { department_id: found.id.into() };
    let is_closed = organization.active == Some(false);
    if let Some(there) = writer.existing::<Department>(found.id).await? {
        if !is_department(organization, there.details.name.as_str(), found.is_global) {
            return Err(writer.refuse(found.id, Reason::OtherRecord));
        }
        if is_closed && writer.has_only_begun::<Department>(found.id).await? {
            writer.execute(close, at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = found.kept();
    kept.leave_out_all("type", organization.kind.len());
    let name = kept.text("name", organization.name.as_deref()).ok_or(Reason::NoName)?;
    let parent = writer.referred::<Department>(whole(gathered, found)).await?;
    if is_in_circle(gathered, found) {
        kept.leave_out("partOf (in a circle)");
    } else if organization.part_of.is_some() && parent.is_none() {
        kept.leave_out("partOf");
    }
    let phones = choice::contacts(&writer.calendar, &organization.telecom, "phone");
    kept.leave_out_all("telecom", organization.telecom.len().saturating_sub(1.min(phones.len())));
    let details = Details {
        code: code(name.as_str(), found.id),
        name,
        description: None,
        parent_id: parent.map(|(id, _)| id.into()),
        time_zone: Text::from(writer.settings.time_zone.name()),
        phone: kept.phone("telecom", phones.first().copied(), writer.executor.phone_region()),
        head_user_id: None,
    };
    writer.execute(OpenDepartment { id: Some(found.id.into()), details }, at).await?;
    if is_closed {
        writer.execute(close, at).await?;
    }
    Ok(Fate::Imported(kept.left_out))
}

/// A code of at most 20 characters: the beginning of the name, for people, and eight digits of the id, which make the
/// code unique.
fn code(name: &str, id: Uuid) -> Text<20> {
    let letters: String = name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { ' ' }).collect();
    let words = letters.split_whitespace().collect::<Vec<_>>().join("-");
    let beginning: String = words.chars().take(11).collect();
    let unique = id.simple().to_string();
    let code = format!("{}-{}", beginning.trim_end_matches('-'), &unique[..8]);
    Text::from(code.trim_start_matches('-').to_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_the_name_and_the_id() {
        let id = Uuid::from_u128(0x4861_d01f_019c_3dac_a153_8334_e509_19f9);
        assert_eq!(code("NORTH SHORE MEDICAL CENTER -", id).as_str(), "NORTH-SHORE-4861D01F");
        assert_eq!(code("St. Élan", id).as_str(), "ST-LAN-4861D01F");
        assert_eq!(code("病院", id).as_str(), "4861D01F");
    }
}
