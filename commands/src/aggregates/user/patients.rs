//! The links of users to patients: users of the patient portal, and staff who are patients as well.

use hims_domain::patient::Patient;
use hims_domain::permission::Update;
use hims_domain::user::{Event, User};
use hims_domain::{PatientId, UserId, described};

use super::roles::{check_not_above_user, reads_roles_of};
use super::{Refusal, check_person};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Links a user's login to the patient who the user is. The user then sees the patient's own records, if a role of
    /// the user includes `own_records`, and cannot treat this patient. Somebody else must do that, who may read the
    /// patient's records.
    pub struct LinkUserToPatient {
        /// Which user.
        pub user_id: UserId,
        /// Which patient.
        pub patient_id: PatientId,
    }

    /// Ends the link of a user's login to a patient.
    pub struct UnlinkUserFromPatient {
        /// Which user.
        pub user_id: UserId,
    }
}

impl Command for LinkUserToPatient {
    const NAME: &'static str = "link-user-to-patient";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(UnlinkUserFromPatient::NAME);
    type Aggregate = User;

    fn target(&self) -> Target {
        Target::existing(self.user_id)
    }

    fn reads(&self, state: Option<&User>, _: &Found) -> Reads {
        reads_roles_of(state).stream::<Patient>(self.patient_id)
    }

    fn opens(&self) -> Option<PatientId> {
        Some(self.patient_id)
    }

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        if ctx.caller.user_id() == Some(self.user_id) {
            return refuse(Refusal::OwnLink);
        }
        check_not_above_user(ctx, user)?;
        check_person(user)?;
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        match user.patient_id {
            Some(linked) if linked == self.patient_id => Ok(Decision::nothing()),
            Some(_) => refuse(Refusal::LinkedAlready),
            None => Ok(Decision::event(Event::LinkedToPatient { patient_id: self.patient_id })),
        }
    }
}

impl Command for UnlinkUserFromPatient {
    const NAME: &'static str = "unlink-user-from-patient";
    const PERMISSION: Permission = Permission::Update(Update::Users);
    const REVERSED_BY: Option<&'static str> = Some(LinkUserToPatient::NAME);
    type Aggregate = User;

    about_another_user!();

    fn decide(self, state: Option<&User>, ctx: &Context<'_>) -> Result<Decision<User>, Refused> {
        let user = existing(state)?;
        check_not_above_user(ctx, user)?;
        match user.patient_id {
            Some(_) => Ok(Decision::event(Event::UnlinkedFromPatient)),
            None => Ok(Decision::nothing()),
        }
    }
}
