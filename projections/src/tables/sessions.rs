use chrono::{DateTime, Utc};
use hims_domain::session::Event;
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::tables::users::UserRow;

table! {
    /// One row per session.
    SessionRow in "user_sessions", stamped {
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
    }
}

/// The bytes that a string of hexadecimal digits stands for.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|it| it.to_digit(16)).filter_map(|it| u8::try_from(it).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    sessions: &mut Changes<'e, SessionRow>,
    users: &mut Changes<'e, UserRow>,
) {
    let at = event.recorded_at;
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
                stamps: event.stamps(),
            });
            users.change_foreign(*user_id, move |row| row.last_login_at = Some(at));
        }
        Event::Renewed { idle_expires_at } => sessions.change(event, |row| row.idle_expires_at = *idle_expires_at),
        Event::Ended { reason } => sessions.change(event, move |row| {
            row.ended_at = Some(at);
            row.end_reason = Some(reason.to_string());
        }),
    }
}
