/// Declares the commands of an aggregate that only move a field, such as the status, from certain values to another.
///
/// Each entry names the command, the permission that the command needs, its fields besides the id of the aggregate, the
/// values of the field before and after the step, and the event that records the step. A command records nothing when
/// the field has the new value already, and is refused as `wrong-status` when the field has any other value.
///
/// ```text
/// steps! {
///     Room by room_id: RoomId, "Which room.";
///     /// Takes a room out of use. Existing bookings of the room stay.
///     SuspendRoom = "suspend-room" needs Update::Rooms
///         with { /// Why the room is taken out of use.
///                reason: Reason }
///         moves status from [RoomStatus::Active] to [RoomStatus::Suspended] by Event::Suspended { reason },
///         undone by ReactivateRoom;
/// }
/// ```
macro_rules! steps {
    (
        $aggregate:ident by $id:ident: $id_type:ty, $which:literal;
        $(
            $(#[doc = $about:literal])*
            $name:ident = $command:literal needs $verb:ident::$word:ident
                $(with { $( $(#[doc = $doc:literal])* $field:ident: $type:ty ),* $(,)? })?
                moves $status:ident from [$from:pat] to [$to:pat] by $event:expr
                $(, undone by $undone:ident)?;
        )*
    ) => {
        ::hims_domain::described! {
            $(
                $(#[doc = $about])*
                pub struct $name {
                    #[doc = $which]
                    pub $id: $id_type,
                    $($( $(#[doc = $doc])* pub $field: $type, )*)?
                }
            )*
        }

        $(
            impl $crate::Command for $name {
                const NAME: &'static str = $command;
                const PERMISSION: $crate::Permission =
                    $crate::Permission::$verb(::hims_domain::permission::$verb::$word);
                $(const REVERSED_BY: Option<&'static str> = Some(<$undone as $crate::Command>::NAME);)?
                type Aggregate = $aggregate;

                fn target(&self) -> $crate::Target {
                    $crate::Target::existing(self.$id)
                }

                #[allow(clippy::redundant_pattern_matching, reason = "a flag is a status with two values")]
                fn follows_on(state: &$aggregate) -> bool {
                    matches!(state.$status, $from)
                }

                fn decide(
                    self,
                    state: Option<&$aggregate>,
                    _: &$crate::Context<'_>,
                ) -> Result<$crate::Decision<$aggregate>, $crate::Refused> {
                    let Self { $id: _ $($(, $field)*)? } = self;
                    #[allow(unreachable_patterns, reason = "a flag has no third value to refuse")]
                    match $crate::machinery::command::existing(state)?.$status {
                        $to => Ok($crate::Decision::nothing()),
                        $from => Ok($crate::Decision::event($event)),
                        status => Err($crate::Refused::wrong_status::<$aggregate>(status)),
                    }
                }
            }
        )*
    };
}
pub(crate) use steps;
