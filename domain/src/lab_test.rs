//! The laboratory's catalogue: what a test measures, in which units, and which values are normal (FHIR R4
//! `ObservationDefinition`; codes of LOINC, units of UCUM, specimens of HL7 table 0487).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Measured, Name, Text, UcumCode};
use crate::{Aggregate, Subject, described, terms};

terms! {
    /// The kind of value that a component of a test has.
    pub enum ValueType {
        Numeric = "numeric",
        Text = "text",
        Coded = "coded",
    }

    /// The sex to which a reference range applies.
    pub enum Sex {
        Any = "any",
        Male = "male",
        Female = "female",
    }
}

described! {
    /// What a laboratory test is.
    pub struct Definition {
        /// The LOINC code of the test, unique in the laboratory.
        pub code: Text<20>,
        /// The name of the test.
        pub name: Name<200>,
        /// The kind of specimen that the test needs (HL7 table 0487), such as `SER` for serum.
        pub specimen_type: Option<Text<20>>,
        /// The container for the specimen.
        pub container: Option<Text<50>>,
        /// How long the test takes from the arrival of the specimen, for each priority of an order.
        pub turnaround_minutes: Option<Turnaround>,
        /// What the test measures: 1 to 60 components. A single test has one, a panel several.
        pub components: Vec<Component>,
    }

    /// How long a test takes from the arrival of the specimen, in minutes, for each priority of an order.
    pub struct Turnaround {
        /// The minutes for an order of low priority.
        pub low: Option<i32>,
        /// The minutes for an order of normal priority.
        pub normal: Option<i32>,
        /// The minutes for an order of high priority.
        pub high: Option<i32>,
        /// The minutes for an urgent order.
        pub urgent: Option<i32>,
        /// The minutes for an order that goes before everything else.
        pub stat: Option<i32>,
    }

    /// One value that a test measures.
    pub struct Component {
        /// The LOINC code of the component, unique in the test. The component of a single test has the code of the
        /// test.
        pub code: Text<20>,
        /// The name of the component.
        pub name: Name<200>,
        /// The kind of value.
        pub value_type: ValueType,
        /// The unit of a numeric value (UCUM).
        pub unit: Option<UcumCode>,
        /// Other units in which a value may be reported.
        #[serde(default)]
        pub other_units: Vec<OtherUnit>,
        /// With how many decimals a numeric value is shown, from 0 to 6.
        pub decimals: Option<i16>,
        /// The texts or codes that are abnormal, for a value that is not numeric.
        #[serde(default)]
        pub abnormal_values: Vec<Text<50>>,
        /// The least number that the component can have; a lower one is a mistake.
        pub possible_low: Option<Measured>,
        /// The greatest number that the component can have; a higher one is a mistake.
        pub possible_high: Option<Measured>,
        /// By how many percent a number may differ from the patient's last one before somebody has to confirm it.
        pub delta_percent: Option<Measured>,
        /// For how many days the patient's last number is compared, from 1 to 3650.
        pub delta_days: Option<i32>,
        /// The reference ranges of a numeric value.
        #[serde(default)]
        pub ranges: Vec<Range>,
    }

    /// Another unit in which the value of a component may be reported.
    pub struct OtherUnit {
        /// The unit (UCUM).
        pub unit: UcumCode,
        /// The factor by which a number in this unit is multiplied to give the number in the component's unit.
        pub factor: Measured,
    }

    /// The numbers that are normal for patients of a sex and an age.
    pub struct Range {
        /// The sex of the patients.
        pub sex: Sex,
        /// The age of the youngest patients, in whole days since birth.
        pub age_from_days: i32,
        /// The age of the oldest patients, in whole days since birth; this age is in the range. Without limit if left
        /// out.
        pub age_to_days: Option<i32>,
        /// The least normal number.
        pub low: Option<Measured>,
        /// The greatest normal number.
        pub high: Option<Measured>,
        /// The greatest number that is critically low.
        pub critical_low: Option<Measured>,
        /// The least number that is critically high.
        pub critical_high: Option<Measured>,
        /// Whether the range is only an example, which the laboratory has to replace by its own.
        #[serde(default)]
        pub is_example: bool,
    }
}

impl Turnaround {
    /// The minutes for each priority of an order.
    pub fn by_priority(&self) -> [(&'static str, Option<i32>); 5] {
        [("low", self.low), ("normal", self.normal), ("high", self.high), ("urgent", self.urgent), ("stat", self.stat)]
    }
}

impl Range {
    /// Whether both ranges apply to the same sex, and some age is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_in_time = |one: &Self, other: &Self| other.age_to_days.is_none_or(|last| one.age_from_days <= last);
        self.sex == other.sex && begins_in_time(self, other) && begins_in_time(other, self)
    }

    /// Whether the limits that are given ascend: critically low, low, high, critically high. A critical limit may be
    /// that of the normal numbers.
    pub fn ascends(&self) -> bool {
        [self.critical_low, self.low, self.high, self.critical_high].into_iter().flatten().is_sorted()
    }

    /// Whether the range has a limit at all.
    pub fn has_limits(&self) -> bool {
        [self.critical_low, self.low, self.high, self.critical_high].iter().any(Option::is_some)
    }
}

/// A test of the laboratory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabTest {
    /// What the test is.
    pub definition: Definition,
    /// Only an active test can be ordered.
    pub is_active: bool,
}

/// What can happen to a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The test was added to the catalogue.
    Defined(Box<Definition>),
    /// The definition changed. The event holds the whole new definition.
    Changed(Box<Definition>),
    /// The test can no longer be ordered.
    Retired,
    /// The test can be ordered again.
    Reinstated,
}

impl Aggregate for LabTest {
    const STREAM: &'static str = "lab_test";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Defined(it) => Some(Self { definition: (**it).clone(), is_active: true }),
            Event::Changed(it) => state.map(|state| Self { definition: (**it).clone(), ..state }),
            Event::Retired => state.map(|it| Self { is_active: false, ..it }),
            Event::Reinstated => state.map(|it| Self { is_active: true, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    fn range(sex: Sex, age_from_days: i32, age_to_days: Option<i32>) -> Range {
        Range {
            sex,
            age_from_days,
            age_to_days,
            low: None,
            high: None,
            critical_low: None,
            critical_high: None,
            is_example: false,
        }
    }

    #[test]
    fn ranges_of_one_sex_overlap_when_an_age_is_in_both() {
        let newborn = range(Sex::Any, 0, Some(27));
        for (other, overlaps) in [
            (range(Sex::Any, 27, Some(364)), true),
            (range(Sex::Any, 28, Some(364)), false),
            (range(Sex::Any, 0, Some(0)), true),
            (range(Sex::Any, 5, None), true),
            (range(Sex::Any, 28, None), false),
            (range(Sex::Male, 0, Some(27)), false),
        ] {
            assert_eq!(newborn.overlaps(&other), overlaps, "{other:?}");
            assert_eq!(other.overlaps(&newborn), overlaps, "{other:?}");
        }
        assert!(range(Sex::Male, 9, None).overlaps(&range(Sex::Male, 9000, None)));
    }

    #[test]
    fn the_limits_of_a_range_ascend() {
        let limits = |given: [Option<i64>; 4]| {
            let [critical_low, low, high, critical_high] = given.map(|limit| limit.map(|it| Decimal::from(it).into()));
            Range { low, high, critical_low, critical_high, ..range(Sex::Any, 0, None) }
        };
        for (given, ascends) in [
            ([Some(1), Some(2), Some(3), Some(4)], true),
            ([Some(2), Some(2), Some(3), Some(3)], true),
            ([None, Some(2), None, Some(4)], true),
            ([Some(3), Some(2), None, None], false),
            ([None, Some(2), Some(1), None], false),
            ([None, None, Some(5), Some(4)], false),
            ([Some(5), None, None, Some(4)], false),
        ] {
            assert_eq!(limits(given).ascends(), ascends, "{given:?}");
            assert!(limits(given).has_limits());
        }
        assert!(!limits([None; 4]).has_limits());
    }
}
