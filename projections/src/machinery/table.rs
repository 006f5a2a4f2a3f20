use hims_domain::permission::Read;
use sqlx::PgConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Postgres, query::Query};
use uuid::Uuid;

use crate::Column;
use crate::machinery::column::Members;
use crate::machinery::stamps::Stamps;

/// A read table, as its readers know it.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What a row of it is.
    pub about: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// Columns that the database fills by itself, from others of the row.
    pub generated: &'static [Column],
    /// Columns that lead an index together, in its order: filtered by the first of them, sorted by the last.
    pub indexes: &'static [&'static [&'static str]],
    /// Who may ask for it: any of these in a role's `read`. Which rows they see is for row-level security to say.
    /// Empty for everybody who is logged in.
    pub readers: &'static [Read],
    /// Of which history it holds a part whose readers are not those of the whole.
    pub part: Option<Part>,
    /// The condition of a text search, with `{q}` for what is searched.
    pub search: Option<&'static str>,
    /// The function that finds keys by a text search, where row-level security keeps the condition from its index.
    pub(crate) finder: Option<&'static str>,
}

/// A part of the history of a stream that has a table of its own, with readers of its own.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The stream type of the whole history.
    pub stream_type: &'static str,
    /// The table's column with the id of the stream.
    pub column: &'static str,
    /// The fields of the stream's state and of its other events that hold the part.
    pub fields: &'static [&'static str],
    /// How the types of those events begin that are about nothing but the part.
    pub events: &'static str,
}

impl Table {
    /// A column that is answered.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.visible().find(|it| it.name == name)
    }

    /// The columns that are answered.
    pub fn visible(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().chain(self.generated).filter(|it| !it.hidden)
    }
}

/// A row of a read table. Its first column is `id`, the key.
pub(crate) trait Row: Clone + PartialEq + Send + Sync + 'static {
    /// Its table.
    const TABLE: Table;
    /// The column that names whose child a row is, where changes are made to all the children of a row.
    const PARENT: Option<&'static str>;

    /// Inserts rows, one array per column.
    fn insert_sql() -> &'static str;
    /// Replaces rows, or inserts those that are not there.
    fn replace_sql() -> &'static str;
    /// The key.
    fn id(&self) -> Uuid;
    /// Whose child it is.
    fn parent(&self) -> Option<Uuid>;
    /// Which event wrote it.
    fn stamps(&mut self) -> &mut Stamps;
    /// Binds one array per column.
    fn bind<'q>(query: Query<'q, Postgres, PgArguments>, rows: &'q [&'q Self]) -> Query<'q, Postgres, PgArguments>;
    /// Reads a row whose columns are in the order of the declaration.
    fn read(row: &PgRow) -> Result<Self, sqlx::Error>;
    /// What the audit shows of the row, where there is another: of what differs from that.
    fn shown(&self, other: Option<&Self>) -> Members;
}

/// The rows with these keys.
pub(crate) async fn fetch<R: Row>(db: &mut PgConnection, column: &str, keys: &[Uuid]) -> Result<Vec<R>, sqlx::Error> {
    let columns: Vec<_> = R::TABLE.columns.iter().map(|it| format!("\"{}\"", it.name)).collect();
    let sql = format!("select {} from {} where {column} = any($1)", columns.join(", "), R::TABLE.name);
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(keys).fetch_all(db).await?;
    rows.iter().map(R::read).collect()
}

/// Inserts rows that are not there.
pub(crate) async fn insert<R: Row>(db: &mut PgConnection, rows: &[&R]) -> Result<(), sqlx::Error> {
    write(db, R::insert_sql(), rows).await
}

/// Replaces rows, or inserts those that are not there. No two of them may have the same key.
pub(crate) async fn replace<R: Row>(db: &mut PgConnection, rows: &[&R]) -> Result<(), sqlx::Error> {
    write(db, R::replace_sql(), rows).await
}

async fn write<R: Row>(db: &mut PgConnection, sql: &'static str, rows: &[&R]) -> Result<(), sqlx::Error> {
    /// Most rows of a statement: with more, the server has to find new memory for each.
    const ROWS: usize = 1_000;
    for rows in rows.chunks(ROWS) {
        R::bind(sqlx::query(sql), rows).execute(&mut *db).await?;
    }
    Ok(())
}

/// Deletes rows.
pub(crate) async fn delete<R: Row>(db: &mut PgConnection, keys: &[Uuid]) -> Result<(), sqlx::Error> {
    if !keys.is_empty() {
        let sql = format!("delete from {} where id = any($1)", R::TABLE.name);
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(keys).execute(db).await?;
    }
    Ok(())
}

fn each(columns: &[Column], of: impl Fn(&Column) -> String) -> String {
    columns.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The statement that inserts rows.
pub(crate) fn insert_sql(table: &Table) -> String {
    let names = each(table.columns, |it| format!("\"{}\"", it.name));
    let arrays: Vec<_> = (1..).zip(table.columns).map(|(place, it)| format!("${place}::{}[]", it.kind.sql())).collect();
    format!("insert into {} ({names}) select * from unnest({})", table.name, arrays.join(", "))
}

/// The statement that replaces rows, or inserts those that are not there.
pub(crate) fn replace_sql(table: &Table) -> String {
    let updates = each(&table.columns[1..], |it| format!("\"{0}\" = excluded.\"{0}\"", it.name));
    format!("{} on conflict (id) do update set {updates}", insert_sql(table))
}

/// The first of two that is not empty.
macro_rules! or_else {
    ([] [$($b:tt)*]) => { $($b)* };
    ([$($a:tt)+] [$($b:tt)*]) => { $($a)+ };
}
pub(crate) use or_else;

/// Declares a read table: its row, its columns, how it is written, who may ask for it.
///
/// ```text
/// table! {
///     /// One row per item of a prescription.
///     ItemRow in "prescription_items", children of prescription_id, readers [Prescriptions, OwnRecords], stamped {
///         /// The item.
///         id: Uuid [indexed],
///         /// What to tell the patient.
///         instructions: Option<String> [personal],
///     }
/// }
/// ```
///
/// After the table's name stand, each after a comma and in this order:
///
/// - `children of COLUMN`: the column with the id of the row whose children these are, where changes are made to all
///   children of a row at once;
/// - `part of STREAM [FIELDS] events "PREFIX"`: where readers of the stream's own table may not read this one. The fields
///   of the stream's state and events that hold what the table holds, and how the types of events begin that are about
///   nothing else. The column `STREAM_id` has the id of the stream;
/// - `readers [WORDS]`: what a role has to be able to read for asking, any of them; `AllData` goes without saying.
///   Without this clause, everybody who is logged in may ask. A test compares it with `hims_identity.readable(…)` in
///   the migration, which says the same and which rows they see;
/// - `stamped`: the columns `version`, `created_at` and `updated_at`, after all others; with `stamped by`, `created_by` and
///   `updated_by` too, for rows that people work on; with `stamped once`, no `updated_at`, for rows that never change;
///   with `stamped version`, `version` alone. In parentheses, those of them that lead an index;
/// - `search "CONDITION"`: a condition on the row in SQL, with `{q}` for the text that is searched; with `found by
///   "FUNCTION"`, the function that finds the keys of such rows by the index of the condition;
/// - `generated [COLUMNS]`: columns that the database fills by itself;
/// - `indexes [(COLUMN, COLUMN), …]`: columns that lead an index together, for the lists that are filtered by the first of
///   them and sorted by the last.
///
/// After a column's type stand its marks: `personal` (masked in the audit), `hidden` (never answered, and not by the
/// streams and events of its field either; `hims_identity.hide(…)` in the migration), `indexed` (leads an index: may be
/// filtered and sorted by).
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $name:ident in $table:literal
        $(, children of $parent:ident)?
        $(, part of $stream:ident [$($part:ident),* $(,)?] events $events:literal)?
        $(, readers [$($reader:ident),* $(,)?])?
        , stamped $($stamped:ident)? $(($($stamp:ident),* $(,)?))?
        $(, search $search:literal $(found by $finder:literal)?)?
        $(, generated [$($(#[doc = $generated_doc:literal])* $generated:ident: $generated_type:ty),* $(,)?])?
        $(, indexes [$(($($led:ident),* $(,)?)),* $(,)?])? {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty $([$($mark:ident),*])? ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $type, )*
            /// Which event wrote it.
            pub(crate) stamps: $crate::machinery::stamps::Stamps,
        }

        impl $name {
            const OWN: &[$crate::Column] = &[$( $crate::Column {
                name: stringify!($field),
                doc: concat!($($doc),*),
                kind: <$type as $crate::machinery::column::ColumnType>::KIND,
                nullable: <$type as $crate::machinery::column::ColumnType>::NULLABLE,
                personal: hims_domain::described_has_word!("personal" in $($($mark)*)?),
                hidden: hims_domain::described_has_word!("hidden" in $($($mark)*)?),
                indexed: hims_domain::described_has_word!("indexed" in $($($mark)*)?),
                audited: $crate::machinery::column::is_audited(
                    stringify!($field),
                    hims_domain::described_has_word!("hidden" in $($($mark)*)?),
                    hims_domain::described_has_word!("personal" in $($($mark)*)?),
                ),
            } ),*];
            const STAMPS: usize = $crate::machinery::stamps::stored_stamps!($($stamped)?);
            const COLUMNS: [$crate::Column; Self::OWN.len() + Self::STAMPS] =
                $crate::machinery::stamps::with_stamps(Self::OWN, stringify!($($($stamp)*)?));
        }

        impl $crate::Row for $name {
            const TABLE: $crate::Table = $crate::Table {
                name: $table,
                about: concat!($($about),*),
                columns: &Self::COLUMNS,
                generated: &[$($( $crate::Column {
                    name: stringify!($generated),
                    doc: concat!($($generated_doc),*),
                    kind: <$generated_type as $crate::machinery::column::ColumnType>::KIND,
                    nullable: <$generated_type as $crate::machinery::column::ColumnType>::NULLABLE,
                    personal: false,
                    hidden: false,
                    indexed: false,
                    audited: false,
                } ),*)?],
                indexes: &[$($(&[$(stringify!($led)),*]),*)?],
                readers: $crate::machinery::table::or_else!(
                    [$(&[hims_domain::permission::Read::AllData, $(hims_domain::permission::Read::$reader),*])?] [&[]]
                ),
                part: $crate::machinery::table::or_else!([$(Some($crate::machinery::table::Part {
                    stream_type: stringify!($stream),
                    column: concat!(stringify!($stream), "_id"),
                    fields: &[$(stringify!($part)),*],
                    events: $events,
                }))?] [None]),
                search: $crate::machinery::table::or_else!([$(Some($search))?] [None]),
                finder: $crate::machinery::table::or_else!([$($(Some($finder))?)?] [None]),
            };
            const PARENT: Option<&'static str> =
                $crate::machinery::table::or_else!([$(Some(stringify!($parent)))?] [None]);

            fn insert_sql() -> &'static str {
                static SQL: ::std::sync::LazyLock<String> =
                    ::std::sync::LazyLock::new(|| $crate::machinery::table::insert_sql(&$name::TABLE));
                &SQL
            }

            fn replace_sql() -> &'static str {
                static SQL: ::std::sync::LazyLock<String> =
                    ::std::sync::LazyLock::new(|| $crate::machinery::table::replace_sql(&$name::TABLE));
                &SQL
            }

            fn id(&self) -> ::uuid::Uuid { self.id }

            fn parent(&self) -> Option<::uuid::Uuid> {
                $crate::machinery::table::or_else!([$(Some(self.$parent))?] [None])
            }

            fn stamps(&mut self) -> &mut $crate::machinery::stamps::Stamps { &mut self.stamps }

            fn bind<'q>(
                query: ::sqlx::query::Query<'q, ::sqlx::Postgres, ::sqlx::postgres::PgArguments>,
                rows: &'q [&'q Self],
            ) -> ::sqlx::query::Query<'q, ::sqlx::Postgres, ::sqlx::postgres::PgArguments> {
                let query = query $( .bind(rows.iter().map(|it| &it.$field).collect::<Vec<&'q $type>>()) )*;
                let stamps: Vec<_> = rows.iter().map(|it| &it.stamps).collect();
                $crate::machinery::stamps::Stamps::bind(query, Self::STAMPS, &stamps)
            }

            fn read(row: &::sqlx::postgres::PgRow) -> Result<Self, ::sqlx::Error> {
                let mut index = 0..;
                Ok(Self {
                    $( $field: ::sqlx::Row::try_get(row, index.next().unwrap_or_default())?, )*
                    stamps: $crate::machinery::stamps::Stamps::read(row, Self::OWN.len(), Self::STAMPS)?,
                })
            }

            fn shown(&self, other: Option<&Self>) -> $crate::machinery::column::Members {
                let (mut members, mut columns) = ($crate::machinery::column::Members::default(), Self::OWN.iter());
                $( members.add(columns.next(), &self.$field, other.map(|it| &it.$field)); )*
                members
            }
        }
    };
}
pub(crate) use table;
