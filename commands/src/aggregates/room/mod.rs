//! Rooms: adding and changing rooms, taking rooms out of use and back into use.

use hims_domain::RoomId;
use hims_domain::department::Department;
use hims_domain::room::{Details, Event, Room, RoomStatus};
use hims_domain::values::Reason;
use uuid::Uuid;

use crate::department::open_department;
use crate::machinery::catalogue::catalogue;
use crate::machinery::step::steps;
use crate::{Claims, Context, Found, Held, Reads, Refused, Registry, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddRoom>().add::<ChangeRoom>().add::<SuspendRoom>().add::<ReactivateRoom>();
}

catalogue! {
    Room by room_id: RoomId, "Which room.";
    details: Details, "The room's details.", looked up by reads, checked by check;

    /// Adds a room to a department.
    AddRoom = "add-room" needs Create::Rooms
        with {
            /// The id of the new room; issued by the server if left out.
            id
        }
        by Event::Added(details), undone by SuspendRoom;

    /// Changes a room's details.
    ChangeRoom = "change-room" needs Update::Rooms
        with {
            /// The fields to change; a field that is left out stays.
            changes
        }
        by Event::Changed(details);
}

steps! {
    Room by room_id: RoomId, "Which room.";

    /// Takes a room out of use. Existing bookings of the room stay.
    SuspendRoom = "suspend-room" needs Update::Rooms
        with {
            /// Why the room is taken out of use.
            reason: Reason,
        }
        moves status from [RoomStatus::Active] to [RoomStatus::Suspended] by Event::Suspended { reason },
        undone by ReactivateRoom;

    /// Takes a room back into use.
    ReactivateRoom = "reactivate-room" needs Update::Rooms
        moves status from [RoomStatus::Suspended] to [RoomStatus::Active] by Event::Reactivated, undone by SuspendRoom;
}

impl Claims for Room {
    /// The room number is unique in its department, regardless of upper and lower case.
    fn claims(&self, _: Uuid, held: &mut Held) {
        let number = self.details.room_number.as_str().to_uppercase();
        held.take(scopes::ROOM_NUMBER, scopes::key(&[&self.details.department_id.to_string(), &number]));
    }
}

fn reads(details: &Details, _: Option<(RoomId, &Details)>, _: &Found) -> Reads {
    Reads::nothing().stream::<Department>(details.department_id)
}

fn check(details: &Details, _: Option<&Details>, ctx: &Context<'_>) -> Result<(), Refused> {
    open_department(ctx, details.department_id)?;
    if !(1..=1000).contains(&details.capacity) {
        return Err(Refused::field("out-of-range", "/capacity", "give a capacity of 1 to 1000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
