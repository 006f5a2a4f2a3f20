//! The OpenAPI document in a form that people can read and compare: a line for each field, command, table and route.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The document as text: first the routes that serve neither a command nor a table, then commands, tables, components.
pub(crate) fn summary(document: &Value) -> String {
    let mut summary = Summary { document, text: String::new() };
    let mut operations = Vec::new();
    for (path, item) in members(&document["paths"]) {
        operations.extend(members(item).map(|(method, operation)| (path, method, operation)));
    }
    let is_table = |it: &Value| it["x-hims-readers"].is_array();
    operations.sort_by_key(|(_, _, it)| (is_table(it), it["x-hims-permission"].is_string()));
    for &(path, method, operation) in &operations {
        match operation["x-hims-permission"].as_str() {
            Some(permission) => summary.command(operation, permission),
            None if is_table(operation) && path.ends_with("/{id}") => {}
            None if is_table(operation) => {
                summary.table(path, operation, &document["paths"][format!("{path}/{{id}}")]["get"]);
            }
            None => summary.route(path, method, operation),
        }
    }
    for (name, schema) in members(&document["components"]["schemas"]) {
        let reference = format!("#/components/schemas/{name}");
        let is_row = operations.iter().any(|&(_, _, operation)| {
            is_table(operation) && json_body(&operation["responses"]["200"])["$ref"] == reference
        });
        if let Value::Array(codes) = &schema["enum"] {
            summary.line(0, &format!("codes {name}: {}", words(codes).join(" ")));
        } else if !is_row {
            summary.line(0, &format!("schema {name}"));
            summary.fields(1, schema);
        }
    }
    for kind in ["parameters", "headers", "responses"] {
        for (name, component) in members(&document["components"][kind]) {
            let form = match component["content"].is_object() {
                true => format!("{} {}", component["description"], names(&component["headers"])),
                false => form(&component["schema"]),
            };
            summary.line(0, &format!("{kind} {name}: {form}"));
        }
    }
    summary.text
}

struct Summary<'a> {
    document: &'a Value,
    text: String,
}

impl<'a> Summary<'a> {
    fn line(&mut self, depth: usize, line: &str) {
        let _ = writeln!(self.text, "{:width$}{line}", "", width = 2 * depth);
    }

    fn command(&mut self, operation: &'a Value, permission: &str) {
        let (name, stream) = (&operation["operationId"], &operation["tags"][0]);
        let (name, stream) = (name.as_str().unwrap_or("?"), stream.as_str().unwrap_or("?"));
        let headers: Vec<_> = self.parameters(operation).map(|it| it["name"].as_str().unwrap_or("?")).collect();
        let (headers, ends) = (headers.join(" +"), names(&operation["responses"]));
        let back =
            operation["x-hims-reversed-by"].as_str().map(|it| format!(", taken back by {it}")).unwrap_or_default();
        self.line(0, &format!("command {name} [{permission}] {stream} +{headers} -> {ends}{back}"));
        self.fields(1, json_body(&operation["requestBody"]));
    }

    fn table(&mut self, path: &str, page: &'a Value, find: &'a Value) {
        let readers = words(page["x-hims-readers"].as_array().map_or(&[], Vec::as_slice));
        let readers = if readers.is_empty() { "everybody".to_owned() } else { readers.join(" ") };
        let is_parameter = |name: &str| self.parameters(page).any(|it| it["name"] == name);
        let searched = if is_parameter("q") { ", searched" } else { "" };
        let (all, one) = (names(&page["responses"]), names(&find["responses"]));
        let mut lines = vec![format!("table {path}: readers {readers}{searched} -> {all}; a row -> {one}")];
        for (name, column) in members(&self.resolved(json_body(&find["responses"]["200"]))["properties"]) {
            let indexed = if is_parameter(name) { " indexed" } else { "" };
            let ranged = if is_parameter(&format!("{name}_from")) { " ranged" } else { "" };
            lines.push(format!("  {name}: {}{indexed}{ranged}", form(column)));
        }
        for line in lines {
            self.line(0, &line);
        }
    }

    fn route(&mut self, path: &str, method: &str, operation: &'a Value) {
        let mut line = format!("route {} {path}", method.to_uppercase());
        for (place, sign) in [("query", '&'), ("header", '+')] {
            for parameter in self.parameters(operation).filter(|it| it["in"] == place) {
                let _ = write!(
                    line,
                    " {sign}{}: {}",
                    parameter["name"].as_str().unwrap_or("?"),
                    form(&parameter["schema"])
                );
            }
        }
        let open = if operation["security"].as_array().is_some_and(Vec::is_empty) { " open" } else { "" };
        self.line(0, &format!("{line}{open} -> {}", names(&operation["responses"])));
        self.fields(1, json_body(&operation["requestBody"]));
        for (status, answer) in members(&operation["responses"]) {
            let schema = json_body(answer);
            if schema.is_object() {
                self.line(1, &format!("{status}: {}", form(schema)));
                self.fields(2, schema);
            }
        }
    }

    /// Writes a line for each field of a schema, with a star where the field is required. Fields within a field follow,
    /// indented.
    fn fields(&mut self, depth: usize, schema: &Value) {
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for (name, field) in members(&schema["properties"]) {
            let star = if required.iter().any(|it| it == name) { " *" } else { "" };
            self.line(depth, &format!("{name}: {}{star}", form(field)));
            self.fields(depth + 1, inner(field));
        }
    }

    fn parameters(&self, operation: &'a Value) -> impl Iterator<Item = &'a Value> {
        operation["parameters"].as_array().into_iter().flatten().map(|it| self.resolved(it))
    }

    fn resolved(&self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
        target.map_or(value, |it| self.document.pointer(it).expect("the reference names a component"))
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}

fn words(of: &[Value]) -> Vec<&str> {
    of.iter().map(|it| it.as_str().unwrap_or("?")).collect()
}

/// The names of the members of an object.
fn names(object: &Value) -> String {
    members(object).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The schema of the JSON body of a request or an answer.
fn json_body(of: &Value) -> &Value {
    &of["content"]["application/json"]["schema"]
}

/// The schema whose fields are listed below a field: that of the field itself, or that of the elements of a list, a map
/// or an option.
fn inner(schema: &Value) -> &Value {
    let within = [&schema["items"], &schema["additionalProperties"], &schema["anyOf"][0]];
    within.into_iter().find(|it| it.is_object()).map_or(schema, inner)
}

/// The form of a schema in a few words, such as `text <=20`.
fn form(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or("?").to_owned();
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let is_null = |it: &&Value| it["type"] == "null";
        let forms: Vec<_> = options.iter().filter(|it| !is_null(it)).map(form).collect();
        let decimal = ["number".to_owned(), r"text ^-?\d+(\.\d+)?$".to_owned()];
        let form = if forms == decimal { "decimal".to_owned() } else { forms.join(" or ") };
        return if options.iter().any(|it| is_null(&it)) { or_null(&form) } else { form };
    }
    if let Some(types) = schema["type"].as_array() {
        let names: Vec<_> = types.iter().filter(|it| *it != "null").collect();
        let of_type = |name: &Value| {
            let mut alone = schema.clone();
            alone["type"] = name.clone();
            form(&alone)
        };
        let forms: Vec<_> = names.into_iter().map(of_type).collect();
        let form = forms.join(" or ");
        return if types.iter().any(|it| it == "null") { or_null(&form) } else { form };
    }
    let member = |name: &str| schema[name].as_str();
    let bound = |name: &str| schema[name].as_u64().map_or_else(String::new, |it| it.to_string());
    match member("type").unwrap_or("json") {
        "string" => match (member("format"), member("x-hims-aggregate")) {
            (Some("uuid"), Some(aggregate)) => {
                let part = member("x-hims-part").map_or_else(String::new, |it| format!("'s {it}"));
                format!("uuid of {aggregate}{part}")
            }
            (Some("date-time"), _) => "timestamp".to_owned(),
            (Some(format), _) => format!("{format}{}", up_to(&bound("maxLength"))),
            (None, _) => match (&schema["enum"], member("pattern").or(member("const"))) {
                (Value::Array(codes), _) => words(codes).join("|"),
                (_, Some(pattern)) => format!("text {pattern}"),
                _ => format!("text{}", up_to(&bound("maxLength"))),
            },
        },
        "integer" => {
            let (from, to) = (bound("minimum"), bound("maximum"));
            let range = if from.is_empty() && to.is_empty() { String::new() } else { format!(" {from}..{to}") };
            let default = schema["default"].as_i64().map_or_else(String::new, |it| format!(" = {it}"));
            format!("{}{range}{default}", member("format").unwrap_or("integer"))
        }
        "array" => format!("list of {}", form(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", form(&schema["additionalProperties"]))
        }
        other => other.to_owned(),
    }
}

/// Marks a form as nullable: `text? <=20` for `text <=20`.
fn or_null(form: &str) -> String {
    match form.split_once(' ') {
        Some((kind, rest)) => format!("{kind}? {rest}"),
        None => format!("{form}?"),
    }
}

fn up_to(most: &str) -> String {
    if most.is_empty() { String::new() } else { format!(" <={most}") }
}
