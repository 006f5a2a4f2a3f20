//! Rooms: adding and changing them, taking them out of use and back.

use hims_domain::department::Department;
use hims_domain::permission::{Create, Update};
use hims_domain::room::{Details, Event, Room, RoomStatus};
use hims_domain::values::LongText;
use hims_domain::{RoomId, described};

use crate::department::open_department;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Registry, Target, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AddRoom>().add::<ChangeRoom>().add::<SuspendRoom>().add::<ReactivateRoom>();
}

described! {
    /// Adds a room to a department.
    pub struct AddRoom {
        /// Issued unless given.
        pub id: Option<RoomId>,
        /// What it is.
        #[serde(flatten)]
        pub details: Details,
    }

    /// Changes what a room is.
    pub struct ChangeRoom {
        /// Which room.
        pub room_id: RoomId,
        /// What changes; what is left out stays.
        #[serde(flatten)]
        pub changes: Patch<Details>,
    }

    /// Takes a room out of use. What was booked there before stays booked.
    pub struct SuspendRoom {
        /// Which room.
        pub room_id: RoomId,
        /// Why.
        pub reason: LongText,
    }

    /// Takes a room back into use.
    pub struct ReactivateRoom {
        /// Which room.
        pub room_id: RoomId,
    }
}

fn check(details: &Details, ctx: &Context<'_>) -> Result<(), Refused> {
    open_department(ctx, details.department_id)?;
    if !(1..=1000).contains(&details.capacity) {
        return Err(Refused::field("out-of-range", "/capacity", "give a capacity of 1 to 1000"));
    }
    Ok(())
}

fn number(details: &Details) -> String {
    format!("{}/{}", details.department_id, details.room_number.as_str().to_uppercase())
}

impl Command for AddRoom {
    const NAME: &'static str = "add-room";
    const PERMISSION: Permission = Permission::Create(Create::Rooms);
    type Aggregate = Room;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Room>, _: &Found) -> Reads {
        Reads::nothing().stream::<Department>(self.details.department_id)
    }

    fn decide(self, _: Option<&Room>, ctx: &Context<'_>) -> Result<Decision<Room>, Refused> {
        check(&self.details, ctx)?;
        let number = number(&self.details);
        Ok(Decision::event(Event::Added(self.details)).take(scopes::ROOM_NUMBER, number))
    }
}

impl Command for ChangeRoom {
    const NAME: &'static str = "change-room";
    const PERMISSION: Permission = Permission::Update(Update::Rooms);
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
        let (old, new) = (number(&room.details), number(&details));
        Ok(Decision::event(Event::Changed(details)).exchange(scopes::ROOM_NUMBER, Some(old), Some(new)))
    }
}

impl Command for SuspendRoom {
    const NAME: &'static str = "suspend-room";
    const PERMISSION: Permission = Permission::Update(Update::Rooms);
    type Aggregate = Room;

    fn target(&self) -> Target {
        Target::existing(self.room_id)
    }

    fn decide(self, state: Option<&Room>, _: &Context<'_>) -> Result<Decision<Room>, Refused> {
        match existing(state)?.status {
            RoomStatus::Suspended => Ok(Decision::nothing()),
            RoomStatus::Active => Ok(Decision::event(Event::Suspended { reason: self.reason })),
        }
    }
}

impl Command for ReactivateRoom {
    const NAME: &'static str = "reactivate-room";
    const PERMISSION: Permission = Permission::Update(Update::Rooms);
    type Aggregate = Room;

    fn target(&self) -> Target {
        Target::existing(self.room_id)
    }

    fn decide(self, state: Option<&Room>, _: &Context<'_>) -> Result<Decision<Room>, Refused> {
        match existing(state)?.status {
            RoomStatus::Active => Ok(Decision::nothing()),
            RoomStatus::Suspended => Ok(Decision::event(Event::Reactivated)),
        }
    }
}

#[cfg(test)]
mod tests;
