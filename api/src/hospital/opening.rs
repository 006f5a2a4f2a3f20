//! What the hospital needs of its database before it opens.

use hims_event_store::{StoreError, VaultError};
use hims_projections::migrations::MigrationError;
use hims_projections::roles;
use sqlx::PgPool;

use super::{HospitalError, Purpose};
use crate::database::{Database, ensure_fits};
use crate::keys::KeySource;

/// Applies missing migrations, or refuses to inspect a database with other ones. Warns of a server's login that has too
/// many rights.
pub(super) async fn bring_up_to_date(
    database: &Database,
    owner: &PgPool,
    purpose: Purpose,
) -> Result<(), HospitalError> {
    match purpose {
        Purpose::Inspect => ensure_fits(owner).await?,
        Purpose::Serve | Purpose::Work => database.migrate().await?,
    }
    if purpose == Purpose::Serve && roles::may_migrate(owner).await? {
        tracing::warn!(
            "the server's login may change what is recorded, since it is a member of hims_owner or may make itself one: \
             give the server a login of its own (docs/operators.md, \"Your own database\")"
        );
    }
    Ok(())
}

/// Why a hospital does not open whose log does not.
pub(super) fn not_opened(error: StoreError, source_of_keys: &KeySource) -> HospitalError {
    let StoreError::Vault(VaultError::OtherMasterKey(id)) = error else { return error.into() };
    HospitalError::OtherKey { source_of_keys: source_of_keys.clone(), id }
}

impl From<MigrationError> for HospitalError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => Self::Database(error),
            error => Self::Migrate(error),
        }
    }
}
