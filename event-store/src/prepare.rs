//! Prepares an append for writing (seals, blinds, serialises) and opens events after reading, for both event stores.

use std::collections::HashSet;

use chrono::SubsecRound;
use uuid::Uuid;

use crate::vault::{SubjectKey, is_sealed};
use crate::{
    Append, AppendError, Booked, Claim, Guard, Opened, Receipt, Recorded, StoreError, Upcasters, Vault, VaultError,
};

/// An append in the form in which it is stored: personal values sealed, keys blinded, events serialised.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) streams: Vec<PreparedStream>,
    pub(crate) versions: Vec<(Uuid, i32)>,
    pub(crate) owner_counts: Vec<(Key, i64)>,
    pub(crate) claims: Vec<PreparedClaim>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) erases: Vec<Uuid>,
}

#[derive(Debug)]
pub(crate) struct PreparedStream {
    pub(crate) stream_type: &'static str,
    pub(crate) stream_id: Uuid,
    pub(crate) expected_version: i32,
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) metadata: String,
}

#[derive(Debug)]
pub(crate) struct PreparedEvent {
    pub(crate) event_type: String,
    pub(crate) schema_version: i32,
    pub(crate) data: String,
}

/// A blinded key and the scope in which it is claimed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) scope: &'static str,
    pub(crate) key: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PreparedClaim {
    Take(Key, Uuid),
    Release(Key, Uuid),
    Share(Key, Uuid),
    Unshare(Key, Uuid),
    Book(Booked),
    Unbook { owner: Uuid },
}

/// The associated data that binds sealed values to their stream and event type, so that a sealed value which is copied
/// to another event does not open there.
fn context(stream_type: &str, stream_id: Uuid, event_type: &str) -> String {
    format!("{stream_type}/{stream_id}/{event_type}")
}

pub(crate) async fn prepare(append: Append, vault: &Vault, upcasters: &Upcasters) -> Result<Prepared, AppendError> {
    if append.streams.iter().all(|stream| stream.events.is_empty()) {
        return Err(AppendError::Malformed("an append needs at least one event".to_owned()));
    }
    let mut streams: Vec<PreparedStream> = Vec::with_capacity(append.streams.len());
    let (mut versions, mut owner_counts) = (Vec::new(), Vec::new());
    let (mut metadata, mut ids) = (append.metadata, HashSet::new());
    metadata.has_receipt = append.receipt.is_some();
    for stream in append.streams {
        if !ids.insert(stream.stream_id) {
            return Err(AppendError::Malformed("an append must name each stream once".to_owned()));
        }
        if stream.events.is_empty() {
            // A stream without new events only has to be at the expected version, as under a version guard.
            versions.push((stream.stream_id, stream.expected_version));
            continue;
        }
        let subject = stream.subject.as_ref().map(|it| it.id);
        metadata.subject = stream.subject;
        let mut events = Vec::with_capacity(stream.events.len());
        for mut event in stream.events {
            let context = context(stream.stream_type, stream.stream_id, &event.event_type);
            vault.seal(&context, subject, &mut event.data).await?;
            events.push(PreparedEvent {
                schema_version: upcasters.current_version(&event.event_type),
                event_type: event.event_type,
                data: serde_json::to_string(&event.data).map_err(malformed)?,
            });
        }
        streams.push(PreparedStream {
            stream_type: stream.stream_type,
            stream_id: stream.stream_id,
            expected_version: stream.expected_version,
            events,
            metadata: serde_json::to_string(&metadata).map_err(malformed)?,
        });
    }
    let key = |scope, key: &str| blinded(scope, key, vault);
    for guard in append.guards {
        match guard {
            Guard::Version { stream_id, version } => versions.push((stream_id, version)),
            Guard::Owners { scope, key: text, count } => owner_counts.push((key(scope, &text), count)),
        }
    }
    let claims = append.claims.into_iter().map(|it| claim(it, vault));
    let claims = consistent(claims.collect())?;
    Ok(Prepared { streams, versions, owner_counts, claims, receipt: append.receipt, erases: append.erases })
}

fn blinded(scope: &'static str, key: &str, vault: &Vault) -> Key {
    Key { scope, key: vault.blind(scope, key.as_bytes()) }
}

/// A claim in the form in which it is stored.
pub(crate) fn claim(claim: Claim, vault: &Vault) -> PreparedClaim {
    let key = |scope, key: &str| blinded(scope, key, vault);
    match claim {
        Claim::Take { scope, key: text, owner } => PreparedClaim::Take(key(scope, &text), owner),
        Claim::Release { scope, key: text, owner } => PreparedClaim::Release(key(scope, &text), owner),
        Claim::Share { scope, key: text, owner } => PreparedClaim::Share(key(scope, &text), owner),
        Claim::Unshare { scope, key: text, owner } => PreparedClaim::Unshare(key(scope, &text), owner),
        Claim::Book { resource, from, until, owner } => {
            // PostgreSQL stores times in microseconds.
            let (from, until) = (from.trunc_subsecs(6), until.trunc_subsecs(6));
            PreparedClaim::Book(Booked { resource, from, until, owner })
        }
        Claim::Unbook { owner } => PreparedClaim::Unbook { owner },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over by value")]
fn malformed(error: serde_json::Error) -> AppendError {
    AppendError::Malformed(error.to_string())
}

/// Removes repeated claims. Refuses claims that contradict each other: one unique key taken by two owners, or bookings
/// that overlap.
fn consistent(mut claims: Vec<PreparedClaim>) -> Result<Vec<PreparedClaim>, AppendError> {
    let mut seen = HashSet::new();
    claims.retain(|claim| matches!(claim, PreparedClaim::Book(_)) || seen.insert(claim.clone()));
    let mut taken: Vec<_> = claims.iter().filter_map(PreparedClaim::take).collect();
    taken.sort_unstable();
    if let Some([(key, owner), _]) = taken.array_windows().find(|[one, other]| one.0 == other.0) {
        return Err(AppendError::Taken { scope: key.scope.to_owned(), owner: *owner });
    }
    let mut booked: Vec<_> = claims.iter().filter_map(PreparedClaim::book).collect();
    if booked.iter().any(|it| it.from >= it.until) {
        return Err(AppendError::Malformed("a booking must end after it begins".to_owned()));
    }
    booked.sort_unstable();
    if let Some([one, _]) = booked.array_windows().find(|[one, other]| one.overlaps(&other.span())) {
        return Err(AppendError::DoubleBooked { resource: one.resource, owner: one.owner });
    }
    Ok(claims)
}

impl PreparedClaim {
    fn take(&self) -> Option<(&Key, Uuid)> {
        if let Self::Take(key, owner) = self { Some((key, *owner)) } else { None }
    }

    fn book(&self) -> Option<&Booked> {
        if let Self::Book(booked) = self { Some(booked) } else { None }
    }
}

pub(crate) async fn open(
    vault: &Vault,
    upcasters: &Upcasters,
    events: Vec<Recorded>,
) -> Result<Vec<Opened>, StoreError> {
    let subjects: Vec<Option<Uuid>> =
        events.iter().map(|event| if is_sealed(&event.data) { event.subject_id() } else { None }).collect();
    let keys = vault.keys(subjects.iter().flatten().copied().collect()).await?;
    let opened = events.into_iter().zip(subjects).map(|(event, subject)| {
        open_one(upcasters, event, subject.and_then(|id| keys.get(&id)).cloned().unwrap_or(Ok(None)))
    });
    Ok(opened.collect())
}

/// Opens one event. When its sealed values do not open, its content becomes null: then only this event fails to decode.
fn open_one(upcasters: &Upcasters, recorded: Recorded, key: Result<SubjectKey, VaultError>) -> Opened {
    let outdated = recorded.schema_version < upcasters.current_version(&recorded.event_type);
    let sealed = is_sealed(&recorded.data);
    if !sealed && !outdated {
        return Opened { recorded, data: None, key: None };
    }
    let context = context(&recorded.stream_type, recorded.stream_id, &recorded.event_type);
    let data = serde_json::from_str(&recorded.data).map_err(|_| VaultError::Forged).and_then(|mut data| {
        if sealed {
            Vault::open(&context, key.as_ref().map_err(Clone::clone)?.as_deref(), &mut data)?;
        }
        Ok(upcasters.apply(&recorded.event_type, recorded.schema_version, data))
    });
    let key = key.unwrap_or_default();
    match data {
        Ok(data) => Opened { recorded, data: Some(data), key },
        Err(error) => {
            tracing::error!(position = recorded.position, %error, "an event could not be opened");
            Opened { recorded, data: Some(serde_json::Value::Null), key }
        }
    }
}

/// Seals the personal values of a state before it is saved as a snapshot.
pub(crate) async fn seal_state(
    vault: &Vault,
    (stream_type, stream_id): (&str, Uuid),
    subject: Option<Uuid>,
    state: &mut serde_json::Value,
) -> Result<(), VaultError> {
    vault.seal(&context(stream_type, stream_id, "snapshot"), subject, state).await
}

/// Opens the personal values of a state that was read from a snapshot.
pub(crate) async fn open_state(
    vault: &Vault,
    (stream_type, stream_id): (&str, Uuid),
    subject: Option<Uuid>,
    state: &mut serde_json::Value,
) -> Result<(), VaultError> {
    let keys = vault.keys(subject.into_iter().collect()).await?;
    let key = keys.into_values().next().transpose()?.flatten();
    Vault::open(&context(stream_type, stream_id, "snapshot"), key.as_deref(), state)
}
