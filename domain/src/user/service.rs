use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::role::Permissions;
use crate::{ClientSecretId, Personal};

/// A program that logs in with a secret of its own, and no person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Of what the roles allow, the permissions that the program has.
    pub scopes: Permissions,
    /// The secrets of the program, the oldest first: at most two, so that one replaces the other without a pause.
    pub secrets: Vec<ClientSecret>,
}

impl Service {
    /// The program with a further secret. Of the former ones, the last stays good for a while.
    pub(super) fn with_secret(self, added: ClientSecret, former_expires_at: DateTime<Utc>) -> Self {
        let former = self.secrets.last().cloned();
        let former = former.map(|it| ClientSecret { expires_at: it.expires_at.min(former_expires_at), ..it });
        Self { secrets: former.into_iter().chain([added]).collect(), ..self }
    }
}

/// A secret with which a program logs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientSecret {
    /// The secret's id.
    pub secret_id: ClientSecretId,
    /// The SHA-256 hash of the secret in hexadecimal digits. The secret itself is stored nowhere.
    pub client_secret_hash: Personal<String>,
    /// Until when the secret is good.
    pub expires_at: DateTime<Utc>,
}
