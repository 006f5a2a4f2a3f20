//! The laboratory's catalogue: defining and changing tests, taking tests out of use and back into use.

mod checking;

use hims_domain::LabTestId;
use hims_domain::lab_test::{Definition, Event, LabTest};
use uuid::Uuid;

use checking::check;

use crate::machinery::catalogue::catalogue;
use crate::machinery::step::steps;
use crate::{Claims, Held, Registry, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<DefineLabTest>().add::<ChangeLabTest>().add::<RetireLabTest>().add::<ReinstateLabTest>();
}

catalogue! {
    LabTest by lab_test_id: LabTestId, "Which test.";
    definition: Definition, "What the test is.", checked by check;

    /// Adds a test to the laboratory's catalogue.
    DefineLabTest = "define-lab-test" needs Create::LabTests
        with {
            /// The id of the new test; issued by the server if left out.
            id
        }
        by Event::Defined(Box::new(definition)), undone by RetireLabTest;

    /// Changes a test of the catalogue. The list of components is replaced as a whole.
    ChangeLabTest = "change-lab-test" needs Update::LabTests
        with {
            /// The fields to change; a field that is left out stays, null empties a field.
            changes
        }
        by Event::Changed(Box::new(definition));
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

#[cfg(test)]
mod tests;
