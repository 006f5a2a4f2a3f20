//! Writing a notification: to whom it goes, on which channels, and when it is sent first.

use std::collections::{BTreeMap, BTreeSet};

use hims_domain::notification::{Channel, Content, Event, Notification, Recipient};
use hims_domain::notification_preferences::Person;
use hims_domain::patient::Patient;
use hims_domain::permission::Create;
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::values::{Email, Phone, Text};
use hims_domain::{NotificationId, PatientId, Personal, RoleId, UserId, derived, described};
use uuid::Uuid;

use super::recipients::{reached, reads_recipient};
use super::timing::Timing;
use super::{Refusal, occasion};
use crate::aggregates::patient::{reads_person, survivor_of};
use crate::department::fault_of_zone;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

/// How many recipients a request may name, and how many people get one notification.
const MOST: usize = 100;

described! {
    /// Somebody who is to get a notification: a user, a patient, or an address on a channel.
    pub struct Addressee {
        /// The user.
        pub user_id: Option<UserId>,
        /// The patient.
        pub patient_id: Option<PatientId>,
        /// The channel; for a user or a patient those that they want, or else the usual ones, if left out.
        pub channel: Option<Channel>,
        /// The e-mail address, phone number (in E.164, such as `+15554153084`) or device of somebody who is neither.
        pub address: Option<Personal<Text<255>>>,
    }

    /// Sends a notification to users and patients, or to addresses. What is urgent is also sent in the quiet hours of
    /// the recipients; everything else waits until they end.
    pub struct SendNotification {
        /// The id of the new notification; issued by the server if left out.
        pub id: Option<NotificationId>,
        /// What the notification says.
        #[serde(flatten)]
        pub content: Content,
        /// Who gets the notification: at most 100, and not more than one patient.
        pub recipients: Vec<Addressee>,
    }
}

impl Addressee {
    /// The user or patient; `None` for an address.
    fn person(&self) -> Option<Person> {
        Person::of(self.user_id, self.patient_id)
    }
}

/// A notification to be written: what it says, and to whom.
pub(super) struct Draft<'a> {
    pub(super) content: &'a Content,
    pub(super) recipients: &'a [Addressee],
    /// All active users who have one of these roles get the notification too.
    pub(super) roles: &'a [RoleId],
}

impl Draft<'_> {
    /// Looks up the recipients, and whether there was a notification of the same occasion before.
    pub(super) fn reads(&self, found: &Found) -> Reads {
        let mut reads = Reads::nothing();
        for it in self.recipients {
            reads = reads_recipient(reads, it.person(), found);
        }
        for role in self.roles {
            reads = reads.stream::<Role>(*role).candidates::<User>(scopes::USERS_WITH_ROLE, role.to_string());
            for (id, _) in found.owners::<User>(scopes::USERS_WITH_ROLE, role.to_string()) {
                reads = reads_recipient(reads, Some(Person::UserId(id.into())), found);
            }
        }
        if let Some(id) = self.content.subject_patient_id {
            reads = reads_person(reads, id, found);
        }
        match self.key(found) {
            Some(key) => reads.holders(scopes::NOTIFICATION_OCCASION, key),
            None => reads,
        }
    }

    /// The key of the occasion, if the notification names one.
    fn key(&self, found: &Found) -> Option<String> {
        let key = self.content.dedupe_key.as_ref()?;
        Some(occasion(self.content.r#type, self.subject(found), key))
    }

    /// The patient of whom the notification speaks: the one who is named, or else the one who gets it. Of a record that
    /// was merged into another, the other.
    fn subject(&self, found: &Found) -> Option<PatientId> {
        let named = self.content.subject_patient_id;
        let told = || self.recipients.iter().find_map(|it| it.patient_id);
        named.or_else(told).map(|it| survivor_of(it, found))
    }

    /// Whether a notification of the occasion was sent before.
    pub(super) fn is_repeated(&self, ctx: &Context<'_>) -> bool {
        self.key(ctx.found).is_some_and(|it| !ctx.found.holders(scopes::NOTIFICATION_OCCASION, it).is_empty())
    }

    /// The deliveries to everybody who can be reached, one for each person or address and channel.
    fn deliveries(&self, ctx: &Context<'_>) -> Vec<Recipient> {
        let notification_type = self.content.r#type;
        let of_roles = self.roles.iter().flat_map(|role| {
            let users = ctx.found.owners::<User>(scopes::USERS_WITH_ROLE, role.to_string());
            users.map(|(id, _)| (Some(Person::UserId(UserId(id))), None))
        });
        let named = self.recipients.iter().map(|it| (it.person(), it.channel));
        let visit = self.content.visit.as_ref();
        let priority = self.content.priority;
        let mut deliveries = Vec::new();
        for (person, channel) in named.chain(of_roles) {
            let Some(reached) = reached(person, ctx) else { continue };
            for mut recipient in reached.deliveries(notification_type, channel) {
                let timing = Timing::of(priority, visit, Some(&reached), ctx.hospital_zone);
                let is_sent = recipient.channel != Channel::InApp;
                recipient.next_attempt_at = is_sent.then(|| timing.earliest(ctx.now, ctx.now));
                deliveries.push(recipient);
            }
        }
        for it in self.recipients.iter().filter(|it| it.address.is_some()) {
            let (Some(channel), address) = (it.channel, it.address.clone()) else { continue };
            let timing = Timing::of(priority, visit, None, ctx.hospital_zone);
            let next_attempt_at = Some(timing.earliest(ctx.now, ctx.now));
            let recipient_id = Uuid::nil().into();
            let (user_id, patient_id) = (None, None);
            deliveries.push(Recipient { recipient_id, user_id, patient_id, channel, address, next_attempt_at });
        }
        let mut known = BTreeSet::new();
        deliveries.retain(|delivery| {
            let address = delivery.address.as_ref().and_then(Personal::known).map(|it| it.as_str().to_owned());
            let person = (delivery.user_id, delivery.patient_id);
            known.insert((delivery.channel, person, address.filter(|_| person == (None, None))))
        });
        for (nth, recipient) in (1..).zip(&mut deliveries) {
            recipient.recipient_id = ctx.new_id(nth).into();
        }
        deliveries
    }

    /// Begins the notification, unless nobody can be reached. If more people get it than one notification goes to,
    /// further ones begin with ids that are derived from the first.
    pub(super) fn decision(&self, ctx: &Context<'_>) -> Decision<Notification> {
        let parts = in_parts(self.deliveries(ctx)).into_iter();
        parts.fold(Decision::nothing(), |decision, (part, recipients)| {
            let mut events = self.events(part, recipients, ctx).into_iter();
            if part == 0 {
                return events.fold(decision, Decision::followed_by);
            }
            let id = derived("notification part", &[&ctx.id.to_string(), &part.to_string()]);
            let begun = events.next().into_iter().fold(decision, |it, event| it.begin::<Notification>(id, event));
            events.fold(begun, |it, event| it.also::<Notification>(id, event))
        })
    }

    /// The events that begin one part of the notification. What would be sent too late for its purpose is expired at
    /// once. Each part has an occasion of its own.
    fn events(&self, part: usize, recipients: Vec<Recipient>, ctx: &Context<'_>) -> Vec<Event> {
        let late = |it: &&Recipient| it.next_attempt_at.zip(self.content.expires_at).is_some_and(|(at, end)| at >= end);
        let expired: Vec<_> =
            recipients.iter().filter(late).map(|it| Event::Expired { recipient_id: it.recipient_id }).collect();
        let mut content = Content { subject_patient_id: self.subject(ctx.found), ..self.content.clone() };
        if part > 0 {
            content.dedupe_key = content.dedupe_key.map(|it| Text(format!("{} part {part}", it.as_str())));
        }
        let created = Event::Created { content: Box::new(content), recipients };
        [created].into_iter().chain(expired).collect()
    }
}

/// Deliveries in parts, each to as many people as one notification goes to, by the number of the part from 0. All
/// deliveries to one person are in one part.
fn in_parts(deliveries: Vec<Recipient>) -> BTreeMap<usize, Vec<Recipient>> {
    let (mut part_of, mut parts) = (BTreeMap::<Uuid, usize>::new(), BTreeMap::<usize, Vec<_>>::new());
    for it in deliveries {
        let person = it.patient_id.map(Uuid::from).or(it.user_id.map(Uuid::from));
        let next = part_of.len() / MOST;
        let part = *part_of.entry(person.unwrap_or(it.recipient_id.into())).or_insert(next);
        parts.entry(part).or_default().push(it);
    }
    parts
}

/// The fault of an address, if it is none of its channel.
fn fault_of_address(channel: Option<Channel>, address: &Personal<Text<255>>) -> Option<&'static str> {
    let text = address.known().map(Text::as_str).unwrap_or_default();
    match channel {
        Some(Channel::Email) => Email::parse(text).err(),
        Some(Channel::Sms) => Phone::parse(text).err(),
        Some(Channel::Push) => None,
        Some(Channel::InApp) => Some("name a user or a patient for a notification within the program"),
        None => Some("say on which channel the address is"),
    }
}

impl SendNotification {
    fn draft(&self) -> Draft<'_> {
        Draft { content: &self.content, recipients: &self.recipients, roles: &[] }
    }

    /// Refuses recipients who are not there, or who may not be told together.
    fn check(&self, ctx: &Context<'_>) -> Result<(), Refused> {
        let at = |nth: usize, field: &str| format!("/recipients/{nth}{field}");
        if self.recipients.is_empty() || self.recipients.len() > MOST {
            let message = format!("name 1 to {MOST} recipients");
            return Err(Refused::field("recipients", "/recipients", message));
        }
        for (nth, it) in self.recipients.iter().enumerate() {
            let named =
                [it.user_id.is_some(), it.patient_id.is_some(), it.address.is_some()].into_iter().filter(|it| *it);
            if named.count() != 1 {
                let message = "name either a user, or a patient, or an address with its channel";
                return Err(Refused::field("recipients", &at(nth, ""), message));
            }
            if let Some(id) = it.user_id {
                ctx.named::<User>(id, &at(nth, "/user_id"))?;
            }
            if let Some(id) = it.patient_id {
                ctx.named::<Patient>(id, &at(nth, "/patient_id"))?;
            }
            if let Some(fault) = it.address.as_ref().and_then(|address| fault_of_address(it.channel, address)) {
                return Err(Refused::field("malformed-address", &at(nth, "/address"), fault));
            }
        }
        if let Some(id) = self.content.subject_patient_id {
            ctx.named::<Patient>(id, "/subject_patient_id")?;
        }
        let told = self.recipients.iter().filter_map(|it| it.patient_id);
        let patients: BTreeSet<_> = told.chain(self.content.subject_patient_id).collect();
        let is_about_nobody = patients.is_empty() && self.recipients.iter().all(|it| it.user_id.is_none());
        if is_about_nobody {
            let message = "say of which patient the notification speaks, since all recipients are addresses";
            return Err(Refused::field("no-subject", "/subject_patient_id", message));
        }
        let several = self.recipients.iter().any(|it| it.patient_id.is_some()) && patients.len() > 1;
        if several { refuse(Refusal::OneFor { patients: patients.len() }) } else { Ok(()) }
    }

    /// Refuses links that leave the program, times that are over, and time zones that there are not.
    fn check_content(&self, ctx: &Context<'_>) -> Result<(), Refused> {
        let is_path = |it: &str| it.starts_with('/') && !it.starts_with("//") && !it.contains(['\\', ' ']);
        if self.content.action_url.as_ref().is_some_and(|it| !is_path(it.as_str())) {
            let message = "give a path within the program that begins with one slash, such as /appointments";
            return Err(Refused::field("not-a-path", "/action_url", message));
        }
        if self.content.expires_at.is_some_and(|it| it <= ctx.now) {
            return Err(Refused::field("in-the-past", "/expires_at", "give a time that is still to come"));
        }
        if let Some(fault) = self.content.visit.as_ref().and_then(|it| fault_of_zone(&it.time_zone)) {
            return Err(Refused::field("unknown-time-zone", "/visit/time_zone", fault));
        }
        Ok(())
    }
}

impl Command for SendNotification {
    const NAME: &'static str = "send-notification";
    const PERMISSION: Permission = Permission::Create(Create::Notifications);
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Notification>, found: &Found) -> Reads {
        self.draft().reads(found)
    }

    fn decide(self, _: Option<&Notification>, ctx: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        self.check(ctx)?;
        self.check_content(ctx)?;
        let draft = self.draft();
        if draft.is_repeated(ctx) {
            return Ok(Decision::nothing());
        }
        let decision = draft.decision(ctx);
        if decision.is_nothing() { refuse(Refusal::NobodyToReach) } else { Ok(decision) }
    }
}
