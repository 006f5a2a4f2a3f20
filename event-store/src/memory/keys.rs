//! Subject keys in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::vault::{Wrapped, WrappedRoot};
use crate::{KeyTable, VaultError};

/// The table of wrapped subject keys, in memory.
#[derive(Default)]
pub(super) struct MemoryKeys(Mutex<HashMap<Uuid, Option<Wrapped>>>);

impl MemoryKeys {
    /// Destroys the key of a subject.
    pub(super) fn forget(&self, subject: Uuid) {
        self.keys().insert(subject, None);
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Uuid, Option<Wrapped>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyTable for MemoryKeys {
    // The vault of a log in memory keeps the root secret itself, and its master key is never replaced.
    async fn roots(&self) -> Result<Vec<WrappedRoot>, VaultError> {
        Ok(Vec::new())
    }

    async fn found(&self, _: Wrapped) -> Result<(), VaultError> {
        Ok(())
    }

    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Wrapped>)>, VaultError> {
        let keys = self.keys();
        Ok(subjects.iter().filter_map(|subject| keys.get(subject).map(|key| (*subject, key.clone()))).collect())
    }

    async fn insert(&self, subject: Uuid, key: Wrapped) -> Result<(), VaultError> {
        self.keys().entry(subject).or_insert(Some(key));
        Ok(())
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        self.forget(subject);
        Ok(())
    }
}
