use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};
use uuid::Uuid;

use crate::Column;
use crate::machinery::column::ColumnType;

/// The stamp columns, which say which events created and last changed a row. Every row has all stamps in memory; a
/// table stores the first few, as its declaration says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stamps {
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    created_by: Option<Uuid>,
    updated_by: Option<Uuid>,
}

/// The stamp columns, of which a table stores the first few in this order.
const COLUMNS: [Column; 5] = [
    column::<i32>("version", "The version of the row's stream at the row's last change."),
    column::<DateTime<Utc>>("created_at", "When the row was first recorded."),
    column::<DateTime<Utc>>("updated_at", "When the row last changed."),
    column::<Option<Uuid>>("created_by", "The user who first recorded the row; null if the system did."),
    column::<Option<Uuid>>("updated_by", "The user who last changed the row; null if the system did."),
];

/// Whether a column with this name is a stamp column.
pub(crate) fn is_stamp(name: &str) -> bool {
    COLUMNS.iter().any(|it| it.name == name)
}

const fn column<T: ColumnType>(name: &'static str, doc: &'static str) -> Column {
    Column {
        name,
        doc,
        kind: T::KIND,
        nullable: T::NULLABLE,
        personal: false,
        hidden: false,
        indexed: false,
        audited: false,
        codes: None,
        phone: false,
    }
}

/// The number of stamp columns that a table stores, by the word after `stamped` in its declaration.
macro_rules! stored_stamps {
    (version) => {
        1
    };
    (once) => {
        2
    };
    () => {
        3
    };
    (by) => {
        5
    };
}
pub(crate) use stored_stamps;

/// All `N` columns of a table: its own, then the first stamp columns. The stamp columns in `indexed` lead an index.
pub(crate) const fn with_stamps<const N: usize>(own: &[Column], indexed: &str) -> [Column; N] {
    let mut columns = [own[0]; N];
    let mut place = 0;
    while place < N {
        columns[place] = if place < own.len() { own[place] } else { COLUMNS[place - own.len()] };
        if place >= own.len() {
            columns[place].indexed = hims_domain::__has_word(indexed, columns[place].name);
        }
        place += 1;
    }
    columns
}

impl Stamps {
    /// The stamps of a row that an event creates.
    pub(crate) fn new(version: i32, at: DateTime<Utc>, by: Option<Uuid>) -> Self {
        Self { version, created_at: at, updated_at: at, created_by: by, updated_by: by }
    }

    /// Takes over the stamps of an event that changes the row, but keeps `created_at` and `created_by`.
    pub(crate) fn change(&mut self, event: Self) {
        let Self { created_at, created_by, .. } = *self;
        *self = Self { created_at, created_by, ..event };
    }

    /// Notes that an event of another stream changes the row, whose version is that of its own stream.
    pub(crate) fn change_from_outside(&mut self, at: DateTime<Utc>) {
        self.updated_at = at;
    }

    /// Binds one array for each of the first `stored` stamp columns.
    pub(crate) fn bind<'q>(
        query: Query<'q, Postgres, PgArguments>,
        stored: usize,
        rows: &[&'q Self],
    ) -> Query<'q, Postgres, PgArguments> {
        fn array<'q, T>(stamps: &[&'q Stamps], of: fn(&'q Stamps) -> &'q T) -> Vec<&'q T> {
            stamps.iter().map(|it| of(it)).collect()
        }
        let mut query = query.bind(array(rows, |it| &it.version));
        if stored > 1 {
            query = query.bind(array(rows, |it| &it.created_at));
        }
        if stored > 2 {
            query = query.bind(array(rows, |it| &it.updated_at));
        }
        if stored > 3 {
            query = query.bind(array(rows, |row| &row.created_by)).bind(array(rows, |row| &row.updated_by));
        }
        query
    }

    /// Reads the first `stored` stamp columns, beginning at `place`. A column that is not stored gets a default value.
    pub(crate) fn read(row: &PgRow, place: usize, stored: usize) -> Result<Self, sqlx::Error> {
        let created_at = if stored > 1 { row.try_get(place + 1)? } else { DateTime::UNIX_EPOCH };
        Ok(Self {
            version: row.try_get(place)?,
            created_at,
            updated_at: if stored > 2 { row.try_get(place + 2)? } else { created_at },
            created_by: if stored > 3 { row.try_get(place + 3)? } else { None },
            updated_by: if stored > 3 { row.try_get(place + 4)? } else { None },
        })
    }
}
