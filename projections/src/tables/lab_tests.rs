use hims_domain::lab_test::{Component, Definition, Event, Range};
use hims_domain::values::Measured;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per test of the laboratory.
    LabTestRow in "lab_tests",
    catalogue for everybody,
    stamped,
    search "({q} <% name or name ilike '%' || {q} || '%')" {
        /// The test.
        id: Uuid [indexed],
        /// The LOINC code of the test.
        code: String [indexed],
        /// The name of the test.
        name: String [indexed],
        /// The kind of specimen that the test needs (HL7 table 0487).
        specimen_type: Option<String>,
        /// The container for the specimen.
        container: Option<String>,
        /// How long the test takes from the arrival of the specimen, in minutes, by the priority of the order.
        turnaround_minutes: Value,
        /// What the test measures. The reference ranges are in `lab_reference_ranges`.
        components: Value,
        /// Whether the test can be ordered.
        is_active: bool [indexed],
    }
}

table! {
    /// One row per reference range of a component of a test.
    ReferenceRangeRow in "lab_reference_ranges",
    children of lab_test_id,
    catalogue for everybody,
    stamped,
    indexes [(lab_test_id, component_code)] {
        /// The id of the row, derived from the test, the component, the sex and the age.
        id: Uuid [indexed],
        /// The test.
        lab_test_id: Uuid [indexed],
        /// The LOINC code of the component.
        component_code: String [indexed],
        /// The unit of the numbers (UCUM).
        unit: Option<String>,
        /// The sex of the patients to whom the range applies; `any` for both.
        sex: String,
        /// The age of the youngest patients, in whole days since birth.
        age_from_days: i32,
        /// The age of the oldest patients, in whole days since birth; null without limit.
        age_to_days: Option<i32>,
        /// The least normal number.
        low: Option<Decimal>,
        /// The greatest normal number.
        high: Option<Decimal>,
        /// The greatest number that is critically low.
        critical_low: Option<Decimal>,
        /// The least number that is critically high.
        critical_high: Option<Decimal>,
        /// Whether the range is only an example, which the laboratory has to replace by its own.
        is_example: bool,
    }
}

/// The times that are given, by priority.
fn turnaround(definition: &Definition) -> Value {
    let Some(it) = &definition.turnaround_minutes else { return json!({}) };
    Value::Object(it.by_priority().into_iter().filter_map(|(name, it)| Some((name.to_owned(), json!(it?)))).collect())
}

/// A component without its ranges.
fn component(it: &Component) -> Value {
    json!({
        "code": it.code, "name": it.name, "value_type": it.value_type, "unit": it.unit,
        "other_units": it.other_units, "decimals": it.decimals, "abnormal_values": it.abnormal_values,
        "possible_low": it.possible_low, "possible_high": it.possible_high,
        "delta_percent": it.delta_percent, "delta_days": it.delta_days,
    })
}

fn set_definition(row: &mut LabTestRow, definition: &Definition) {
    row.code.clone_from(&definition.code.0);
    row.name.clone_from(&definition.name.0);
    row.specimen_type = text(definition.specimen_type.as_ref());
    row.container = text(definition.container.as_ref());
    row.turnaround_minutes = turnaround(definition);
    row.components = definition.components.iter().map(component).collect();
}

fn range_row(event: &Projected<'_, Event>, component: &Component, range: &Range) -> ReferenceRangeRow {
    let code = component.code.as_str();
    ReferenceRangeRow {
        id: derived_id(event.stream_id, &[code, range.sex.as_str(), &range.age_from_days.to_string()]),
        lab_test_id: event.stream_id,
        component_code: code.to_owned(),
        unit: component.unit.as_ref().map(|it| it.as_str().to_owned()),
        sex: range.sex.to_string(),
        age_from_days: range.age_from_days,
        age_to_days: range.age_to_days,
        low: range.low.map(Measured::number),
        high: range.high.map(Measured::number),
        critical_low: range.critical_low.map(Measured::number),
        critical_high: range.critical_high.map(Measured::number),
        is_example: range.is_example,
        stamps: event.stamps(),
    }
}

fn ranges(event: &Projected<'_, Event>, definition: &Definition) -> Vec<ReferenceRangeRow> {
    let of = |component| move |range| range_row(event, component, range);
    definition.components.iter().flat_map(|component| component.ranges.iter().map(of(component))).collect()
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    tests: &mut Changes<'e, LabTestRow>,
    parts: &mut Changes<'e, ReferenceRangeRow>,
) {
    match event.data {
        Event::Defined(definition) => {
            let mut row = LabTestRow {
                id: event.stream_id,
                code: String::new(),
                name: String::new(),
                specimen_type: None,
                container: None,
                turnaround_minutes: json!({}),
                components: json!([]),
                is_active: true,
                stamps: event.stamps(),
            };
            set_definition(&mut row, definition);
            tests.insert(row);
            parts.replace(event.stream_id, ranges(event, definition));
        }
        Event::Changed(definition) => {
            tests.change(event, |row| set_definition(row, definition));
            parts.replace(event.stream_id, ranges(event, definition));
        }
        Event::Retired => tests.change(event, |row| row.is_active = false),
        Event::Reinstated => tests.change(event, |row| row.is_active = true),
    }
}
