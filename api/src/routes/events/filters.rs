use chrono::{DateTime, Utc};
use hims_domain::patient::Patient;
use hims_domain::{Aggregate as _, DomainEvent, ID_RULE, read_id};
use hims_event_store::{Actor, Position, Recorded, Wanted};
use uuid::Uuid;

use crate::problem::Problem;
use crate::routes::parameters::Parameters;

/// Which events a request asks for.
#[derive(Debug)]
pub(super) struct Filters {
    pub(super) after: Option<Position>,
    pub(super) stream_id: Option<Uuid>,
    stream_type: Option<String>,
    event_type: Option<String>,
    pub(super) patient_id: Option<Uuid>,
    pub(super) actor_id: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// Whom an event is about and who caused it, as the metadata of the event say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Concerned {
    /// The patient whom the event is about.
    pub(crate) patient_id: Option<Uuid>,
    /// The user who caused the event.
    pub(crate) actor_id: Option<Uuid>,
}

impl Concerned {
    /// Reads the metadata of an event. Metadata that cannot be read concern nobody.
    pub(crate) fn of(event: &Recorded) -> Self {
        let Ok(circumstances) = event.circumstances() else { return Self::default() };
        let patient = circumstances.subject.as_ref().filter(|subject| subject.kind == Patient::STREAM);
        let actor_id = if let Actor::User { id } = circumstances.actor { Some(id) } else { None };
        Self { patient_id: patient.map(|subject| subject.id), actor_id }
    }
}

impl Filters {
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self, Problem> {
        let one_of = |codes: &[&str]| format!("one of {}", codes.join(", "));
        let (streams, types) = (DomainEvent::STREAMS, DomainEvent::types());
        Ok(Self {
            after: parameters.take("after", "a position", |it| it.parse().ok())?,
            stream_id: parameters.take("stream_id", ID_RULE, read_id)?,
            // A stream type may be written with `-`, as in routes and commands, or with `_`, as in events.
            stream_type: parameters.take("stream_type", &one_of(streams), |name| {
                Some(name.replace('-', "_")).filter(|it| streams.contains(&it.as_str()))
            })?,
            event_type: parameters.take("type", &one_of(types), |it| types.contains(&it).then(|| it.to_owned()))?,
            patient_id: parameters.take("patient_id", ID_RULE, read_id)?,
            actor_id: parameters.take("actor_id", ID_RULE, read_id)?,
            from: parameters.take_instant("from")?,
            to: parameters.take_up_to("to")?,
        })
    }

    /// The filters that the log itself can apply: all except patient and actor.
    pub(super) fn in_the_log(&self, limit: i64) -> Wanted {
        Wanted {
            after: self.after.unwrap_or_default(),
            limit,
            stream_id: self.stream_id,
            stream_type: self.stream_type.clone(),
            event_type: self.event_type.clone(),
            from: self.from,
            to: self.to,
            ..Wanted::default()
        }
    }

    /// Whether an event is about the patient and caused by the actor, where the filters name them.
    pub(super) fn are_concerned(&self, by: Concerned) -> bool {
        self.patient_id.is_none_or(|wanted| by.patient_id == Some(wanted))
            && self.actor_id.is_none_or(|wanted| by.actor_id == Some(wanted))
    }
}
