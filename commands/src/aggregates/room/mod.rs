//! Rooms: adding and changing rooms, taking rooms out of use and back into use.

use hims_domain::department::Department;
use hims_domain::permission::{Create, Update};
use hims_domain::room::{Details, Event, Room, RoomStatus};
use hims_domain::values::Reason;
use hims_domain::{RoomId, described};
use uuid::Uuid;

use crate::department::open_department;
use crate::machinery::command::existing;
use crate::machinery::step::steps;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Patch, Permission, Reads, Refused, Registry, Target, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddRoom>().add::<ChangeRoom>().add::<SuspendRoom>().add::<ReactivateRoom>();
}

described! {
    /// Adds a room to a department.
    pub struct AddRoom {
        /// The id of the new room; issued by the server if left out.
        pub id: Option<RoomId>,
        /// The room's details.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes a room's details.
    pub struct ChangeRoom {
        /// Which room.
        pub room_id: RoomId,
        /// The fields to change; a field that is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

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

fn check(details: &Details, ctx: &Context<'_>) -> Result<(), Refused> {
    open_department(ctx, details.department_id)?;
    if !(1..=1000).contains(&details.capacity) {
        return Err(Refused::field("out-of-range", "/capacity", "give a capacity of 1 to 1000"));
    }
    Ok(())
}

impl Command for AddRoom {
    const NAME: &'static str = "add-room";
    const PERMISSION: Permission = Permission::Create(Create::Rooms);
    const REVERSED_BY: Option<&'static str> = Some(SuspendRoom::NAME);
    type Aggregate = Room;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Room>, _: &Found) -> Reads {
        Reads::nothing().stream::<Department>(self.details.department_id)
    }

    fn decide(self, _: Option<&Room>, ctx: &Context<'_>) -> Result<Decision<Room>, Refused> {
        check(&self.details, ctx)?;
        Ok(Decision::event(Event::Added(self.details)))
    }
}

impl Command for ChangeRoom {
    const NAME: &'static str = "change-room";
    const PERMISSION: Permission = Permission::Update(Update::Rooms);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Room;

    fn target(&self) -> Target {
        Target::existing(self.room_id)
    }

    fn reads(&self, state: Option<&Room>, _: &Found) -> Reads {
        let changed = state.and_then(|it| self.changes.clone().apply(&it.details).ok());
        Reads::nothing().maybe::<Department>(changed.map(|it| it.department_id))
    }

    fn decide(self, state: Option<&Room>, ctx: &Context<'_>) -> Result<Decision<Room>, Refused> {
        let room = existing(state)?;
        let details = self.changes.apply(&room.details)?;
        if details == room.details {
            return Ok(Decision::nothing());
        }
        check(&details, ctx)?;
        Ok(Decision::event(Event::Changed(details)))
    }
}

#[cfg(test)]
mod tests;
