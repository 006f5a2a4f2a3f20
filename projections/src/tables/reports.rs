use hims_domain::report::Event;
use hims_domain::report_execution::Format;
use hims_domain::values::Text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per report that the program can make.
    ReportRow in "reports", catalogue for everybody, stamped {
        /// The report.
        id: Uuid [indexed],
        /// The code by which the report is asked for.
        code: String [indexed],
        /// What the report is called.
        name: String,
        /// What the report tells.
        description: String,
        /// The part of the hospital that the report is about.
        category: String,
        /// Whether the rows are about persons.
        contains_phi: bool,
        /// The version of the report, which grows when its rows or columns change.
        definition_version: i32,
        /// What the report takes: a list with name, kind, default and meaning of each parameter.
        parameters_schema: Value,
        /// The names of the columns, in their order.
        columns: Value,
        /// The formats in which the report is made.
        output_formats: Value,
        /// The permission words, separated by commas, of which somebody who asks for the report needs one.
        required_permission: String,
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, reports: &mut Changes<'e, ReportRow>) {
    let Event::Defined(definition) = event.data;
    let row = ReportRow {
        id: event.stream_id,
        code: definition.code.0.clone(),
        name: definition.title.0.clone(),
        description: definition.description.0.clone(),
        category: definition.category.to_string(),
        contains_phi: definition.contains_phi,
        definition_version: definition.version,
        parameters_schema: json!(definition.parameters),
        columns: json!(definition.columns),
        output_formats: json!(Format::CODES),
        required_permission: definition.words.iter().map(Text::as_str).collect::<Vec<_>>().join(", "),
        stamps: event.stamps(),
    };
    if event.version == 1 {
        reports.insert(row);
    } else {
        reports.change(event, move |it| *it = ReportRow { stamps: it.stamps, ..row });
    }
}
