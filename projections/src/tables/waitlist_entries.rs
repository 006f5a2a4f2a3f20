use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::waitlist_entry::{Event, Offer, Status, Wish};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per place of a patient on the waiting list, whatever its status.
    WaitlistRow in "waitlist_entries",
    readers [AllAppointments, AssignedPatients, ClinicalRecords, OwnRecords],
    stamped by (created_by, updated_by),
    indexes [
        (status, joined_at), (status, offer_expires_at), (department_id, joined_at), (provider_id, joined_at),
        (patient_id, joined_at),
    ] {
        /// The entry.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The department in which the patient waits; null if the patient waits for a certain provider.
        department_id: Option<Uuid> [indexed],
        /// The provider for whom the patient waits; null if the patient waits for anybody of a department.
        provider_id: Option<Uuid> [indexed],
        /// The kind of appointment, such as `follow_up`.
        appointment_type: String,
        /// How long the appointment takes, in minutes.
        duration_minutes: i32,
        /// How urgent the appointment is.
        priority: String,
        /// The first day that suits the patient, in `time_zone`.
        earliest: NaiveDate,
        /// The last day that suits the patient, in `time_zone`.
        latest: NaiveDate,
        /// The days of the week that suit the patient, from 1 (Monday) to 7 (Sunday); null for every day.
        weekdays: Option<Value>,
        /// From which time of day on the appointment may begin, in `time_zone`.
        time_from: Option<String>,
        /// By which time of day the appointment must end, in `time_zone`.
        time_until: Option<String>,
        /// The time zone of the days and times of day (IANA database).
        time_zone: String,
        /// A later appointment of the patient, which is cancelled when the patient accepts an offer.
        gives_up_appointment_id: Option<Uuid> [indexed],
        /// Since when the patient waits.
        joined_at: DateTime<Utc> [indexed],
        /// The status of the entry.
        status: String [indexed] of hims_domain::waitlist_entry::Status::CODES,
        /// The provider of the offer that is held for the patient.
        offered_provider_id: Option<Uuid>,
        /// The department of the offer.
        offered_department_id: Option<Uuid> [indexed],
        /// The room of the offer, if one is held.
        offered_room_id: Option<Uuid>,
        /// When the offered appointment begins.
        offered_starts_at: Option<DateTime<Utc>>,
        /// When the offered appointment ends.
        offered_ends_at: Option<DateTime<Utc>>,
        /// From when on the offer can no longer be accepted.
        offer_expires_at: Option<DateTime<Utc>>,
        /// How many offers were made to the patient, whatever the patient answered.
        offers: i32,
        /// How many offers the patient did not answer.
        unanswered_offers: i32,
        /// The appointment that was made of an offer.
        appointment_id: Option<Uuid> [indexed],
        /// Why the patient does not wait any more.
        left_reason: Option<String> [personal],
    }
}

fn set_wish(row: &mut WaitlistRow, wish: &Wish, time_zone: &str) {
    row.department_id = wish.department_id.map(Uuid::from);
    row.provider_id = wish.provider_id.map(Uuid::from);
    row.appointment_type.clone_from(&wish.appointment_type.0);
    row.duration_minutes = wish.duration_minutes;
    row.priority = wish.priority.to_string();
    row.earliest = wish.earliest;
    row.latest = wish.latest;
    row.weekdays = wish.weekdays.as_ref().map(|it| json!(it));
    row.time_from = wish.time_from.as_ref().map(ToString::to_string);
    row.time_until = wish.time_until.as_ref().map(ToString::to_string);
    time_zone.clone_into(&mut row.time_zone);
    row.gives_up_appointment_id = wish.gives_up_appointment_id.map(Uuid::from);
}

fn set_offer(row: &mut WaitlistRow, offer: Option<&Offer>) {
    row.offered_provider_id = offer.map(|it| it.opening.provider_id.into());
    row.offered_department_id = offer.and_then(|it| it.opening.department_id).map(Uuid::from);
    row.offered_room_id = offer.and_then(|it| it.opening.room_id).map(Uuid::from);
    row.offered_starts_at = offer.map(|it| it.slot.starts_at);
    row.offered_ends_at = offer.map(|it| it.slot.ends_at());
    row.offer_expires_at = offer.map(|it| it.expires_at);
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, WaitlistRow>) {
    /// Moves the row on, without an offer. An offer that was not answered is counted.
    fn end(row: &mut WaitlistRow, status: Status, unanswered: bool) {
        row.status = status.to_string();
        row.unanswered_offers += i32::from(unanswered);
        set_offer(row, None);
    }
    match event.data {
        Event::Joined { patient_id, wish, time_zone, joined_at } => {
            let mut row = WaitlistRow {
                id: event.stream_id,
                patient_id: (*patient_id).into(),
                department_id: None,
                provider_id: None,
                appointment_type: String::new(),
                duration_minutes: wish.duration_minutes,
                priority: String::new(),
                earliest: wish.earliest,
                latest: wish.latest,
                weekdays: None,
                time_from: None,
                time_until: None,
                time_zone: String::new(),
                gives_up_appointment_id: None,
                joined_at: *joined_at,
                status: Status::Waiting.to_string(),
                offered_provider_id: None,
                offered_department_id: None,
                offered_room_id: None,
                offered_starts_at: None,
                offered_ends_at: None,
                offer_expires_at: None,
                offers: 0,
                unanswered_offers: 0,
                appointment_id: None,
                left_reason: None,
                stamps: event.stamps(),
            };
            set_wish(&mut row, wish, time_zone.as_str());
            rows.insert(row);
        }
        Event::Changed { wish, time_zone } => rows.change(event, |row| set_wish(row, wish, time_zone.as_str())),
        Event::Offered(offer) => rows.change(event, |row| {
            row.status = Status::Offered.to_string();
            row.offers += 1;
            set_offer(row, Some(offer));
        }),
        Event::Accepted { appointment_id } => rows.change(event, |row| {
            end(row, Status::Fulfilled, false);
            row.appointment_id = Some((*appointment_id).into());
        }),
        Event::Declined { opening: _ } => rows.change(event, |row| end(row, Status::Waiting, false)),
        Event::Expired { opening: _ } => rows.change(event, |row| end(row, Status::Waiting, true)),
        Event::Lapsed { opening } => rows.change(event, |row| end(row, Status::Lapsed, opening.is_some())),
        Event::Left { opening: _, reason } => rows.change(event, |row| {
            end(row, Status::Withdrawn, false);
            row.left_reason = known_text(reason.as_ref());
        }),
    }
}
