//! What patients are told of their visits.

use chrono::{DateTime, Utc};
use hims_domain::appointment::{Appointment, Status};
use hims_domain::department::Department;
use hims_domain::notification::NotificationType;
use hims_domain::user::User;
use hims_domain::values::{Text, known_names};
use hims_domain::{AppointmentId, DepartmentId, UserId};
use serde::Deserialize;

use crate::department::zone_named;
use crate::notification::{Notice, Telling};
use crate::{Found, Reads};

/// What is told of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) enum Said {
    /// The visit was booked so late that this is the first reminder, too.
    Booked { starts_at: DateTime<Utc> },
    /// The visit is soon.
    Reminder { starts_at: DateTime<Utc>, lead_hours: i64 },
    /// The visit was moved, with the event at this position.
    Moved { starts_at: DateTime<Utc>, position: i64 },
    /// The visit does not take place.
    Cancelled,
}

/// Tells a patient of a visit, if what is told is still so.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfVisit {
    pub(crate) appointment_id: AppointmentId,
    pub(crate) said: Said,
}

/// A visit in words: day, time, provider and place, as far as they were looked up.
pub(crate) fn in_words(
    starts_at: DateTime<Utc>,
    time_zone: &Text<64>,
    provider_id: UserId,
    department_id: Option<DepartmentId>,
    found: &Found,
) -> String {
    let when = starts_at.with_timezone(&zone_named(time_zone)).format("%A, %-d %B %Y, at %H:%M");
    let name = found.get::<User>(provider_id).map(name_of).unwrap_or_default();
    let with = if name.is_empty() { String::new() } else { format!(" with {name}") };
    let department = department_id.and_then(|it| found.get::<Department>(it));
    let place = department.map(|it| format!(" ({})", it.details.name.as_str())).unwrap_or_default();
    format!("{when}{with}{place}")
}

/// The name of a user; empty if it was erased.
pub(crate) fn name_of(user: &User) -> String {
    known_names([&user.profile.first_name, &user.profile.last_name])
}

impl TellOfVisit {
    /// Whether what is told is still so: the visit was not moved, begun or cancelled meanwhile.
    fn is_so(&self, appointment: &Appointment) -> bool {
        match self.said {
            Said::Booked { starts_at } | Said::Reminder { starts_at, .. } | Said::Moved { starts_at, .. } => {
                let is_open = matches!(appointment.status, Status::Scheduled | Status::Confirmed);
                is_open && appointment.slot.starts_at == starts_at
            }
            Said::Cancelled => appointment.status == Status::Cancelled,
        }
    }

    /// Title and text, which are shown within the program only.
    fn words(&self, appointment: &Appointment, found: &Found) -> (&'static str, String) {
        let (starts_at, time_zone) = (appointment.slot.starts_at, &appointment.time_zone);
        let visit = in_words(starts_at, time_zone, appointment.provider_id, appointment.department_id, found);
        match self.said {
            Said::Booked { .. } => ("Your visit is booked", format!("You are expected on {visit}.")),
            Said::Reminder { .. } => ("Reminder of your visit", format!("You are expected on {visit}.")),
            Said::Moved { .. } => ("Your visit was changed", format!("You are now expected on {visit}.")),
            Said::Cancelled => ("Your visit was cancelled", format!("The visit on {visit} does not take place.")),
        }
    }
}

impl Telling for TellOfVisit {
    const NAME: &'static str = "tell-of-visit";

    fn occasion(&self) -> String {
        let id = self.appointment_id;
        match self.said {
            Said::Booked { starts_at } => format!("visit {id} at {starts_at} booked"),
            Said::Reminder { starts_at, lead_hours } => format!("visit {id} at {starts_at} in {lead_hours} h"),
            Said::Moved { position, .. } => format!("visit {id} moved {position}"),
            Said::Cancelled => format!("visit {id} cancelled"),
        }
    }

    fn reads(&self, found: &Found) -> Reads {
        let appointment = found.get::<Appointment>(self.appointment_id);
        let reads = Reads::nothing().stream::<Appointment>(self.appointment_id);
        reads
            .maybe::<User>(appointment.map(|it| it.provider_id))
            .maybe::<Department>(appointment.and_then(|it| it.department_id))
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let appointment = found.get::<Appointment>(self.appointment_id).filter(|it| self.is_so(it))?;
        let about = match self.said {
            Said::Booked { .. } | Said::Reminder { .. } => NotificationType::AppointmentReminder,
            Said::Moved { .. } | Said::Cancelled => NotificationType::AppointmentChanged,
        };
        let (title, message) = self.words(appointment, found);
        let (patient_id, starts_at) = (appointment.patient_id, appointment.slot.starts_at);
        let notice = Notice::of(about, &self.occasion(), title, &message)
            .about(patient_id)
            .to_patient(patient_id)
            .until(starts_at)
            .leading_to(&format!("/appointments/{}", self.appointment_id), "Show the visit");
        // An e-mail names the time of a visit that takes place, and only that.
        Some(match self.said {
            Said::Cancelled => notice,
            _ => notice.about_visit(starts_at, &appointment.time_zone),
        })
    }
}
