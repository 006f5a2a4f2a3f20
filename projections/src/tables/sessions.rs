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
        /// The user who logged in.
        user_id: Uuid [indexed],
        /// The SHA-256 hash of the bearer token.
        token_hash: Vec<u8> [hidden],
        /// How the user proved who they are.
        auth_method: String,
        /// The IP address from which the user logged in.
        ip_address: Option<IpNetwork>,
        /// The program with which the user logged in (HTTP `User-Agent`).
        user_agent: Option<String>,
        /// When the session ends unless it is used.
        idle_expires_at: DateTime<Utc>,
        /// When the session ends even if it is used.
        absolute_expires_at: DateTime<Utc>,
        /// When the session ended; null while the session lasts.
        ended_at: Option<DateTime<Utc>>,
        /// How the session ended; null while the session lasts.
        end_reason: Option<String>,
    }
}

/// The bytes that a string of hexadecimal digits stands for.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|char| char.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    sessions: &mut Changes<'e, SessionRow>,
    users: &mut Changes<'e, UserRow>,
) {
    let at = event.recorded_at;
    match event.data {
        Event::Started {
            user_id,
            token_hash,
            idle_expires_at,
            absolute_expires_at,
            identity_confirmed_until: _,
            auth_method,
            scopes: _,
        } => {
            sessions.insert(SessionRow {
                id: event.stream_id,
                user_id: (*user_id).into(),
                // The hash of an erased user is gone; the session's id takes its place, since the column is unique.
                token_hash: token_hash.known().map_or_else(|| event.stream_id.as_bytes().to_vec(), |it| bytes(it)),
                auth_method: auth_method.to_string(),
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
        Event::IdentityConfirmed { identity_confirmed_until: _ } => sessions.touch(event),
        Event::Ended { reason } => sessions.change(event, move |row| {
            row.ended_at = Some(at);
            row.end_reason = Some(reason.to_string());
        }),
    }
}
