use std::collections::BTreeMap;

use hims_domain::notification_preferences::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per user or patient who said how they want to be notified.
    PreferencesRow in "notification_preferences", stamped by {
        /// The preferences.
        id: Uuid [indexed],
        /// The user; null if they are those of a patient.
        user_id: Option<Uuid> [indexed],
        /// The patient; null if they are those of a user.
        patient_id: Option<Uuid> [indexed],
        /// The channels by type of notification. A type that is not there has its usual channels.
        channels: Value,
        /// When quiet hours begin; null for 21:00.
        quiet_from: Option<String>,
        /// When quiet hours end; null for 08:00.
        quiet_until: Option<String>,
        /// The time zone of the quiet hours; null for that of the department or of the hospital.
        time_zone: Option<String>,
        /// The language of e-mails and text messages.
        language: Option<String>,
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, preferences: &mut Changes<'e, PreferencesRow>) {
    let Event::Set { user_id, patient_id, wishes } = event.data;
    let row = PreferencesRow {
        id: event.stream_id,
        user_id: user_id.map(Uuid::from),
        patient_id: patient_id.map(Uuid::from),
        channels: json!(wishes.channels.as_ref().unwrap_or(&BTreeMap::new())),
        quiet_from: wishes.quiet_from.as_ref().map(ToString::to_string),
        quiet_until: wishes.quiet_until.as_ref().map(ToString::to_string),
        time_zone: text(wishes.time_zone.as_ref()),
        language: text(wishes.language.as_ref()),
        stamps: event.stamps(),
    };
    if event.version == 1 {
        preferences.insert(row);
    } else {
        preferences.change(event, move |it| *it = PreferencesRow { stamps: it.stamps, ..row });
    }
}
