//! The tests of the laboratory's catalogue that the files name. A test that the catalogue does not have is defined as
//! the files show it, without reference ranges.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use hims_commands::lab_result::ComponentValue;
use hims_commands::lab_test::DefineLabTest;
use hims_commands::scopes;
use hims_domain::lab_test::{Definition, LabTest};
use hims_domain::values::{Name, Text};
use hims_domain::{Described, LabTestId, derived};

use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::run::{ImportError, single};
use super::super::summary::{Fate, Summary};
use super::super::writer::{Stop, Writer};
use super::told::Told;

/// The tests that the files name, by their codes of LOINC.
pub(super) struct Tests(BTreeMap<String, (LabTestId, Arc<LabTest>)>);

impl Tests {
    /// Looks the tests up, and defines those that the catalogue does not have.
    pub(super) async fn of<'t, 'g: 't>(
        writer: &Writer<'_>,
        told: impl Iterator<Item = &'t Told<'g>>,
        (summary, progress): (&mut Summary, &dyn Progress),
    ) -> Result<Self, ImportError> {
        let mut named: BTreeMap<String, Definition> = BTreeMap::new();
        for told in told {
            let definition = named.entry(told.code.to_owned()).or_insert_with(|| empty(told));
            for value in &told.values {
                if definition.components.iter().all(|it| it.code.as_str() != value.code) {
                    definition.components.push(value.component());
                }
            }
        }
        let codes: Vec<String> = named.keys().cloned().collect();
        let steps = named.into_values().map(|it| single(Vec::new(), define(writer, it).boxed()));
        writer.take("LabTest", Box::new(steps), (summary, progress)).await?;
        let mut tests = BTreeMap::new();
        for code in codes {
            let Some(id) = owner(writer, &code).await? else { continue };
            let loaded = writer.executor.load::<LabTest>(id.0, true).await.map_err(ImportError::Log)?;
            if let Some(state) = loaded.state {
                tests.insert(code, (id, state));
            }
        }
        Ok(Self(tests))
    }

    /// The id of the test that a result is of; `None` if the laboratory has no such test.
    pub(super) fn id(&self, told: &Told<'_>) -> Option<LabTestId> {
        self.0.get(told.code).map(|it| it.0)
    }

    /// The test that a result is of, with the values as the test has them.
    ///
    /// # Errors
    /// When the laboratory has no such test in use, or the values do not fit the test.
    pub(super) fn fit(&self, told: &Told<'_>) -> Result<(LabTestId, Vec<ComponentValue>), Reason> {
        let (id, test) = self.0.get(told.code).ok_or(Reason::NoTest)?;
        if !test.is_active {
            return Err(Reason::Refused("inactive-test"));
        }
        let components = &test.definition.components;
        let values = told.values.iter().map(|value| {
            let component = components.iter().find(|it| it.code.as_str() == value.code);
            value.of(component.ok_or(Reason::Refused("unknown-component"))?)
        });
        Ok((*id, values.collect::<Result<_, _>>()?))
    }
}

/// The test with a code, as the catalogue has it.
async fn owner(writer: &Writer<'_>, code: &str) -> Result<Option<LabTestId>, ImportError> {
    Ok(writer.owners(scopes::LAB_TEST_CODE, code).await?.first().map(|it| LabTestId(*it)))
}

/// The definition of a test of which nothing but the code and the name is known.
fn empty(told: &Told<'_>) -> Definition {
    Definition {
        code: Text::from(told.code),
        name: name(told.code, told.name),
        specimen_type: None,
        container: None,
        turnaround_minutes: None,
        components: Vec::new(),
    }
}

/// The name of a test or a component: the words of the files, or else the code.
pub(super) fn name(code: &str, words: &str) -> Name<200> {
    let words = Name::from(words.chars().take(200).collect::<String>().as_str());
    if words.is_valid() { words } else { Name::from(format!("LOINC {code}").as_str()) }
}

/// Defines a test, unless the catalogue has it.
async fn define(writer: &Writer<'_>, definition: Definition) -> Result<Fate, Stop> {
    if owner(writer, definition.code.as_str()).await?.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let id = LabTestId(derived("lab_test", &[definition.code.as_str()]));
    writer.execute(DefineLabTest { id: Some(id), definition }, None).await?;
    Ok(Fate::Imported(Vec::new()))
}
