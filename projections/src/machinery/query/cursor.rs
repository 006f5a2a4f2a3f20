use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hims_event_store::Position;
use serde_json::json;
use uuid::Uuid;

/// Where a page begins: after the row with this key and this value of the sort column.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The digest of the query for which the page was read.
    pub(super) of: Uuid,
    /// The row's value of the sort column; `None` if the value is null.
    pub(super) value: Option<String>,
    pub(super) id: Uuid,
    /// The position that the page showed. No later page shows an earlier one.
    pub(super) position: Position,
}

impl Cursor {
    /// Reads a cursor from the text that came with the page before; `None` if the text is not a cursor.
    pub fn parse(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (of, value, id, position) = serde_json::from_slice(&json).ok()?;
        Some(Self { of, value, id, position })
    }

    /// The position that the page before showed, which the next page must show at least.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The same, of a page that showed another position.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.of, self.value, self.id, self.position]).to_string())
    }
}
