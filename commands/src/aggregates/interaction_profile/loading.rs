//! What an import of interactions records. The commands are not in the registry, since only an import gives them.

use hims_domain::interaction_profile::{Content, Event, InteractionProfile, profile_of};
use hims_domain::interaction_source::{self, InteractionSource, Loaded, sources};
use serde::Deserialize;

use crate::machinery::command::never_sent;
use crate::{Command, Context, Decision, Permission, Refused, Target};

/// Replaces all that a source says about an ingredient.
#[derive(Debug, Clone, Deserialize)]
pub struct ReplaceInteractionProfile {
    /// What the source says.
    pub content: Content,
}

never_sent!(ReplaceInteractionProfile, RecordInteractionsLoaded);

impl Command for ReplaceInteractionProfile {
    const NAME: &'static str = "replace-interaction-profile";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InteractionProfile;

    fn target(&self) -> Target {
        Target::either(profile_of(self.content.source.as_str(), &self.content.ingredient))
    }

    fn decide(
        self,
        state: Option<&InteractionProfile>,
        _: &Context<'_>,
    ) -> Result<Decision<InteractionProfile>, Refused> {
        if state.is_some_and(|it| it.content.as_ref() == Some(&self.content)) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Replaced(self.content)))
    }
}

/// Records that all profiles of a source were loaded.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordInteractionsLoaded {
    /// The source as it was loaded.
    pub loaded: Loaded,
}

impl Command for RecordInteractionsLoaded {
    const NAME: &'static str = "record-interactions-loaded";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = InteractionSource;

    fn target(&self) -> Target {
        Target::either(sources())
    }

    fn decide(
        self,
        state: Option<&InteractionSource>,
        _: &Context<'_>,
    ) -> Result<Decision<InteractionSource>, Refused> {
        if state.is_some_and(|it| it.loaded.get(&self.loaded.source) == Some(&self.loaded)) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(interaction_source::Event::Loaded(self.loaded)))
    }
}
