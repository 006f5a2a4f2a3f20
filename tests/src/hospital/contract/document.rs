//! The OpenAPI document as it is needed to ask and to check answers.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::hospital::Answer;

/// What answers a request that the document describes.
pub(crate) struct Operation {
    pub(crate) method: reqwest::Method,
    /// The path, with names in braces for the parameters in it.
    pub(crate) path: String,
    /// The parameters in the path, in the query and in headers.
    pub(crate) parameters: Vec<Value>,
    /// The schema of the body in JSON.
    pub(crate) body: Option<Value>,
    answers: Value,
}

/// The document, with the validators that were made of its schemas.
pub(crate) struct Document {
    pub(crate) value: Value,
    validators: HashMap<String, Validator>,
}

impl Document {
    pub(crate) fn new() -> Self {
        let value = hims_api::openapi_document(&hims_commands::Registry::hospital());
        Self { value, validators: HashMap::new() }
    }

    /// A part of the document, or what the part refers to.
    pub(crate) fn resolved<'a>(&'a self, part: &'a Value) -> &'a Value {
        match part["$ref"].as_str() {
            Some(target) => self.value.pointer(target.trim_start_matches('#')).expect("a component"),
            None => part,
        }
    }

    /// Every operation but the streams, whose answers do not end.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.value["paths"].as_object().expect("paths").iter();
        let operations = paths.flat_map(|(path, of)| of.as_object().into_iter().flatten().map(move |it| (path, it)));
        let operations = operations.filter(|(path, _)| !path.ends_with("/stream")).map(|(path, (method, it))| {
            let parameters = it["parameters"].as_array().into_iter().flatten();
            Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                parameters: parameters.map(|it| self.resolved(it).clone()).collect(),
                body: it["requestBody"]["content"].get("application/json").map(|it| it["schema"].clone()),
                answers: it["responses"].clone(),
            }
        });
        operations.collect()
    }

    /// What is wrong with an answer, if it is not one that the document describes.
    pub(crate) fn fault_of(&mut self, operation: &Operation, answer: &Answer) -> Option<String> {
        let status = answer.status;
        if status >= 500 && status != 503 {
            return Some(format!("{status} is a fault of the server: {}", answer.text));
        }
        let Some(described) = operation.answers.get(status.to_string()) else {
            return Some(format!("{status} is not in the document: {}", answer.text));
        };
        let Some(content) = self.resolved(described).get("content").cloned() else {
            return (!answer.text.is_empty()).then(|| format!("{status} has a body: {}", answer.text));
        };
        let told = answer.header("content-type").unwrap_or_default();
        // A type that is described without parameters stands for the type with any of them.
        let without_parameters = told.split(';').next().unwrap_or_default();
        let Some(described) = content.get(told).or_else(|| content.get(without_parameters)) else {
            return Some(format!("{status} is of the type {told:?}, which is not in the document"));
        };
        if !told.contains("json") {
            return None;
        }
        let Ok(body) = serde_json::from_str::<Value>(&answer.text) else {
            return Some(format!("{status} is no JSON: {}", answer.text));
        };
        let validator = self.validator(&described["schema"]);
        let error = validator.iter_errors(&body).next()?;
        Some(format!("{status} has not the described form at {:?}: {error}", error.instance_path().to_string()))
    }

    fn validator(&mut self, schema: &Value) -> &Validator {
        let make = || {
            // The references in schemas lead to schemas.
            let mut root = schema.clone();
            root["components"] = json!({"schemas": self.value["components"]["schemas"]});
            jsonschema::options().should_validate_formats(true).build(&root).expect("a schema")
        };
        self.validators.entry(schema.to_string()).or_insert_with(make)
    }
}
