//! The laboratory's catalogue: defining and changing tests, taking tests out of use and back into use.

mod checking;

use hims_domain::lab_test::{Definition, Event, LabTest};
use hims_domain::permission::{Create, Update};
use hims_domain::{LabTestId, described};
use uuid::Uuid;

use checking::check;

use crate::machinery::command::existing;
use crate::machinery::step::steps;
use crate::{Claims, Command, Context, Decision, Held, Patch, Permission, Refused, Registry, Target, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<DefineLabTest>().add::<ChangeLabTest>().add::<RetireLabTest>().add::<ReinstateLabTest>();
}

described! {
    /// Adds a test to the laboratory's catalogue.
    pub struct DefineLabTest {
        /// The id of the new test; issued by the server if left out.
        pub id: Option<LabTestId>,
        /// What the test is.
        #[serde(flatten)]
        pub definition: Definition,
    }

    /// Changes a test of the catalogue. The list of components is replaced as a whole.
    pub struct ChangeLabTest {
        /// Which test.
        pub lab_test_id: LabTestId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Definition>,
    }
}

steps! {
    LabTest by lab_test_id: LabTestId, "Which test.";

    /// Takes a test out of use: the test can no longer be ordered. What was ordered before goes on.
    RetireLabTest = "retire-lab-test" needs Update::LabTests
        moves is_active from [true] to [false] by Event::Retired, undone by ReinstateLabTest;

    /// Takes a test back into use.
    ReinstateLabTest = "reinstate-lab-test" needs Update::LabTests
        moves is_active from [false] to [true] by Event::Reinstated, undone by RetireLabTest;
}

impl Claims for LabTest {
    /// The code belongs to one test only, whether or not the test is in use: a test that was taken out of use is taken
    /// back into use, not defined again.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::LAB_TEST_CODE, self.definition.code.as_str());
    }
}

impl Command for DefineLabTest {
    const NAME: &'static str = "define-lab-test";
    const PERMISSION: Permission = Permission::Create(Create::LabTests);
    const REVERSED_BY: Option<&'static str> = Some(RetireLabTest::NAME);
    type Aggregate = LabTest;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn decide(self, _: Option<&LabTest>, _: &Context<'_>) -> Result<Decision<LabTest>, Refused> {
        check(&self.definition)?;
        Ok(Decision::event(Event::Defined(Box::new(self.definition))))
    }
}

impl Command for ChangeLabTest {
    const NAME: &'static str = "change-lab-test";
    const PERMISSION: Permission = Permission::Update(Update::LabTests);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = LabTest;

    fn target(&self) -> Target {
        Target::existing(self.lab_test_id)
    }

    fn decide(self, state: Option<&LabTest>, _: &Context<'_>) -> Result<Decision<LabTest>, Refused> {
        let test = existing(state)?;
        let definition = self.changes.apply(&test.definition)?;
        if definition == test.definition {
            return Ok(Decision::nothing());
        }
        check(&definition)?;
        Ok(Decision::event(Event::Changed(Box::new(definition))))
    }
}

#[cfg(test)]
mod tests;
