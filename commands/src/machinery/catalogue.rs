/// Declares the two commands of a catalogue's aggregate that add an entry and change its details field by field.
///
/// The declaration names the aggregate, its field with the details, the function that refuses details that break a
/// rule, and, where details name other records, the function that says what is to be looked up. Both functions are also
/// given what stands before a change, the one that looks up with the id of the entry. Then follow both commands, each with the permission that the command needs and the event that records the details. A change that
/// changes nothing records nothing.
///
/// ```text
/// catalogue! {
///     Payer by payer_id: PayerId, "Which payer.";
///     details: Details, "The payer's details.", checked by check;
///
///     /// Adds a payer, such as an insurer.
///     AddPayer = "add-payer" needs Create::Payers
///         with { /// The id of the new payer; issued by the server if left out.
///                id }
///         by Event::Added(details), undone by DeactivatePayer;
///
///     /// Changes a payer's details.
///     ChangePayer = "change-payer" needs Update::Payers
///         with { /// The fields to change; a field that is left out stays, null empties a field.
///                changes }
///         by Event::Changed(details);
/// }
/// ```
macro_rules! catalogue {
    (
        $aggregate:ident by $id:ident: $id_type:ty, $which:literal;
        $details:ident: $details_type:ty, $what:literal $(, looked up by $reads:ident)?, checked by $check:ident;

        $(#[doc = $about_add:literal])*
        $add:ident = $add_name:literal needs $add_verb:ident::$add_word:ident
            with { $(#[doc = $about_id:literal])* $new_id:ident }
            by $added:expr, undone by $undone:ident;

        $(#[doc = $about_change:literal])*
        $change:ident = $change_name:literal needs $change_verb:ident::$change_word:ident
            with { $(#[doc = $about_changes:literal])* $changes:ident }
            by $changed:expr;
    ) => {
        ::hims_domain::described! {
            $(#[doc = $about_add])*
            pub struct $add {
                $(#[doc = $about_id])*
                pub $new_id: Option<$id_type>,
                #[doc = $what]
                #[serde(flatten)]
                pub $details: $details_type,
            }

            $(#[doc = $about_change])*
            pub struct $change {
                #[doc = $which]
                pub $id: $id_type,
                $(#[doc = $about_changes])*
                #[serde(flatten)]
                pub $changes: $crate::Patch<$details_type>,
            }
        }

        impl $crate::Command for $add {
            const NAME: &'static str = $add_name;
            const PERMISSION: $crate::Permission =
                $crate::Permission::$add_verb(::hims_domain::permission::$add_verb::$add_word);
            const REVERSED_BY: Option<&'static str> = Some(<$undone as $crate::Command>::NAME);
            type Aggregate = $aggregate;

            fn target(&self) -> $crate::Target {
                $crate::Target::new(self.$new_id)
            }

            $(
                fn reads(&self, _: Option<&$aggregate>, found: &$crate::Found) -> $crate::Reads {
                    $reads(&self.$details, None, found)
                }
            )?

            fn decide(
                self,
                _: Option<&$aggregate>,
                ctx: &$crate::Context<'_>,
            ) -> Result<$crate::Decision<$aggregate>, $crate::Refused> {
                let $details = self.$details;
                $check(&$details, None, ctx)?;
                Ok($crate::Decision::event($added))
            }
        }

        impl $crate::Command for $change {
            const NAME: &'static str = $change_name;
            const PERMISSION: $crate::Permission =
                $crate::Permission::$change_verb(::hims_domain::permission::$change_verb::$change_word);
            const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
            type Aggregate = $aggregate;

            fn target(&self) -> $crate::Target {
                $crate::Target::existing(self.$id)
            }

            $(
                fn reads(&self, state: Option<&$aggregate>, found: &$crate::Found) -> $crate::Reads {
                    let Some(before) = state.map(|it| &it.$details) else { return $crate::Reads::nothing() };
                    match self.$changes.clone().apply(before) {
                        Ok(after) => $reads(&after, Some((self.$id, before)), found),
                        Err(_) => $crate::Reads::nothing(),
                    }
                }
            )?

            fn decide(
                self,
                state: Option<&$aggregate>,
                ctx: &$crate::Context<'_>,
            ) -> Result<$crate::Decision<$aggregate>, $crate::Refused> {
                let before = &$crate::machinery::command::existing(state)?.$details;
                let $details = self.$changes.apply(before)?;
                if $details == *before {
                    return Ok($crate::Decision::nothing());
                }
                $check(&$details, Some(before), ctx)?;
                Ok($crate::Decision::event($changed))
            }
        }
    };
}
pub(crate) use catalogue;
