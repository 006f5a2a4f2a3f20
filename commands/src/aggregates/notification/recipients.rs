//! Who a notification reaches, and where: users and patients with their addresses, wishes and time zones.

use chrono_tz::Tz;
use hims_domain::department::Department;
use hims_domain::notification::{Channel, NotificationType, Recipient};
use hims_domain::notification_preferences::{NotificationPreferences, Person, Wishes};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::values::{Email, Phone};
use hims_domain::{PatientId, Personal, UserId};

use crate::aggregates::patient::{person, reads_person, records_of, survivor_of};
use crate::department::zone_named;
use crate::{Context, Found, Reads, scopes};

/// Where somebody is reached, and how they want to be.
pub(super) struct Reached<'a> {
    /// The user; of a patient, the patient's login.
    user_id: Option<UserId>,
    patient_id: Option<PatientId>,
    has_email: bool,
    has_phone: bool,
    wishes: Option<&'a Wishes>,
    zone: Option<Tz>,
}

/// The address of a user on a channel.
pub(crate) fn address_of_user(user: &User, channel: Channel) -> Option<&str> {
    match channel {
        Channel::Email => user.email.known().map(Email::as_str),
        Channel::Sms => user.profile.phone.as_ref().and_then(Personal::known).map(Phone::as_str),
        Channel::InApp | Channel::Push => None,
    }
}

/// The address of a patient on a channel.
pub(crate) fn address_of_patient(patient: &Patient, channel: Channel) -> Option<&str> {
    let reached = &patient.demographics;
    match channel {
        Channel::Email => reached.email.as_ref().and_then(Personal::known).map(Email::as_str),
        Channel::Sms => {
            let phone = reached.phone_primary.as_ref().or(reached.phone_secondary.as_ref());
            phone.and_then(Personal::known).map(Phone::as_str)
        }
        Channel::InApp | Channel::Push => None,
    }
}

fn reads_user(reads: Reads, id: UserId, found: &Found) -> Reads {
    let user = found.get::<User>(id);
    let department = user.and_then(|it| it.department_id);
    let reads = match user.and_then(|it| it.patient_id) {
        Some(patient_id) => reads_person(reads, patient_id, found),
        None => reads,
    };
    let preferences = NotificationPreferences::stream_of(Person::UserId(id));
    reads.stream::<User>(id).maybe::<Department>(department).stream::<NotificationPreferences>(preferences)
}

/// Also looks up a patient, with everything that decides where and when they are reached.
pub(crate) fn reads_patient(reads: Reads, id: PatientId, found: &Found) -> Reads {
    let preferences = NotificationPreferences::stream_of(Person::PatientId(survivor_of(id, found)));
    let reads = reads_person(reads, id, found).stream::<NotificationPreferences>(preferences);
    let records = records_of(id, found).into_iter();
    records.fold(reads, |reads, it| reads.owners::<User>(scopes::USER_PATIENT, it.to_string()))
}

/// Also looks up a recipient, with everything that decides where and when they are reached.
pub(super) fn reads_recipient(reads: Reads, person: Option<Person>, found: &Found) -> Reads {
    match person {
        Some(Person::PatientId(id)) => reads_patient(reads, id, found),
        Some(Person::UserId(id)) => reads_user(reads, id, found),
        None => reads,
    }
}

fn wishes(of: Person, found: &Found) -> Option<&Wishes> {
    found.get::<NotificationPreferences>(NotificationPreferences::stream_of(of)).map(|it| &it.wishes)
}

fn zone(wishes: Option<&Wishes>) -> Option<Tz> {
    wishes?.time_zone.as_ref().map(zone_named)
}

/// Whether a person has died, given one of the person's records.
fn has_died(id: PatientId, ctx: &Context<'_>) -> bool {
    person(id, ctx.found).iter().any(|it| it.is_deceased(ctx.now))
}

/// An active user who is alive, as far as the user is linked to a patient; `None` for nobody who can be reached.
fn reached_user<'a>(id: UserId, ctx: &Context<'a>) -> Option<Reached<'a>> {
    let found = ctx.found;
    let user = found.get::<User>(id).filter(|it| it.is_active)?;
    if user.patient_id.is_some_and(|it| has_died(it, ctx)) {
        return None;
    }
    let wishes = wishes(Person::UserId(id), found);
    let department = user.department_id.and_then(|it| found.get::<Department>(it));
    let zone = zone(wishes).or(department.map(|it| zone_named(&it.details.time_zone)));
    Some(Reached {
        user_id: Some(id),
        patient_id: None,
        has_email: address_of_user(user, Channel::Email).is_some(),
        has_phone: address_of_user(user, Channel::Sms).is_some(),
        wishes,
        zone,
    })
}

/// A patient who is alive, by the record that survives; `None` for nobody who can be reached.
fn reached_patient<'a>(id: PatientId, ctx: &Context<'a>) -> Option<Reached<'a>> {
    let found = ctx.found;
    if has_died(id, ctx) {
        return None;
    }
    let survivor = survivor_of(id, found);
    let patient = found.get::<Patient>(survivor)?;
    let records = records_of(id, found).into_iter();
    let logins = records.flat_map(|it| found.owners::<User>(scopes::USER_PATIENT, it.to_string()));
    let login = logins.filter(|(_, user)| user.is_active).map(|(id, _)| UserId(id)).next();
    let wishes = wishes(Person::PatientId(survivor), found);
    Some(Reached {
        user_id: login,
        patient_id: Some(survivor),
        has_email: address_of_patient(patient, Channel::Email).is_some(),
        has_phone: address_of_patient(patient, Channel::Sms).is_some(),
        wishes,
        zone: zone(wishes),
    })
}

/// Where and how a user or a patient is reached now; `None` for somebody who has died or is no longer active.
pub(super) fn reached<'a>(person: Option<Person>, ctx: &Context<'a>) -> Option<Reached<'a>> {
    match person? {
        Person::PatientId(id) => reached_patient(id, ctx),
        Person::UserId(id) => reached_user(id, ctx),
    }
}

impl<'a> Reached<'a> {
    /// What they want; of somebody who never said, nothing in particular.
    pub(super) fn wishes(&self) -> Option<&'a Wishes> {
        self.wishes
    }

    /// Whether a patient is reached.
    pub(super) fn is_patient(&self) -> bool {
        self.patient_id.is_some()
    }

    /// The time zone of their quiet hours, if they or their department have one.
    pub(super) fn zone(&self) -> Option<Tz> {
        self.zone
    }

    /// Whether they can be reached on a channel: within the program with a login, elsewhere with an address.
    pub(super) fn is_on(&self, channel: Channel) -> bool {
        match channel {
            Channel::InApp => self.user_id.is_some(),
            Channel::Email => self.has_email,
            Channel::Sms => self.has_phone,
            Channel::Push => false,
        }
    }

    /// Whether they have switched a type of notification off for a channel.
    pub(super) fn has_opted_out(&self, notification_type: NotificationType, channel: Channel) -> bool {
        let wanted = self.wishes.and_then(|it| it.channels_of(notification_type));
        !notification_type.is_critical() && wanted.is_some_and(|it| !it.contains(&channel))
    }

    /// The channels on which they get a type of notification: those that they want, or else the usual ones. Patients
    /// get e-mails, or text messages if they have no e-mail address. What is critical comes on every channel, whatever
    /// they want.
    fn channels(&self, notification_type: NotificationType) -> Vec<Channel> {
        if notification_type.is_critical() {
            return vec![Channel::InApp, Channel::Email, Channel::Sms];
        }
        match self.wishes.and_then(|it| it.channels_of(notification_type)) {
            Some(wanted) => wanted.to_vec(),
            None if self.patient_id.is_some() && !self.has_email => vec![Channel::InApp, Channel::Sms],
            None if self.patient_id.is_some() => vec![Channel::InApp, Channel::Email],
            None => vec![Channel::InApp],
        }
    }

    /// The deliveries to them: on one channel, or on all on which they get this type. There is none on a channel for
    /// which they have no address. The address is looked up when it is needed: an event about one person says nothing
    /// personal of another, which would stay when the other is erased.
    pub(super) fn deliveries(
        &self,
        notification_type: NotificationType,
        channel: Option<Channel>,
    ) -> impl Iterator<Item = Recipient> + '_ {
        let channels = match channel {
            Some(channel) if self.has_opted_out(notification_type, channel) => Vec::new(),
            Some(channel) => vec![channel],
            None => self.channels(notification_type),
        };
        channels.into_iter().filter(|channel| self.is_on(*channel)).map(|channel| Recipient {
            recipient_id: uuid::Uuid::nil().into(),
            user_id: self.user_id.filter(|_| self.patient_id.is_none() || channel == Channel::InApp),
            patient_id: self.patient_id,
            channel,
            address: None,
            next_attempt_at: None,
        })
    }
}
