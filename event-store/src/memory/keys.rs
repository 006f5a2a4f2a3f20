//! Subject keys in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{KeyTable, VaultError};

/// The table of wrapped subject keys, in memory.
#[derive(Default)]
pub(super) struct MemoryKeys(Mutex<HashMap<Uuid, Option<Vec<u8>>>>);

impl MemoryKeys {
    fn keys(&self) -> MutexGuard<'_, HashMap<Uuid, Option<Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyTable for MemoryKeys {
    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Vec<u8>>)>, VaultError> {
        let keys = self.keys();
        Ok(subjects.iter().filter_map(|subject| keys.get(subject).map(|key| (*subject, key.clone()))).collect())
    }

    async fn sample(&self) -> Result<Option<(Uuid, Vec<u8>)>, VaultError> {
        Ok(self.keys().iter().find_map(|(subject, key)| Some((*subject, key.clone()?))))
    }

    async fn insert(&self, subject: Uuid, wrapped: Vec<u8>) -> Result<(), VaultError> {
        self.keys().entry(subject).or_insert(Some(wrapped));
        Ok(())
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        self.keys().insert(subject, None);
        Ok(())
    }
}
