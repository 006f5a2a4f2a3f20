//! The stream of a resource, and the resource that a reference means. An id counts only within its own server or
//! bundle, unless the id is a UUID.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use hims_domain::read_id;
use uuid::Uuid;

use super::datatypes::{Identifier, Reference};

/// The namespace of derived ids (UUID version 5). The namespace must never change, or an import would not find the
/// streams of earlier imports.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f1d_5c0e_8a53_5d7b_9f64_1b7e_3c02_a9d1);

/// The id that is derived from a name.
pub(super) fn derived(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Where a resource was found; its references are read from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The address of the server, if the resource says it or the operator named it.
    pub(super) server: Option<Arc<str>>,
    /// The number of the bundle.
    pub(super) bundle: Option<usize>,
    /// The stream of the resource, whose contained resources are meant by `#id`.
    pub(super) stream: Uuid,
}

/// The stream of a resource, and whether its id names the resource in the whole world: as a UUID or with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) stream: Uuid,
    pub(super) is_global: bool,
}

impl Identity {
    fn global(stream: Uuid) -> Self {
        Self { stream, is_global: true }
    }
}

/// The identity of a resource: its id if the id is a UUID, or else an id that is derived from its address, from its
/// server and its id, from its id alone, or from its text.
pub(super) fn identity(
    kind: &str,
    id: Option<&str>,
    full_url: Option<&str>,
    server: Option<&str>,
    text: &str,
) -> Identity {
    let of_url = |url: &str| of_urn(url).unwrap_or_else(|| derived(&address(url)));
    if let Some(id) = id.and_then(read_id) {
        return Identity::global(id);
    }
    match (full_url.filter(|it| is_absolute(it)), server, id) {
        (Some(url), _, _) => Identity::global(of_url(url)),
        (None, Some(server), Some(id)) => Identity::global(derived(&format!("{}/{kind}/{id}", address(server)))),
        (None, None, Some(id)) => Identity { stream: derived(&format!("{kind}/{id}")), is_global: false },
        (None, _, None) => Identity::global(derived(&format!("{kind}/{text}"))),
    }
}

/// The server of a resource with a full URL such as `https://example.org/fhir/Patient/42`.
pub(super) fn server<'a>(kind: &str, full_url: &'a str) -> Option<&'a str> {
    let (rest, id) = full_url.split("/_history/").next()?.rsplit_once('/')?;
    let server = rest.strip_suffix(kind)?.strip_suffix('/')?;
    (!id.is_empty() && server.contains("://")).then_some(server)
}

fn of_urn(url: &str) -> Option<Uuid> {
    read_id(url.strip_prefix("urn:uuid:")?)
}

fn is_absolute(url: &str) -> bool {
    url.starts_with("urn:") || url.contains("://")
}

/// An address without its version. `http:` and `https:` mean the same server.
fn address(url: &str) -> String {
    let url = url.split("/_history/").next().unwrap_or(url).trim_end_matches('/');
    url.strip_prefix("https://").map_or_else(|| url.to_owned(), |rest| format!("http://{rest}"))
}

fn by_identifier(kind: &str, identifier: &Identifier) -> Option<String> {
    let system = identifier.system.as_deref().unwrap_or_default();
    Some(format!("{kind}?identifier={system}|{}", identifier.value.as_deref()?))
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    /// The resource of a type, with its stream.
    One(String, Uuid),
    /// Several resources, so that the name means none of them.
    Several,
}

/// What a name is found to mean.
enum Entered {
    /// Nothing has the name.
    Nothing,
    /// The stream of the resource.
    Stream(Uuid),
    /// Several resources, or a resource of another kind.
    Unclear,
}

impl Entered {
    /// The stream; if nothing has the name, the stream that `missing` answers.
    fn or_else(self, missing: impl FnOnce() -> Option<Uuid>) -> Option<Uuid> {
        match self {
            Self::Nothing => missing(),
            Self::Stream(stream) => Some(stream),
            Self::Unclear => None,
        }
    }
}

/// The resources of an import, by every name with which a reference may refer to a resource.
#[derive(Default)]
pub(super) struct References(HashMap<String, Meant>);

impl References {
    /// Adds a resource with its id, its address and its identifiers.
    pub(super) fn enter(
        &mut self,
        kind: &str,
        origin: &Origin,
        id: Option<&str>,
        full_url: Option<&str>,
        identifiers: &[Identifier],
    ) {
        let mut names: Vec<String> = full_url.map(address).into_iter().collect();
        let relative = id.map(|it| format!("{kind}/{it}"));
        if let (Some(server), Some(relative)) = (&origin.server, &relative) {
            names.push(format!("{}/{relative}", address(server)));
        }
        names.extend(identifiers.iter().filter_map(|it| by_identifier(kind, it)));
        if let Some(bundle) = origin.bundle {
            let local = full_url.map(address).into_iter().chain(relative);
            names.extend(local.map(|it| format!("{bundle} {it}")));
        } else if origin.server.is_none() {
            names.extend(relative);
        }
        for name in names {
            self.name(name, kind, origin.stream);
        }
    }

    /// Adds a resource that another resource contains.
    pub(super) fn enter_contained(&mut self, kind: &str, container: Uuid, local: &str, stream: Uuid) {
        self.name(format!("{container}#{local}"), kind, stream);
    }

    fn name(&mut self, name: String, kind: &str, stream: Uuid) {
        let meant = Meant::One(kind.to_owned(), stream);
        match self.0.entry(name) {
            Entry::Vacant(slot) => drop(slot.insert(meant)),
            Entry::Occupied(mut slot) if *slot.get() != meant => drop(slot.insert(Meant::Several)),
            Entry::Occupied(_) => {}
        }
    }

    /// The stream that an identifier names, if the files hold exactly one resource with the identifier.
    pub(super) fn identified(&self, kind: &str, identifier: &Identifier) -> Option<Uuid> {
        self.entered(kind, &by_identifier(kind, identifier)?).or_else(|| None)
    }

    /// The stream of the resource that a reference means, if the resource is of this kind. The resource may be missing
    /// in the files, if its id is a UUID or the server of the reference is known.
    pub(super) fn resolve(&self, kind: &str, origin: &Origin, reference: &Reference) -> Option<Uuid> {
        let by_address = reference.reference.as_deref().and_then(|it| self.resolve_text(kind, origin, it));
        by_address.or_else(|| self.identified(kind, reference.identifier.as_ref()?))
    }

    fn resolve_text(&self, kind: &str, origin: &Origin, text: &str) -> Option<Uuid> {
        if let Some(local) = text.strip_prefix('#') {
            return self.entered(kind, &format!("{}#{local}", origin.stream)).or_else(|| None);
        }
        if text.contains('?') {
            return self.entered(kind, text).or_else(|| None);
        }
        let text = address(text);
        let in_bundle = match origin.bundle {
            Some(bundle) => self.entered(kind, &format!("{bundle} {text}")),
            None => Entered::Nothing,
        };
        in_bundle.or_else(|| self.resolve_outside(kind, origin, &text))
    }

    /// Resolves a reference to a resource that is not in the same bundle.
    fn resolve_outside(&self, kind: &str, origin: &Origin, text: &str) -> Option<Uuid> {
        if is_absolute(text) {
            return self.entered(kind, text).or_else(|| of_urn(text).or_else(|| of_url(kind, text)));
        }
        let id = text.strip_prefix(kind)?.strip_prefix('/')?;
        if let Some(server) = &origin.server {
            let url = format!("{}/{text}", address(server));
            return self.entered(kind, &url).or_else(|| of_url(kind, &url));
        }
        match origin.bundle {
            // Outside of bundles, the resources that name no server are taken as those of one server.
            None => self.entered(kind, text).or_else(|| read_id(id)),
            Some(_) => read_id(id),
        }
    }

    fn entered(&self, kind: &str, name: &str) -> Entered {
        match self.0.get(name) {
            None => Entered::Nothing,
            Some(Meant::One(entered, stream)) if entered == kind => Entered::Stream(*stream),
            Some(_) => Entered::Unclear,
        }
    }
}

/// The stream of a resource by its full URL, if the URL is of the resource's kind.
fn of_url(kind: &str, url: &str) -> Option<Uuid> {
    let server = server(kind, url)?;
    let id = url.strip_prefix(server)?.rsplit('/').next();
    Some(identity(kind, id, Some(url), None, "").stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "57a5a683-f51e-4976-ad1d-c2c4d3385cec";

    fn to(text: &str) -> Reference {
        Reference { reference: Some(text.to_owned()), identifier: None }
    }

    fn stream(id: Option<&str>, full_url: Option<&str>) -> Uuid {
        identity("Patient", id, full_url, None, "").stream
    }

    #[test]
    fn an_id_that_is_a_uuid_stays_and_any_other_is_derived() {
        assert_eq!(stream(Some(ID), Some("urn:uuid:other")).to_string(), ID);
        assert_eq!(stream(None, Some(&format!("urn:uuid:{ID}"))).to_string(), ID);
        assert_eq!(stream(Some("42"), Some(&format!("urn:uuid:{ID}"))).to_string(), ID);
        assert_eq!(stream(Some("42"), None).get_version_num(), 5);
        assert_ne!(stream(Some("42"), None), identity("Encounter", Some("42"), None, None, "").stream);
        assert!(!stream(Some("00000000-0000-0000-0000-000000000000"), None).is_nil());
    }

    #[test]
    fn an_id_counts_within_its_server() {
        let north = stream(Some("1"), Some("https://north.example/fhir/Patient/1"));
        assert_ne!(north, stream(Some("1"), Some("https://south.example/fhir/Patient/1")));
        assert_ne!(north, stream(Some("1"), None));
        assert_eq!(north, stream(Some("1"), Some("http://north.example/fhir/Patient/1")));
        let named = identity("Patient", Some("1"), None, Some("https://north.example/fhir/"), "");
        assert_eq!(named, Identity { stream: north, is_global: true });
        let elsewhere = Origin { server: Some("https://south.example/fhir".into()), ..Origin::default() };
        let none = References::default();
        assert_eq!(none.resolve("Patient", &elsewhere, &to("https://north.example/fhir/Patient/1")), Some(north));
        assert_ne!(none.resolve("Patient", &elsewhere, &to("Patient/1")), Some(north));
        assert_eq!(none.resolve("Patient", &Origin::default(), &to("Patient/1")), None, "whose server is not known");
        assert_eq!(none.resolve("Patient", &Origin::default(), &to(&format!("Patient/{ID}"))), ID.parse().ok());
    }

    #[test]
    fn a_reference_may_be_written_in_many_ways() {
        let server = "http://example.org/fhir";
        let url = format!("{server}/Patient/42");
        let stream = stream(Some("42"), Some(&url));
        let origin = Origin { server: Some(server.into()), bundle: None, stream };
        let mut references = References::default();
        let identifier =
            Identifier { system: Some("http://mrn".to_owned()), value: Some("7".to_owned()), ..Identifier::default() };
        references.enter("Patient", &origin, Some("42"), Some(&url), &[identifier]);
        for text in [
            "Patient/42",
            "http://example.org/fhir/Patient/42",
            "https://example.org/fhir/Patient/42",
            "Patient/42/_history/2",
            "Patient?identifier=http://mrn|7",
        ] {
            assert_eq!(references.resolve("Patient", &origin, &to(text)), Some(stream), "{text}");
            assert_eq!(references.resolve("Encounter", &origin, &to(text)), None, "{text}");
        }
        assert_eq!(references.resolve("Patient", &origin, &to("Patient?identifier=http://mrn|8")), None);
        assert_eq!(references.resolve("Patient", &origin, &to("#contained")), None);
    }

    #[test]
    fn a_name_of_several_resources_means_none_of_them() {
        let mut references = References::default();
        let shared = || Identifier { value: Some("unknown".to_owned()), ..Identifier::default() };
        for (bundle, stream) in [(1, Uuid::from_u128(1)), (2, Uuid::from_u128(2))] {
            let origin = Origin { server: None, bundle: Some(bundle), stream };
            references.enter("Patient", &origin, Some("1"), None, &[shared()]);
            assert_eq!(references.resolve("Patient", &origin, &to("Patient/1")), Some(stream), "in its own bundle");
        }
        assert_eq!(references.identified("Patient", &shared()), None);
        assert_eq!(references.resolve("Patient", &Origin::default(), &to("Patient/1")), None);
    }
}
