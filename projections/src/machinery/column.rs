use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::types::ipnetwork::IpNetwork;
use sqlx::types::{Json, JsonRawValue};
use sqlx::{Decode, Encode, Postgres, Type};
use uuid::Uuid;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Uuid,
    /// Text.
    Text,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// True or false.
    Boolean,
    /// A point in time.
    Timestamp,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// An exact decimal.
    Decimal,
    /// JSON.
    Json,
    /// Bytes.
    Bytes,
    /// An internet address.
    Address,
}

impl Kind {
    /// The name of the type in PostgreSQL.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text => "text",
            Self::Integer => "int4",
            Self::Long => "int8",
            Self::Boolean => "bool",
            Self::Timestamp => "timestamptz",
            Self::Date => "date",
            Self::Time => "time",
            Self::Decimal => "numeric",
            Self::Json => "jsonb",
            Self::Bytes => "bytea",
            Self::Address => "inet",
        }
    }

    /// Whether a column of this kind can be filtered by a range, from one value to another.
    pub const fn has_range(self) -> bool {
        matches!(self, Self::Timestamp | Self::Date | Self::Time)
    }
}

/// A column of a read table.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own, and any of them go together")]
pub struct Column {
    /// The name of the column, and of its field in answers.
    pub name: &'static str,
    /// The description of the column in the OpenAPI document.
    pub doc: &'static str,
    /// What the column holds.
    pub kind: Kind,
    /// Whether the column may be null.
    pub nullable: bool,
    /// Whether the column identifies a person. The audit masks such values.
    pub personal: bool,
    /// Whether the column is left out of every answer.
    pub hidden: bool,
    /// Whether the column leads an index, so that lists can be filtered and sorted by the column.
    pub indexed: bool,
    /// Whether the audit shows changes of the column.
    pub(crate) audited: bool,
    /// The closed set of codes of which the column holds one; `None` for any other column.
    pub codes: Option<Codes>,
    /// Whether the column holds phone numbers, so that a filter is read as a phone number.
    pub phone: bool,
}

/// Gives the codes of a closed set.
pub type Codes = fn() -> &'static [&'static str];

/// The name of the key column of every table.
const KEY: &str = "id";

impl Column {
    /// Whether the column may hold something personal, or something that follows from it.
    pub fn may_be_personal(&self) -> bool {
        self.personal || self.hidden
    }
}

/// Whether the audit shows changes of a column, given the column's name and marks. The key is not shown, and a hidden
/// column only if it is personal, since the audit masks personal values.
pub(crate) const fn is_audited(name: &str, hidden: bool, personal: bool) -> bool {
    (!hidden || personal) && !hims_domain::__has_word(KEY, name)
}

/// A type that a column can have.
pub(crate) trait ColumnType: PartialEq {
    /// The kind of column that holds the type.
    const KIND: Kind;
    /// Whether the column may be null.
    const NULLABLE: bool = false;
    /// Whether the value is null.
    fn is_null(&self) -> bool {
        false
    }
    /// Writes the value as JSON, as the audit shows the value.
    fn write_json(&self, json: &mut Vec<u8>);
    /// The key of a row, if the value is one.
    fn key(&self) -> Option<Uuid> {
        None
    }
}

impl ColumnType for Uuid {
    const KIND: Kind = Kind::Uuid;

    fn write_json(&self, json: &mut Vec<u8>) {
        write_json(json, self);
    }

    fn key(&self) -> Option<Uuid> {
        Some(*self)
    }
}

macro_rules! column_types {
    ($($type:ty = $kind:ident, |$value:ident| $shown:expr;)*) => {$(
        impl ColumnType for $type {
            const KIND: Kind = Kind::$kind;
            fn write_json(&self, json: &mut Vec<u8>) {
                let $value = self;
                write_json(json, &$shown);
            }
        }
    )*};
}

column_types! {
    String = Text, |it| it;
    i32 = Integer, |it| it;
    i64 = Long, |it| it;
    bool = Boolean, |it| it;
    DateTime<Utc> = Timestamp, |it| it;
    NaiveDate = Date, |it| it;
    NaiveTime = Time, |it| it;
    // Trailing zeros are dropped: an event and a column may hold the same number with a different number of zeros.
    Decimal = Decimal, |it| it.normalize();
    Value = Json, |it| it;
    JsonText = Json, |it| String::from_utf8_lossy(&it.0);
    Vec<u8> = Bytes, |it| format!("{} bytes", it.len());
    IpNetwork = Address, |it| it.to_string();
}

impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_json(json),
            None => json.extend_from_slice(b"null"),
        }
    }

    fn key(&self) -> Option<Uuid> {
        self.as_ref().and_then(ColumnType::key)
    }
}

/// Writes a value as JSON. No value of a column is known to fail; null is written if one does.
fn write_json(json: &mut Vec<u8>, value: &impl Serialize) {
    let end = json.len();
    if let Err(error) = serde_json::to_writer(&mut *json, value) {
        tracing::error!(%error, "a value cannot be written as JSON; the audit shows null in its place");
        json.truncate(end);
        json.extend_from_slice(b"null");
    }
}

/// The number of characters of a text; 0 for a value that is not a text.
pub(crate) fn length(value: &impl ColumnType) -> usize {
    let mut json = Vec::new();
    value.write_json(&mut json);
    serde_json::from_slice::<String>(&json).map_or(0, |text| text.chars().count())
}

/// What the audit shows in place of a personal value.
pub(crate) const MASKED: &str = "***";

/// The members of a JSON object, without braces: columns and their values, as the audit shows the columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Members(pub(crate) Vec<u8>);

impl Members {
    /// Whether there is no member, which means that no column differs.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a column if its value differs from the value in another row or, where there is no other row, is not null. A
    /// personal value is masked.
    pub(crate) fn add<T: ColumnType>(&mut self, column: Option<&Column>, value: &T, other: Option<&T>) {
        let Some(column) = column.filter(|it| it.audited) else { return };
        if other.map_or(value.is_null(), |it| it == value) {
            return;
        }
        self.begin(column.name);
        if column.personal && !value.is_null() {
            write_json(&mut self.0, &MASKED);
        } else {
            value.write_json(&mut self.0);
        }
    }

    /// Begins a member with its name. The caller writes the member's value next.
    pub(crate) fn begin(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        write_json(&mut self.0, &name);
        self.0.push(b':');
    }
}

/// JSON text that is stored as it is, without being parsed first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonText(pub(crate) Vec<u8>);

impl Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        <Value as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for JsonText {
    fn array_type_info() -> PgTypeInfo {
        Value::array_type_info()
    }
}

impl Encode<'_, Postgres> for JsonText {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        /// The version of jsonb's binary format.
        const VERSION: u8 = 1;
        buffer.push(VERSION);
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for JsonText {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let Json(json) = <Json<&JsonRawValue> as Decode<Postgres>>::decode(value)?;
        Ok(Self(json.get().as_bytes().to_vec()))
    }
}
