use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::types::ipnetwork::IpNetwork;
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
    /// Its type in PostgreSQL.
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

    /// Whether it can be asked for from one value to another.
    pub const fn has_range(self) -> bool {
        matches!(self, Self::Timestamp | Self::Date | Self::Time)
    }
}

/// A column of a read table.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own, and any of them go together")]
pub struct Column {
    /// Its name, which is that of the field in answers.
    pub name: &'static str,
    /// Its documentation.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// May be null.
    pub nullable: bool,
    /// Identifies a person: masked in the audit.
    pub personal: bool,
    /// Never answered.
    pub hidden: bool,
    /// Leads an index: may be filtered and sorted by.
    pub indexed: bool,
}

/// A type that a column can have.
pub(crate) trait ColumnType {
    /// What it holds.
    const KIND: Kind;
    /// May be null.
    const NULLABLE: bool = false;
    /// The value as the audit shows it.
    fn json(&self) -> Value;
}

macro_rules! column_types {
    ($($type:ty = $kind:ident, |$value:ident| $json:expr;)*) => {$(
        impl ColumnType for $type {
            const KIND: Kind = Kind::$kind;
            fn json(&self) -> Value {
                let $value = self;
                $json
            }
        }
    )*};
}

column_types! {
    Uuid = Uuid, |it| Value::String(it.to_string());
    String = Text, |it| Value::String(it.clone());
    i32 = Integer, |it| Value::from(*it);
    i64 = Long, |it| Value::from(*it);
    bool = Boolean, |it| Value::Bool(*it);
    DateTime<Utc> = Timestamp, |it| Value::String(it.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    NaiveDate = Date, |it| Value::String(it.to_string());
    NaiveTime = Time, |it| Value::String(it.to_string());
    // One way of writing a number, however many zeros the event or the column has at its end.
    Decimal = Decimal, |it| Value::String(it.normalize().to_string());
    Value = Json, |it| it.clone();
    Vec<u8> = Bytes, |it| Value::String(format!("{} bytes", it.len()));
    IpNetwork = Address, |it| Value::String(it.to_string());
}

impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::json)
    }
}
