//! The stream of a resource, and the resource that a reference means.

use std::collections::HashMap;

use uuid::Uuid;

use super::datatypes::{Identifier, Reference};

/// The namespace of derived ids (UUID version 5). The namespace must never change, or an import would not find the
/// streams of earlier imports.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f1d_5c0e_8a53_5d7b_9f64_1b7e_3c02_a9d1);

/// The id that is derived from a name.
pub(super) fn derived(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of a resource's stream, from the resource's id, or else its address in the bundle, or else its text.
/// An id or an address that is a UUID is taken as it is; from anything else, an id is derived.
pub(super) fn stream_id(kind: &str, id: Option<&str>, full_url: Option<&str>, text: &str) -> Uuid {
    match (id, full_url) {
        (Some(id), _) => of_id(kind, id),
        (None, Some(url)) => of_urn(url).unwrap_or_else(|| derived(url)),
        (None, None) => derived(&format!("{kind}/{text}")),
    }
}

fn of_id(kind: &str, id: &str) -> Uuid {
    Uuid::parse_str(id).unwrap_or_else(|_| derived(&format!("{kind}/{id}")))
}

fn of_urn(url: &str) -> Option<Uuid> {
    Uuid::parse_str(url.strip_prefix("urn:uuid:")?).ok()
}

fn by_identifier(kind: &str, system: &str, value: &str) -> String {
    format!("{kind}?identifier={system}|{value}")
}

/// The resources of an import, by every name with which a reference may refer to a resource.
#[derive(Default)]
pub(super) struct References(HashMap<String, (String, Uuid)>);

impl References {
    /// Adds a resource with its id, its address and its identifiers.
    pub(super) fn enter(
        &mut self,
        (kind, stream): (&str, Uuid),
        id: Option<&str>,
        full_url: Option<&str>,
        identifiers: &[Identifier],
    ) {
        let identified = identifiers
            .iter()
            .filter_map(|it| Some(by_identifier(kind, it.system.as_deref().unwrap_or_default(), it.value.as_deref()?)));
        let names =
            full_url.map(str::to_owned).into_iter().chain(id.map(|it| format!("{kind}/{it}"))).chain(identified);
        for name in names {
            // A name of two resources means the resource with the smaller id, whichever file comes first.
            let entry = self.0.entry(name).or_insert_with(|| (kind.to_owned(), stream));
            if stream < entry.1 {
                *entry = (kind.to_owned(), stream);
            }
        }
    }

    /// The stream of the resource that a reference means, if the resource is of this kind. The resource may be missing
    /// in the files.
    pub(super) fn resolve(&self, kind: &str, reference: &Reference) -> Option<Uuid> {
        let Some(text) = reference.reference.as_deref() else {
            let identifier = reference.identifier.as_ref()?;
            let system = identifier.system.as_deref().unwrap_or_default();
            return of_kind(kind, self.0.get(&by_identifier(kind, system, identifier.value.as_deref()?))?);
        };
        if let Some(entered) = self.0.get(text) {
            return of_kind(kind, entered);
        }
        if let Some(id) = of_urn(text) {
            return Some(id);
        }
        let text = text.split_once("/_history/").map_or(text, |(it, _)| it);
        let (before, id) = text.rsplit_once('/')?;
        if before.contains('?') || before.rsplit('/').next() != Some(kind) {
            return None;
        }
        match self.0.get(&format!("{kind}/{id}")) {
            Some(entered) => of_kind(kind, entered),
            None => Some(of_id(kind, id)),
        }
    }
}

/// The stream of an added resource, unless the resource is of another kind.
fn of_kind(kind: &str, (entered, id): &(String, Uuid)) -> Option<Uuid> {
    (entered == kind).then_some(*id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "57a5a683-f51e-4976-ad1d-c2c4d3385cec";

    fn to(text: &str) -> Reference {
        Reference { reference: Some(text.to_owned()), identifier: None }
    }

    #[test]
    fn an_id_that_is_a_uuid_stays_and_any_other_is_derived() {
        assert_eq!(stream_id("Patient", Some(ID), Some("urn:uuid:other"), "").to_string(), ID);
        assert_eq!(stream_id("Patient", None, Some(&format!("urn:uuid:{ID}")), "").to_string(), ID);
        let derived = stream_id("Patient", Some("42"), None, "");
        assert_eq!(derived.get_version_num(), 5);
        assert_ne!(derived, stream_id("Encounter", Some("42"), None, ""));
    }

    #[test]
    fn a_reference_may_be_written_in_many_ways() {
        let (mut references, stream) = (References::default(), stream_id("Patient", Some("42"), None, ""));
        let identifier = Identifier { system: Some("http://mrn".to_owned()), value: Some("7".to_owned()), kind: None };
        references.enter(("Patient", stream), Some("42"), Some("urn:uuid:1-2-3"), &[identifier]);
        for text in [
            "urn:uuid:1-2-3",
            "Patient/42",
            "http://example.org/fhir/Patient/42",
            "Patient/42/_history/2",
            "Patient?identifier=http://mrn|7",
        ] {
            assert_eq!(references.resolve("Patient", &to(text)), Some(stream), "{text}");
            assert_eq!(references.resolve("Encounter", &to(text)), None, "{text}");
        }
        assert_eq!(References::default().resolve("Patient", &to("Patient/42")), Some(stream));
        assert_eq!(references.resolve("Patient", &to("Patient?identifier=http://mrn|8")), None);
        assert_eq!(references.resolve("Patient", &to("#contained")), None);
    }
}
