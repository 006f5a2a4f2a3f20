//! Reading a resource, and listing the elements of the resource that are not read.

use serde::de::DeserializeOwned;
use serde_ignored::Path;

/// Reads a resource. Also answers the paths of all elements that the type of the resource has no place for, such as
/// `contact.telecom`, in the order of the text.
pub(super) fn read<R: DeserializeOwned>(text: &str) -> serde_json::Result<(R, Vec<String>)> {
    let mut unread = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let resource = serde_ignored::deserialize(&mut deserializer, |path| {
        let mut names = Vec::new();
        collect(&path, &mut names);
        let matters = names.last().is_some_and(|it| !is_about_form(it));
        if matters {
            unread.push(names.join("."));
        }
    })?;
    Ok((resource, unread))
}

/// Whether an element says nothing about what the resource describes: its type, its id, and the text that a reference
/// shows in place of what it refers to.
fn is_about_form(element: &str) -> bool {
    matches!(element, "resourceType" | "id" | "display")
}

/// The names of a path, without the positions in lists. A name that no element of FHIR can have is not repeated, since
/// the name could be a personal value.
fn collect(path: &Path<'_>, names: &mut Vec<String>) {
    match path {
        Path::Root => {}
        Path::Seq { parent, .. } => collect(parent, names),
        Path::Map { parent, key } => {
            collect(parent, names);
            let is_a_name = key.len() <= 64 && key.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
            names.push(if is_a_name { key.clone() } else { "(no element)".to_owned() });
        }
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            collect(parent, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::dec;

    use super::*;
    use crate::import::resources::Observation;

    #[test]
    fn what_is_not_read_is_listed_by_its_path() {
        let text = r#"{ "resourceType": "Observation", "id": "1", "status": "final", "bodySite": { "text": "arm" },
            "code": { "coding": [{ "code": "1", "version": "2" }, { "version": "3" }] },
            "subject": { "reference": "Patient/1", "display": "Jane" }, "Jane Doe": 1,
            "valueQuantity": { "value": 37.10, "extension": [] } }"#;
        let (observation, unread): (Observation, _) = read(text).unwrap();
        assert_eq!(observation.value_quantity.unwrap().value, Some(dec!(37.10)));
        let expected =
            ["bodySite", "code.coding.version", "code.coding.version", "(no element)", "valueQuantity.extension"];
        assert_eq!(unread, expected);
    }
}
