//! Notices that need to look something up: the pattern of every process that tells people what happened.

use std::fmt::Debug;

use hims_domain::notification::Notification;
use hims_domain::{Described, Shape, derived};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Notice;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// Something that a process tells people once it has looked up what there is to tell. The process gives it as
/// `Reaction::command(Tell(…))`.
pub(crate) trait Telling: Debug + Clone + DeserializeOwned + Send + Sync + 'static {
    /// The name of the command.
    const NAME: &'static str;

    /// What tells this occasion apart from all others, such as the id of a record. There is one notice of an occasion.
    fn occasion(&self) -> String;

    /// The streams that [`notice`](Self::notice) needs, beside the recipients of the notice.
    fn reads(&self, found: &Found) -> Reads;

    /// What is told, and to whom; `None` if it is not so any more, or as long as not everything was looked up.
    fn notice(&self, found: &Found) -> Option<Notice>;
}

/// The command that tells something, once.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "T: Telling")]
pub(crate) struct Tell<T>(pub(crate) T);

impl<T: Telling> Described for Tell<T> {
    /// The command is never sent to the server, so it has no form there.
    const SHAPE: Shape = Shape::Object(&[]);
}

impl<T: Telling> Command for Tell<T> {
    const NAME: &'static str = T::NAME;
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::either(derived("notice", &[T::NAME, &self.0.occasion()]))
    }

    fn reads(&self, state: Option<&Notification>, found: &Found) -> Reads {
        if state.is_some() {
            return Reads::nothing();
        }
        let reads = self.0.reads(found);
        match self.0.notice(found) {
            Some(notice) => reads.and(notice.reads(None, found)),
            None => reads,
        }
    }

    fn decide(self, state: Option<&Notification>, ctx: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        match self.0.notice(ctx.found) {
            Some(notice) if state.is_none() => notice.decide(None, ctx),
            _ => Ok(Decision::nothing()),
        }
    }
}
