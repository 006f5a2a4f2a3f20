use hims_domain::room::{Event, RoomStatus};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per room.
    RoomRow in "rooms", stamped {
        /// The room.
        id: Uuid [indexed],
        /// Whose it is.
        department_id: Uuid [indexed],
        /// Its number, unique in the department.
        room_number: String,
        /// Its name.
        name: Option<String>,
        /// What it is for.
        room_type: String,
        /// How many patients it takes.
        capacity: i32,
        /// Whether it can be used.
        status: String,
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, RoomRow>) {
    match event.data {
        Event::Added(details) => rows.insert(RoomRow {
            id: event.stream_id,
            department_id: details.department_id.into(),
            room_number: details.room_number.0.clone(),
            name: details.name.as_ref().map(|it| it.0.clone()),
            room_type: details.room_type.to_string(),
            capacity: details.capacity,
            status: RoomStatus::Active.to_string(),
            stamps: event.stamps(),
        }),
        Event::Changed(details) => rows.change(event, |row| {
            row.department_id = details.department_id.into();
            row.room_number.clone_from(&details.room_number.0);
            row.name = details.name.as_ref().map(|it| it.0.clone());
            row.room_type = details.room_type.to_string();
            row.capacity = details.capacity;
        }),
        Event::Suspended { reason: _ } => rows.change(event, |row| row.status = RoomStatus::Suspended.to_string()),
        Event::Reactivated => rows.change(event, |row| row.status = RoomStatus::Active.to_string()),
    }
}
