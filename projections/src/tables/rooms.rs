use hims_domain::room::{Event, RoomStatus};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per room.
    RoomRow in "rooms", catalogue for everybody, stamped {
        /// The room.
        id: Uuid [indexed],
        /// The department to which the room belongs.
        department_id: Uuid [indexed],
        /// The number of the room, unique in the department.
        room_number: String,
        /// The name of the room.
        name: Option<String>,
        /// The purpose of the room.
        room_type: String,
        /// The number of patients for whom the room has space.
        capacity: i32,
        /// The status of the room, which says whether the room can be used.
        status: String,
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, RoomRow>) {
    match event.data {
        Event::Added(details) => rows.insert(RoomRow {
            id: event.stream_id,
            department_id: details.department_id.into(),
            room_number: details.room_number.0.clone(),
            name: text(details.name.as_ref()),
            room_type: details.room_type.to_string(),
            capacity: details.capacity,
            status: RoomStatus::Active.to_string(),
            stamps: event.stamps(),
        }),
        Event::Changed(details) => rows.change(event, |row| {
            row.department_id = details.department_id.into();
            row.room_number.clone_from(&details.room_number.0);
            row.name = text(details.name.as_ref());
            row.room_type = details.room_type.to_string();
            row.capacity = details.capacity;
        }),
        Event::Suspended { reason: _ } => rows.change(event, |row| row.status = RoomStatus::Suspended.to_string()),
        Event::Reactivated => rows.change(event, |row| row.status = RoomStatus::Active.to_string()),
    }
}
