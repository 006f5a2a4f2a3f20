//! Reading a row of a file as a value, column by column, so that a fault can be named by its column.

use std::cell::Cell;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// The columns that a row reads.
pub(super) fn columns<'de, R: Deserialize<'de>>() -> &'static [&'static str] {
    let asked = Cell::new(&[] as &[&str]);
    // Asked for a row, the deserializer notes the names of the fields and gives no row.
    let _no_row = R::deserialize(Asked(&asked));
    asked.get()
}

/// Reads a row.
///
/// # Errors
/// The column whose value is not of the form that the column has.
pub(super) fn row<'de, R: Deserialize<'de>>(
    header: &'de csv::StringRecord,
    record: &'de csv::StringRecord,
) -> Result<R, &'de str> {
    let at = Cell::new("");
    let fields = header.iter().zip(record).inspect(|(column, _)| at.set(column));
    R::deserialize(MapDeserializer::new(fields.map(|(column, text)| (column, Text(text))))).map_err(|_| at.get())
}

/// Notes which fields are asked for.
struct Asked<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("no row"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The text of one column. An empty text is nothing, where nothing is allowed.
struct Text<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Error> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.trim().is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Visit {
        #[serde(rename = "Id")]
        id: uuid::Uuid,
        stop: Option<chrono::NaiveDate>,
        code: String,
    }

    fn read(row_of: [&str; 4]) -> Result<(Option<chrono::NaiveDate>, String), String> {
        let header = csv::StringRecord::from(vec!["CODE", "OTHER", "Id", "STOP"]);
        let record = csv::StringRecord::from(row_of.to_vec());
        row::<Visit>(&header, &record).map(|it| (it.stop, it.code)).map_err(str::to_owned)
    }

    #[test]
    fn a_row_names_the_columns_that_it_reads() {
        assert_eq!(columns::<Visit>(), ["Id", "STOP", "CODE"]);
    }

    #[test]
    fn a_fault_is_named_by_its_column() {
        let id = "00000000-0000-4000-8000-000000000001";
        assert_eq!(read(["", "x", id, ""]), Ok((None, String::new())));
        let day = chrono::NaiveDate::from_ymd_opt(2024, 3, 1);
        assert_eq!(read(["1", "", id, "2024-03-01"]), Ok((day, "1".to_owned())));
        assert_eq!(read(["1", "", "Jane Doe", "2024-03-01"]), Err("Id".to_owned()));
        assert_eq!(read(["1", "", id, "soon"]), Err("STOP".to_owned()));
    }
}
