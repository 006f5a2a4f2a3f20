//! What the front desk is told of leave.

use chrono::{DateTime, SecondsFormat, Utc};
use hims_domain::appointment::{Appointment, Status};
use hims_domain::notification::NotificationType;
use hims_domain::provider_schedule::{Leave, LeaveStatus, ProviderSchedule};
use hims_domain::user::User;
use hims_domain::{LeaveId, UserId};
use serde::Deserialize;
use uuid::Uuid;

use crate::appointment::name_of;
use crate::department::zone_named;
use crate::notification::{Notice, Telling};
use crate::{Found, Reads, role_id};

/// How many appointments a notice names; how many more there are is said.
const MOST: usize = 100;

/// Tells the front desk which appointments a leave affects, if there are any. The reason of the leave is not told, and
/// nothing about the patients.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfLeave {
    /// The provider.
    pub(crate) provider_id: UserId,
    /// The leave.
    pub(crate) leave_id: LeaveId,
}

impl TellOfLeave {
    /// The leave, if it still counts.
    fn leave<'a>(&self, found: &'a Found) -> Option<&'a Leave> {
        let schedule = found.get::<ProviderSchedule>(ProviderSchedule::stream_of(self.provider_id))?;
        let known = schedule.leaves.iter().find(|it| it.leave_id == self.leave_id)?;
        (known.status == LeaveStatus::Active).then_some(&known.leave)
    }

    /// The appointments of the provider in the leave that are still to come, in the order of their beginnings.
    fn affected<'a>(&self, leave: &Leave, found: &'a Found) -> Vec<(Uuid, &'a Appointment)> {
        let booked = found.booked::<Appointment>(self.provider_id, leave.from, leave.until);
        let is_to_come = |it: &Appointment| {
            let is_open = matches!(it.status, Status::Scheduled | Status::Confirmed | Status::CheckedIn);
            is_open && it.slot.ends_at() > found.asked_at()
        };
        let mut affected: Vec<_> = booked.filter(|(_, it)| is_to_come(it)).map(|(by, it)| (by.owner, it)).collect();
        affected.sort_by_key(|(id, it)| (it.slot.starts_at, *id));
        affected
    }
}

/// An instant as a parameter of a link.
fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Telling for TellOfLeave {
    const NAME: &'static str = "tell-of-leave";

    fn occasion(&self) -> String {
        format!("leave {}", self.leave_id)
    }

    fn reads(&self, found: &Found) -> Reads {
        let stream = ProviderSchedule::stream_of(self.provider_id);
        let reads = Reads::nothing().stream::<ProviderSchedule>(stream).stream::<User>(self.provider_id);
        match self.leave(found) {
            Some(leave) => reads.booked::<Appointment>(self.provider_id, leave.from, leave.until),
            None => reads,
        }
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let leave = self.leave(found)?;
        let affected = self.affected(leave, found);
        if affected.is_empty() {
            return None;
        }
        let lines = affected.iter().take(MOST).map(|(id, it)| {
            let when = it.slot.starts_at.with_timezone(&zone_named(&it.time_zone)).format("%A, %-d %B %Y, %H:%M");
            format!("{when} ({}): appointment {id}", it.time_zone.as_str())
        });
        let mut lines: Vec<_> = lines.collect();
        if affected.len() > MOST {
            lines.push(format!("and {} more", affected.len() - MOST));
        }
        let name = found.get::<User>(self.provider_id).map(name_of).filter(|it| !it.is_empty());
        let who = name.unwrap_or_else(|| "A provider".to_owned());
        let message =
            format!("{who} will be away when these appointments are to be. Move or cancel them:\n{}", lines.join("\n"));
        let list = format!(
            "/appointments?provider_id={}&starts_at_from={}&starts_at_to={}",
            self.provider_id,
            instant(leave.from),
            instant(leave.until)
        );
        let notice =
            Notice::of(NotificationType::ProviderLeave, &self.occasion(), "A leave affects appointments", &message);
        Some(notice.to_role(role_id("receptionist")).leading_to(&list, "Show the appointments"))
    }
}
