//! Care teams: assigning people to patients, and ending assignments. Who is assigned reads the patient's chart for that
//! time, beside those of the department that the patient visits.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::care_team_assignment::{CareTeamAssignment, Event, Participation, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::Create;
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::values::Reason;
use hims_domain::{CareTeamAssignmentId, PatientId, Personal, UserId, derived, described};
use uuid::Uuid;

use crate::access::CHART_WORDS;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::patient::{check_alive, check_not_erased, reads_person, records_of};
use crate::user::reads_named;
use crate::{Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<AssignCareTeamMember>().add::<EndCareTeamAssignment>();
}

refusals! {
    NotActive = Rule, "not-active", "the user is not active; assign somebody else";
    IsThePatient = Rule, "is-the-patient", "nobody belongs to their own care team; assign somebody else";
    EndsBeforeItStarts = Rule, "ends-before-it-starts", "the end must come after the beginning and after now";
    InThePast = Rule, "in-the-past", "an assignment begins now or later, since it opens the chart from then on";
}

described! {
    /// Assigns somebody to the care team of a patient, whose chart they may read for that time. Who assigns must be able
    /// to read the patient's records.
    pub struct AssignCareTeamMember {
        /// The id of the new assignment; issued by the server if left out.
        pub id: Option<CareTeamAssignmentId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// Who is assigned.
        pub user_id: UserId,
        /// What the user is in the team; `member` if left out. A team has one lead at a time.
        #[serde(default = "member")]
        pub participation: Participation,
        /// Since when the user belongs to the team; from now on if left out.
        pub starts_at: Option<DateTime<Utc>>,
        /// From when on the user does not belong to the team any more; left out if that is open.
        pub ends_at: Option<DateTime<Utc>>,
        /// Why the user is assigned.
        pub reason: Option<Personal<Reason>>,
    }
}

fn member() -> Participation {
    Participation::Member
}

steps! {
    CareTeamAssignment by care_team_assignment_id: CareTeamAssignmentId, "Which assignment.";

    /// Ends an assignment now.
    EndCareTeamAssignment = "end-care-team-assignment" needs Update::CareTeams
        with {
            /// Why the assignment ends.
            reason: Option<Personal<Reason>>,
        }
        moves status from [Status::Active] to [Status::Ended] by Event::Ended { reason };
}

/// For how long an assignment without an end counts.
const WITHOUT_END: TimeDelta = TimeDelta::days(36_525);

/// What stands for the lead of a patient's care team, which is booked by one assignment at a time.
fn lead_of(patient_id: PatientId) -> Uuid {
    derived("care-team-lead", &[&patient_id.to_string()])
}

impl Claims for CareTeamAssignment {
    /// Nobody is assigned to a patient twice at a time, and a team has one lead at a time.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status == Status::Active {
            let until = self.ends_at.unwrap_or(self.starts_at + WITHOUT_END);
            let place = derived("care-team", &[&self.patient_id.to_string(), &self.user_id.to_string()]);
            held.book_span(place, self.starts_at, until)
                .or_refuse("already-assigned", "the user is assigned to the patient then: end that assignment first")
                .named_by("/user_id");
            if self.participation == Participation::Lead {
                let lead = lead_of(self.patient_id);
                held.book_span(lead, self.starts_at, until)
                    .or_refuse("has-a-lead", "the care team has a lead then: end that assignment first")
                    .named_by("/participation");
            }
        }
    }
}

/// Also looks up who leads the care team of a patient at this moment.
pub(crate) fn reads_lead(reads: Reads, patient_id: PatientId, at: DateTime<Utc>) -> Reads {
    reads.booked::<CareTeamAssignment>(lead_of(patient_id), at, at + TimeDelta::seconds(1))
}

/// Who leads the care team of a patient at this moment.
pub(crate) fn lead(patient_id: PatientId, at: DateTime<Utc>, found: &Found) -> Option<UserId> {
    let mut booked = found.booked::<CareTeamAssignment>(lead_of(patient_id), at, at + TimeDelta::seconds(1));
    booked.next().map(|(_, assignment)| assignment.user_id)
}

impl AssignCareTeamMember {
    /// Refuses a user who is not active, is the patient, or whose roles read no charts.
    fn check_member(&self, ctx: &Context<'_>) -> Result<(), Refused> {
        let user = ctx.named::<User>(self.user_id, "/user_id")?;
        if !user.is_active {
            return refuse(Refusal::NotActive);
        }
        if user.patient_id.is_some_and(|own| records_of(self.patient_id, ctx.found).contains(&own)) {
            return refuse(Refusal::IsThePatient);
        }
        let mut roles = user.role_ids().filter_map(|role| ctx.found.get::<Role>(role));
        let reads_charts =
            |role: &Role| CHART_WORDS.iter().any(|word| role.definition.permissions.read.contains(word.as_str()));
        if roles.any(reads_charts) {
            return Ok(());
        }
        let message = "the user's roles read no charts, so an assignment would open nothing; assign somebody else";
        Err(Refused::field("not-entitled", "/user_id", message))
    }
}

impl Command for AssignCareTeamMember {
    const NAME: &'static str = "assign-care-team-member";
    const PERMISSION: Permission = Permission::Create(Create::CareTeams);
    const REVERSED_BY: Option<&'static str> = Some(EndCareTeamAssignment::NAME);
    type Aggregate = CareTeamAssignment;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn opens(&self) -> Option<PatientId> {
        Some(self.patient_id)
    }

    fn reads(&self, _: Option<&CareTeamAssignment>, found: &Found) -> Reads {
        reads_person(reads_named(Reads::nothing(), Some(self.user_id), found), self.patient_id, found)
    }

    fn decide(
        self,
        _: Option<&CareTeamAssignment>,
        ctx: &Context<'_>,
    ) -> Result<Decision<CareTeamAssignment>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        check_alive(self.patient_id, ctx)?;
        self.check_member(ctx)?;
        let starts_at = self.starts_at.unwrap_or(ctx.now);
        if starts_at < ctx.now {
            return refuse(Refusal::InThePast);
        }
        if self.ends_at.is_some_and(|it| it <= starts_at) {
            return refuse(Refusal::EndsBeforeItStarts);
        }
        let Self { id: _, patient_id, user_id, participation, starts_at: _, ends_at, reason } = self;
        Ok(Decision::event(Event::Assigned { patient_id, user_id, participation, starts_at, ends_at, reason }))
    }
}

#[cfg(test)]
mod tests;
