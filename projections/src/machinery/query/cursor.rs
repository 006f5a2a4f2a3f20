use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

/// Where a page begins: after the row with this key and this value of the sort column.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// What its page was asked for.
    pub(super) of: Uuid,
    /// `None` where the row has no value in the sort column.
    pub(super) value: Option<String>,
    pub(super) id: Uuid,
}

impl Cursor {
    /// Reads a cursor that a page before came with.
    pub fn parse(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (of, value, id): (Uuid, Option<String>, Uuid) = serde_json::from_slice(&json).ok()?;
        Some(Self { of, value, id })
    }

    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.of, self.value, self.id]).to_string())
    }
}
