use chrono::{DateTime, Utc};
use hims_domain::session::Event;
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::table;
use crate::tables::users::UserRow;

table! {
    /// One row per session.
    SessionRow in "user_sessions" {
        /// The session.
        id: Uuid [indexed],
        /// Whose it is.
        user_id: Uuid [indexed],
        /// SHA-256 of the bearer token.
        token_hash: Vec<u8> [hidden],
        /// How the user proved who they are.
        auth_method: String,
        /// From which address.
        ip_address: Option<IpNetwork>,
        /// With which program.
        user_agent: Option<String>,
        /// When it ends unless it is used.
        idle_expires_at: DateTime<Utc>,
        /// When it ends however much it is used.
        absolute_expires_at: DateTime<Utc>,
        /// When it ended.
        ended_at: Option<DateTime<Utc>>,
        /// How it ended.
        end_reason: Option<String>,
        /// Version of the stream.
        version: i32,
        /// When it began.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
    }
}

/// The bytes that a string of hexadecimal digits stands for.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|it| it.to_digit(16)).filter_map(|it| u8::try_from(it).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn project(event: &Projected<'_, Event>, sessions: &mut Changes<SessionRow>, users: &mut Changes<UserRow>) {
    let stamp = event.stamp();
    match event.data {
        Event::Started { user_id, token_hash, idle_expires_at, absolute_expires_at } => {
            sessions.insert(SessionRow {
                id: event.stream_id,
                user_id: (*user_id).into(),
                token_hash: bytes(token_hash),
                auth_method: "password".to_owned(),
                ip_address: event.metadata.ip.map(IpNetwork::from),
                user_agent: event.metadata.user_agent.clone(),
                idle_expires_at: *idle_expires_at,
                absolute_expires_at: *absolute_expires_at,
                ended_at: None,
                end_reason: None,
                version: stamp.version,
                created_at: stamp.at,
                updated_at: stamp.at,
            });
            users.update((*user_id).into(), move |row| row.last_login_at = Some(stamp.at));
        }
        Event::Renewed { idle_expires_at } => {
            let idle_expires_at = *idle_expires_at;
            sessions.update(event.stream_id, move |row| {
                row.idle_expires_at = idle_expires_at;
                (row.version, row.updated_at) = (stamp.version, stamp.at);
            });
        }
        Event::Ended { reason } => {
            let reason = reason.to_string();
            sessions.update(event.stream_id, move |row| {
                row.ended_at = Some(stamp.at);
                row.end_reason = Some(reason);
                (row.version, row.updated_at) = (stamp.version, stamp.at);
            });
        }
    }
}
