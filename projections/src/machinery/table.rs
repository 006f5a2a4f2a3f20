use hims_domain::permission::Read;
use sqlx::PgConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Postgres, query::Query};
use uuid::Uuid;

use crate::Column;
use crate::machinery::column::Members;

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
    /// The condition of a text search, with `{q}` for what is searched.
    pub search: Option<&'static str>,
    /// The function that finds keys by a text search, where row-level security keeps the condition from its index.
    pub(crate) finder: Option<&'static str>,
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

/// A row of a read table. Its first column is `id`, the key; `version` is that of the stream that it comes from.
pub(crate) trait Row: Clone + PartialEq + Send + Sync + 'static {
    /// Its table.
    const TABLE: Table;
    /// The column that names whose child a row is, where [`Changes::replace`](crate::machinery::changes::Changes::replace) is used.
    const PARENT: Option<&'static str>;

    /// Inserts rows, one array per column.
    fn insert_sql() -> &'static str;
    /// Replaces rows, or inserts those that are not there.
    fn replace_sql() -> &'static str;
    /// The key.
    fn id(&self) -> Uuid;
    /// Whose child it is.
    fn parent(&self) -> Option<Uuid>;
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
#[doc(hidden)]
#[macro_export]
macro_rules! or_else {
    ([] [$($b:tt)*]) => { $($b)* };
    ([$($a:tt)+] [$($b:tt)*]) => { $($a)+ };
}

/// Declares a read table: its row, its columns, how it is written.
///
/// After a column's type stand its marks: `personal` (masked in the audit), `hidden` (never answered), `indexed` (may
/// be filtered and sorted by). `generated` names columns that the database fills by itself; `indexes` names columns that
/// lead an index together, for the lists that are filtered by the first of them and sorted by the last.
#[macro_export]
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $name:ident in $table:literal $(, children of $parent:ident)?
        $(, readers [$($reader:ident),* $(,)?])? $(, search $search:literal $(found by $finder:literal)?)?
        $(, generated [$($(#[doc = $generated_doc:literal])* $generated:ident: $generated_type:ty),* $(,)?])?
        $(, indexes [$(($($led:ident),* $(,)?)),* $(,)?])? {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty $([$($mark:ident),*])? ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name { $( $(#[doc = $doc])* pub(crate) $field: $type ),* }

        impl $crate::Row for $name {
            const TABLE: $crate::Table = $crate::Table {
                name: $table,
                about: concat!($($about),*),
                columns: &[$( $crate::Column {
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
                } ),*],
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
                readers: &[$($(hims_domain::permission::Read::$reader),*)?],
                search: $crate::or_else!([$(Some($search))?] [None]),
                finder: $crate::or_else!([$($(Some($finder))?)?] [None]),
            };
            const PARENT: Option<&'static str> = $crate::or_else!([$(Some(stringify!($parent)))?] [None]);

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

            fn parent(&self) -> Option<::uuid::Uuid> { $crate::or_else!([$(Some(self.$parent))?] [None]) }

            fn bind<'q>(
                query: ::sqlx::query::Query<'q, ::sqlx::Postgres, ::sqlx::postgres::PgArguments>,
                rows: &'q [&'q Self],
            ) -> ::sqlx::query::Query<'q, ::sqlx::Postgres, ::sqlx::postgres::PgArguments> {
                query $( .bind(rows.iter().map(|it| &it.$field).collect::<Vec<&'q $type>>()) )*
            }

            fn read(row: &::sqlx::postgres::PgRow) -> Result<Self, ::sqlx::Error> {
                let mut index = 0..;
                Ok(Self { $( $field: ::sqlx::Row::try_get(row, index.next().unwrap_or_default())? ),* })
            }

            fn shown(&self, other: Option<&Self>) -> $crate::machinery::column::Members {
                let (mut members, mut columns) = ($crate::machinery::column::Members::default(), Self::TABLE.columns.iter());
                $( members.add(columns.next(), &self.$field, other.map(|it| &it.$field)); )*
                members
            }
        }
    };
}
