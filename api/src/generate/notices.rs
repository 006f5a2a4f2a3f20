//! Notifications: the reminder of each visit by e-mail, and a word to the doctor afterwards.

use chrono::TimeDelta;
use hims_domain::Personal;
use hims_domain::notification::{Channel, Content, Event, Notification, NotificationType, Priority, Recipient, Visit};
use hims_domain::values::{LongText, Name, Text};
use hims_event_store::AppendError;

use super::history::History;
use super::plan::{Kind, ZONE};
use super::visits::Seen;

impl History {
    pub(super) fn notices(&mut self, seen: &Seen) -> Result<(), AppendError> {
        self.reminder(seen)?;
        self.word_to_the_doctor(seen)
    }

    /// The reminder of the visit, which was sent to the patient's e-mail address.
    fn reminder(&mut self, seen: &Seen) -> Result<(), AppendError> {
        let place = seen.number * 2;
        let recipient_id = self.id(Kind::Recipient, place).into();
        let address = self.demographics.email.as_ref().and_then(Personal::known);
        let recipient = Recipient {
            recipient_id,
            user_id: None,
            patient_id: Some(self.patient_id),
            channel: Channel::Email,
            address: address.map(|it| Personal::Known(Text::from(it.as_str()))),
            next_attempt_at: Some(seen.from - TimeDelta::days(1)),
        };
        let content = Content {
            visit: Some(Visit { starts_at: seen.visit.starts_at, time_zone: ZONE.name().into() }),
            ..self.content(NotificationType::AppointmentReminder, "Your visit", "Please come ten minutes early.")
        };
        let events = [
            Event::Created { content: Box::new(content), recipients: vec![recipient] },
            Event::Attempted { recipient_id, attempt: 1, next_attempt_at: None },
            Event::Sent { recipient_id },
        ];
        self.add::<Notification>(self.id(Kind::Notification, place), &events)
    }

    fn word_to_the_doctor(&mut self, seen: &Seen) -> Result<(), AppendError> {
        let place = seen.number * 2 + 1;
        let recipient = Recipient {
            recipient_id: self.id(Kind::Recipient, place).into(),
            user_id: Some(seen.provider_id),
            patient_id: None,
            channel: Channel::InApp,
            address: None,
            next_attempt_at: None,
        };
        let content = self.content(NotificationType::System, "Visit completed", "The notes of the visit are complete.");
        let events = [Event::Created { content: Box::new(content), recipients: vec![recipient] }];
        self.add::<Notification>(self.id(Kind::Notification, place), &events)
    }

    fn content(&self, kind: NotificationType, title: &str, message: &str) -> Content {
        Content {
            r#type: kind,
            priority: Priority::Normal,
            title: Personal::Known(Name::from(title)),
            message: Personal::Known(LongText::from(message)),
            action_url: None,
            action_label: None,
            expires_at: None,
            subject_patient_id: Some(self.patient_id),
            visit: None,
            dedupe_key: None,
        }
    }
}
