//! The paths and schemas of the read tables, from their declarations.

use hims_commands::one_of;
use hims_projections::{Column, Kind, TABLES, Table};
use serde_json::{Map, Value, json};

use super::components::{
    answer, answers, page, parameter, read_parameters, schema, shared_parameter, uuid, with_header, with_position,
};

/// The problems that a request for a table may be answered with.
const PROBLEMS: &[u16] = &[400, 401, 403, 404, 409, 429, 503];

/// Two paths for each table: one for its pages, one for its single rows.
pub(super) fn paths() -> impl Iterator<Item = (String, Value)> {
    TABLES.iter().flat_map(|table| {
        let route = format!("/api/v1/{}", kebab_case(table));
        let (page, find) =
            (operation("page", table, &page_parameters(table)), operation("find", table, &row_parameters()));
        [
            (route.clone(), with_answer(page, page_answer(table))),
            (route + "/{id}", with_answer(find, row_answer(table))),
        ]
    })
}

/// A schema for the rows of each table.
pub(super) fn schemas() -> impl Iterator<Item = (String, Value)> {
    TABLES.iter().map(|table| (row_name(table), row_schema(table)))
}

fn kebab_case(table: &Table) -> String {
    table.name.replace('_', "-")
}

/// The name of the schema of a table's rows: `VitalSigns` for `vital_signs`.
fn row_name(table: &Table) -> String {
    super::pascal_case(table.name)
}

fn operation(verb: &str, table: &Table, parameters: &[Value]) -> Value {
    let readers: Vec<_> = table.readers.iter().map(|it| it.as_str()).collect();
    json!({
        "tags": ["tables"],
        "operationId": format!("{verb}-{}", kebab_case(table)),
        "summary": table.about.trim(),
        "description": if readers.is_empty() {
            "Every user who is logged in may read this table.".to_owned()
        } else {
            format!("Only roles with one of these permission words may read this table: `{}`.", readers.join("`, `"))
        },
        "x-hims-readers": readers,
        "parameters": parameters,
    })
}

fn with_answer(mut operation: Value, answer: Value) -> Value {
    operation["responses"] = answers([(200, with_position(answer))], PROBLEMS);
    json!({ "get": operation })
}

fn page_answer(table: &Table) -> Value {
    answer("A page of rows.", &page(&row_name(table)))
}

fn row_answer(table: &Table) -> Value {
    with_header(answer("The row.", &schema(&row_name(table))), "ETag")
}

fn row_parameters() -> Vec<Value> {
    let mut parameters = read_parameters();
    parameters.push(parameter("id", "path", &uuid(), "The key of the row."));
    parameters
}

fn page_parameters(table: &Table) -> Vec<Value> {
    let mut parameters = read_parameters();
    parameters.extend([shared_parameter("limit"), shared_parameter("cursor")]);
    let sortable = table
        .visible()
        .filter(|column| column.indexed)
        .flat_map(|column| [column.name.to_owned(), format!("-{}", column.name)]);
    let sort = json!({"type": "string", "enum": sortable.collect::<Vec<_>>()});
    parameters.push(parameter(
        "sort",
        "query",
        &sort,
        "The column to sort by; a `-` before the name sorts in descending order.",
    ));
    if table.search.is_some() {
        let text = json!({"type": "string", "minLength": 1, "maxLength": 200});
        parameters.push(parameter("q", "query", &text, "A text to search for."));
    }
    for column in table.visible() {
        let schema = column.codes.map_or_else(|| kind_schema(column.kind), |codes| one_of(codes()));
        if column.indexed {
            parameters.push(parameter(column.name, "query", &schema, column.doc.trim()));
        }
        if column.kind.has_range() {
            for (suffix, what) in [
                ("_from", "Only rows with this value or a later one."),
                ("_to", "Only rows with this value or an earlier one."),
            ] {
                parameters.push(parameter(&format!("{}{suffix}", column.name), "query", &schema, what));
            }
        }
    }
    parameters
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Text | Kind::Bytes | Kind::Address => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer", "format": "int32"}),
        Kind::Long => json!({"type": "integer", "format": "int64"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Time => json!({"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}(\.\d+)?$"}),
        Kind::Decimal => json!({"type": "number"}),
        Kind::Json => json!({}),
    }
}

fn row_schema(table: &Table) -> Value {
    let property = |column: &Column| {
        let mut schema = kind_schema(column.kind);
        let narrowed = table.narrowed(column.name);
        if (column.nullable || narrowed.is_some()) && schema.get("type").is_some() {
            schema["type"] = json!([schema["type"], "null"]);
        }
        schema["description"] = match narrowed {
            Some(narrowed) => {
                let words: Vec<_> = narrowed.readers.iter().map(|word| word.as_str()).collect();
                json!(format!(
                    "{} Null unless the caller reads `{}`, or the row is about the caller.",
                    column.doc.trim(),
                    words.join("` or `")
                ))
            }
            None => json!(column.doc.trim()),
        };
        (column.name.to_owned(), schema)
    };
    let properties: Map<_, _> = table.visible().map(property).collect();
    let required: Vec<_> = table.visible().map(|it| it.name).collect();
    json!({"type": "object", "description": table.about.trim(), "properties": properties, "required": required})
}
