//! Notices: the notifications that processes send.

use chrono::{DateTime, Utc};
use hims_domain::notification::{Channel, Content, Notification, NotificationType, Priority, Visit};
use hims_domain::values::Text;
use hims_domain::{PatientId, Personal, RoleId, UserId, derived};
use serde::Deserialize;

use super::sending::{Addressee, Draft};
use crate::machinery::command::never_sent;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// A notification that a process sends: `Reaction::command(Notice::of(…).to_user(…))`.
///
/// There is one notice of each type, patient and occasion, however often it is given: its id is derived from them. If
/// nobody can be reached, nothing is recorded; if more than a hundred people are told, there are several notifications.
///
/// ```text
/// let notice = Notice::of(NotificationType::ResultAvailable, &format!("result {id}"), "A result", "Potassium: 4.1")
///     .about(patient_id)
///     .to_user(ordered_by)
///     .leading_to(&format!("/lab-results/{id}"), "Open the result");
/// Ok(vec![Reaction::command(notice)])
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Notice {
    content: Content,
    recipients: Vec<Addressee>,
    roles: Vec<RoleId>,
}

impl Notice {
    /// A notice of normal priority. The occasion has ids, codes and times, and nothing that identifies a person; title
    /// and message are shown within the program only.
    pub fn of(notification_type: NotificationType, occasion: &str, title: &str, message: &str) -> Self {
        let content = Content {
            r#type: notification_type,
            priority: Priority::Normal,
            title: Personal::Known(title.into()),
            message: Personal::Known(message.into()),
            action_url: None,
            action_label: None,
            expires_at: None,
            subject_patient_id: None,
            visit: None,
            dedupe_key: Some(occasion.into()),
        };
        Self { content, recipients: Vec::new(), roles: Vec::new() }
    }

    /// The patient of whom the notice speaks.
    #[must_use]
    pub fn about(self, patient_id: PatientId) -> Self {
        self.with(|it| it.subject_patient_id = Some(patient_id))
    }

    /// The visit that the notice is about.
    #[must_use]
    pub fn about_visit(self, starts_at: DateTime<Utc>, time_zone: &Text<64>) -> Self {
        self.with(|it| it.visit = Some(Visit { starts_at, time_zone: time_zone.clone() }))
    }

    /// How urgent the notice is.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        self.with(|it| it.priority = priority)
    }

    /// After which time the notice is no longer sent.
    #[must_use]
    pub fn until(self, expires_at: DateTime<Utc>) -> Self {
        self.with(|it| it.expires_at = Some(expires_at))
    }

    /// The path within the program to what the notice is about, and what the link is called.
    #[must_use]
    pub fn leading_to(self, action_url: &str, action_label: &str) -> Self {
        self.with(|it| {
            it.action_url = Some(action_url.into());
            it.action_label = Some(action_label.into());
        })
    }

    /// Also to a user.
    #[must_use]
    pub fn to_user(mut self, user_id: UserId) -> Self {
        self.recipients.push(Addressee { user_id: Some(user_id), patient_id: None, channel: None, address: None });
        self
    }

    /// Also to a user on a channel on which users usually get no such notice.
    #[must_use]
    pub fn to_user_on(mut self, user_id: UserId, channel: Channel) -> Self {
        let (user_id, channel) = (Some(user_id), Some(channel));
        self.recipients.push(Addressee { user_id, patient_id: None, channel, address: None });
        self
    }

    /// Also to a patient, who is the one of whom the notice speaks.
    #[must_use]
    pub fn to_patient(mut self, patient_id: PatientId) -> Self {
        let patient_id = Some(patient_id);
        self.recipients.push(Addressee { user_id: None, patient_id, channel: None, address: None });
        self
    }

    /// Also to every active user who has a role, such as `role_id("pharmacist")`.
    #[must_use]
    pub fn to_role(mut self, role_id: RoleId) -> Self {
        self.roles.push(role_id);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Content)) -> Self {
        change(&mut self.content);
        self
    }

    fn draft(&self) -> Draft<'_> {
        Draft { content: &self.content, recipients: &self.recipients, roles: &self.roles }
    }
}

never_sent!(Notice);

impl Command for Notice {
    const NAME: &'static str = "send-notice";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        let subject = self.content.subject_patient_id.map(|it| it.to_string()).unwrap_or_default();
        let occasion = self.content.dedupe_key.as_ref().map(Text::as_str).unwrap_or_default();
        Target::either(derived("notice", &[self.content.r#type.as_str(), &subject, occasion]))
    }

    fn reads(&self, state: Option<&Notification>, found: &Found) -> Reads {
        if state.is_some() { Reads::nothing() } else { self.draft().reads(found) }
    }

    fn decide(self, state: Option<&Notification>, ctx: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let draft = self.draft();
        let is_late = self.content.expires_at.is_some_and(|it| it <= ctx.now);
        if state.is_some() || is_late || draft.is_repeated(ctx) {
            return Ok(Decision::nothing());
        }
        Ok(draft.decision(ctx))
    }
}
