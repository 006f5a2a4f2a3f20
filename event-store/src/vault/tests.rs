//! What a vault knows of erasures when another server takes over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use super::*;

/// Keys of a log that was promoted to this timeline: the server that has taken over has the stored keys.
#[derive(Default)]
struct Promoted {
    timeline: AtomicI32,
    stored: Mutex<HashMap<Uuid, Option<Wrapped>>>,
}

#[async_trait]
impl KeyTable for Promoted {
    fn timeline(&self) -> i32 {
        self.timeline.load(Ordering::Relaxed)
    }

    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Wrapped>)>, VaultError> {
        let stored = self.stored.lock().unwrap();
        Ok(subjects.iter().filter_map(|it| Some((*it, stored.get(it)?.clone()))).collect())
    }

    async fn roots(&self) -> Result<Vec<WrappedRoot>, VaultError> {
        Ok(Vec::new())
    }

    async fn found(&self, _: Wrapped) -> Result<(), VaultError> {
        Ok(())
    }

    async fn insert(&self, subject: Uuid, wrapped: Wrapped) -> Result<(), VaultError> {
        self.stored.lock().unwrap().entry(subject).or_insert(Some(wrapped));
        Ok(())
    }

    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError> {
        self.stored.lock().unwrap().insert(subject, None);
        Ok(())
    }
}

#[tokio::test]
async fn an_erasure_that_was_lost_with_its_primary_refuses_nothing_after_the_promotion() {
    let (ann, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let keys = Arc::new(Promoted::default());
    let vault = Vault::in_memory(MasterKey::new(&[7; 32]).into(), Arc::clone(&keys) as Arc<dyn KeyTable>);
    for person in [ann, ben] {
        vault.key_to_seal(person).await.unwrap();
    }
    let on_the_standby = keys.stored.lock().unwrap().clone();
    for person in [ann, ben] {
        vault.destroy_key(person).await.unwrap();
        assert!(matches!(vault.key_to_seal(person).await, Err(VaultError::Erased)));
    }
    // The standby that was promoted has the erasure of Ben, and not that of Ann.
    keys.stored.lock().unwrap().insert(ann, on_the_standby[&ann].clone());
    keys.timeline.store(1, Ordering::Relaxed);
    assert!(vault.key_to_seal(ann).await.is_ok());
    assert!(matches!(vault.keys(vec![ann]).await.unwrap()[&ann], Ok(Some(_))));
    assert!(matches!(vault.key_to_seal(ben).await, Err(VaultError::Erased)));
    assert!(matches!(vault.keys(vec![ben]).await.unwrap()[&ben], Ok(None)));
    // What the feed still tells of the former primary counts for nothing.
    vault.forget(&[ann], 0);
    assert!(vault.key_to_seal(ann).await.is_ok());
}
