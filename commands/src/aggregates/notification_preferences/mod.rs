//! How users and patients want to be notified.

use hims_domain::notification::{Channel, NotificationType};
use hims_domain::notification_preferences::{Event, NotificationPreferences, Person, Wishes};
use hims_domain::patient::Patient;
use hims_domain::permission::Update;
use hims_domain::user::User;
use hims_domain::{Invalid, PatientId, UserId, described};

use crate::aggregates::patient::check_not_erased;
use crate::department::fault_of_zone;
use crate::machinery::refusal::refusals;
use crate::{Caller, Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<SetNotificationPreferences>();
}

refusals! {
    NotOwn = Forbidden, "forbidden", "users set their own preferences; the front desk sets those of patients";
}

described! {
    /// Sets how a user or a patient wants to be notified, in place of what was set before. Everybody may set their own
    /// preferences; the front desk sets those of patients.
    pub struct SetNotificationPreferences {
        /// The user.
        pub user_id: Option<UserId>,
        /// The patient.
        pub patient_id: Option<PatientId>,
        /// How they want to be notified.
        #[serde(flatten)]
        pub wishes: Wishes,
    }
}

/// Preferences hold nothing.
impl Claims for NotificationPreferences {}

impl SetNotificationPreferences {
    /// Whose preferences are set; `None` if nobody is named.
    fn person(&self) -> Option<Person> {
        Person::of(self.user_id, self.patient_id)
    }

    /// Refuses types, time zones and languages that there are not, and critical types that are switched off.
    fn check(&self) -> Result<(), Refused> {
        let mut errors = Vec::new();
        for (name, channels) in self.wishes.channels.iter().flatten() {
            let at = format!("/channels/{name}");
            match NotificationType::parse(name) {
                None => {
                    let message = format!("give one of the types {}", NotificationType::CODES.join(", "));
                    errors.push(Invalid::new(at, message));
                }
                Some(it) if it.is_critical() && !channels.contains(&Channel::InApp) => {
                    let message = "critical results cannot be switched off; add in_app";
                    errors.push(Invalid::new(at, message));
                }
                Some(_) => {}
            }
        }
        errors.extend(self.wishes.time_zone.as_ref().and_then(fault_of_zone).map(|it| Invalid::new("/time_zone", it)));
        let is_language = |text: &str| {
            let is_part =
                |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_alphanumeric());
            text.split('-').all(is_part) && text.bytes().next().is_some_and(|it| it.is_ascii_alphabetic())
        };
        if self.wishes.language.as_ref().is_some_and(|it| !is_language(it.as_str())) {
            errors.push(Invalid::new("/language", "give a language tag such as de or pt-BR"));
        }
        if errors.is_empty() { Ok(()) } else { Err(Refused::invalid(errors)) }
    }
}

impl Command for SetNotificationPreferences {
    const NAME: &'static str = "set-notification-preferences";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = NotificationPreferences;

    fn target(&self) -> Target {
        // Without a person, the command is refused before the stream matters.
        let nobody = Person::UserId(UserId(uuid::Uuid::nil()));
        Target::either(NotificationPreferences::stream_of(self.person().unwrap_or(nobody)))
    }

    fn is_own(&self, _: Option<&NotificationPreferences>, caller: &Caller) -> bool {
        let is_user = self.user_id.is_some() && self.user_id == caller.user_id();
        let is_patient = self.patient_id.is_some_and(|it| caller.is_patient(it));
        // Who names nobody changes nobody's preferences, and is told to name somebody.
        is_patient || self.patient_id.is_none() && (is_user || self.user_id.is_none())
    }

    fn reads(&self, _: Option<&NotificationPreferences>, _: &Found) -> Reads {
        Reads::nothing().maybe::<User>(self.user_id).maybe::<Patient>(self.patient_id)
    }

    fn decide(
        self,
        state: Option<&NotificationPreferences>,
        ctx: &Context<'_>,
    ) -> Result<Decision<NotificationPreferences>, Refused> {
        if self.user_id.is_some() == self.patient_id.is_some() {
            let message = "name either a user or a patient; your own ids are in GET /api/v1/sessions/current";
            return Err(Refused::field("whose-preferences", "/user_id", message));
        }
        if let Some(id) = self.user_id {
            if !ctx.caller.is_system && ctx.caller.user_id() != Some(id) {
                return refuse(Refusal::NotOwn);
            }
            ctx.named::<User>(id, "/user_id")?;
        }
        if let Some(id) = self.patient_id {
            check_not_erased(ctx.named::<Patient>(id, "/patient_id")?)?;
        }
        self.check()?;
        if state.is_some_and(|it| it.wishes == self.wishes) {
            return Ok(Decision::nothing());
        }
        let Self { user_id, patient_id, wishes } = self;
        Ok(Decision::event(Event::Set { user_id, patient_id, wishes }))
    }
}

#[cfg(test)]
mod tests;
