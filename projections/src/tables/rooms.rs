use chrono::{DateTime, Utc};
use hims_domain::room::{Event, RoomStatus};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::table;

table! {
    /// One row per room.
    RoomRow in "rooms" {
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
        /// Version of the stream.
        version: i32,
        /// When it was added.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
    }
}

pub(crate) fn project(event: &Projected<'_, Event>, rows: &mut Changes<RoomRow>) {
    let stamp = event.stamp();
    let set_status = |rows: &mut Changes<RoomRow>, status: RoomStatus| {
        rows.update(event.stream_id, move |row| {
            row.status = status.to_string();
            (row.version, row.updated_at) = (stamp.version, stamp.at);
        });
    };
    match event.data {
        Event::Added(details) => rows.insert(RoomRow {
            id: event.stream_id,
            department_id: details.department_id.into(),
            room_number: details.room_number.0.clone(),
            name: details.name.as_ref().map(|it| it.0.clone()),
            room_type: details.room_type.to_string(),
            capacity: details.capacity,
            status: RoomStatus::Active.to_string(),
            version: stamp.version,
            created_at: stamp.at,
            updated_at: stamp.at,
        }),
        Event::Changed(details) => {
            let details = details.clone();
            rows.update(event.stream_id, move |row| {
                row.department_id = details.department_id.into();
                row.room_number = details.room_number.0;
                row.name = details.name.map(|it| it.0);
                row.room_type = details.room_type.to_string();
                row.capacity = details.capacity;
                (row.version, row.updated_at) = (stamp.version, stamp.at);
            });
        }
        Event::Suspended { reason: _ } => set_status(rows, RoomStatus::Suspended),
        Event::Reactivated => set_status(rows, RoomStatus::Active),
    }
}
