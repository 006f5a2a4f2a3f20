use hims_domain::permission::Read;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Postgres, query::Query};
use uuid::Uuid;

use crate::Column;
use crate::machinery::column::Members;
use crate::machinery::stamps::Stamps;

/// The declaration of a read table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The name of the table.
    pub name: &'static str,
    /// What a row of the table is, as the OpenAPI document says.
    pub about: &'static str,
    /// The columns, of which the key is the first.
    pub columns: &'static [Column],
    /// Columns that the database computes from other columns of the row.
    pub generated: &'static [Column],
    /// Groups of columns that lead an index together, in the order of the index. A list that is filtered by the first
    /// column of a group and sorted by the last is read through the index.
    pub indexes: &'static [&'static [&'static str]],
    /// The permission words to read the table. A caller's roles need one of them; if there are none, every logged-in
    /// user may read the table. Row-level security decides which rows the caller sees.
    pub readers: &'static [Read],
    /// Whether the table is a catalogue of the hospital: every caller reads every row, no row says anything about a
    /// patient, and rows seldom change, so that answers can be remembered.
    pub is_catalogue: bool,
    /// Groups of columns that fewer callers read than the rows.
    pub narrowed: &'static [Narrowed],
    /// The part of a stream's history that the table holds, if that part has other readers than the whole history.
    pub part: Option<Part>,
    /// The entries of a stream that the rows are, if some readers of the stream do not see all of the rows.
    pub entries: Option<Entries>,
    /// The SQL condition of a text search, with `{q}` for the text that is searched, or with `{folded}` for the text
    /// folded, where the searched columns are folded too.
    pub search: Option<&'static str>,
    /// The SQL function that finds keys by a text search, where row-level security would keep PostgreSQL from using the
    /// index of the condition.
    pub(crate) finder: Option<&'static str>,
}

/// Columns whose values are answered only to some of the callers who read the rows; other callers are answered nulls.
#[derive(Debug, Clone, Copy)]
pub struct Narrowed {
    /// The names of the columns, which are the names of the fields in the stream's state and events, too.
    pub columns: &'static [&'static str],
    /// The permission words of which a caller needs one to read the columns of every row. Without such a word, callers
    /// read the columns of the row whose key is their own user id or patient id.
    pub readers: &'static [Read],
}

/// A part of a stream's history that has a table of its own, with readers of its own.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The type of the stream.
    pub stream_type: &'static str,
    /// The table's column with the id of the stream.
    pub column: &'static str,
    /// The fields that hold the part, in the state of the stream and in events that also hold other things.
    pub fields: &'static [&'static str],
    /// The prefix of the types of events that are about nothing but the part.
    pub events: &'static str,
    /// The permission words of which a caller needs one to read these events, if not all readers of the table do.
    pub history: &'static [Read],
}

/// Entries of a stream that have rows of their own, some of which readers of the stream do not see.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// The type of the stream.
    pub stream_type: &'static str,
    /// The field of the stream's state that holds the entries by their ids.
    pub field: &'static str,
    /// The field of an event that names an entry.
    pub id: &'static str,
}

impl Table {
    /// The visible column with a name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.visible().find(|it| it.name == name)
    }

    /// Whether a column of the table may hold something personal.
    pub fn may_be_personal(&self) -> bool {
        self.columns.iter().any(Column::may_be_personal)
    }

    /// The group of narrowed columns to which a column belongs, if any.
    pub fn narrowed(&self, column: &str) -> Option<&'static Narrowed> {
        self.narrowed.iter().find(|group| group.columns.contains(&column))
    }

    /// The visible columns, which appear in answers: all columns that are not hidden.
    pub fn visible(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().chain(self.generated).filter(|it| !it.hidden)
    }
}

/// A row of a read table. Its first column is `id`, the key.
pub(crate) trait Row: Clone + PartialEq + Send + Sync + 'static {
    /// The table of the row.
    const TABLE: Table;
    /// The column with the key of the parent row, where changes apply to all children of a row.
    const PARENT: Option<&'static str>;

    /// The statement that inserts rows, from one array per column.
    fn insert_sql() -> &'static str;
    /// The statement that replaces rows and inserts missing rows, from one array per column.
    fn replace_sql() -> &'static str;
    /// The key of the row.
    fn id(&self) -> Uuid;
    /// The key of the parent row, if `PARENT` is declared.
    fn parent(&self) -> Option<Uuid>;
    /// The stamp columns of the row.
    fn stamps(&mut self) -> &mut Stamps;
    /// Binds one array per column.
    fn bind<'q>(query: Query<'q, Postgres, PgArguments>, rows: &'q [&'q Self]) -> Query<'q, Postgres, PgArguments>;
    /// Reads a row whose columns are in the order of the declaration.
    fn read(row: &PgRow) -> Result<Self, sqlx::Error>;
    /// The columns that the audit shows: those that differ from `other` or, without another row, are not null.
    fn shown(&self, other: Option<&Self>) -> Members;
    /// The keys of rows in the columns: that of the row itself, and of those to which it refers.
    fn keys(&self) -> Vec<Uuid>;
    /// The length of the text in each column, to find out which text is too long for its column.
    fn lengths(&self) -> Vec<(&'static str, usize)>;
}

/// Expands to the first of two token lists that is not empty.
macro_rules! or_else {
    ([] [$($b:tt)*]) => { $($b)* };
    ([$($a:tt)+] [$($b:tt)*]) => { $($a)+ };
}
pub(crate) use or_else;

/// Declares a read table: the struct of its rows, its columns, how its rows are written, and who may read the table.
///
/// ```text
/// table! {
///     /// One row per item of a prescription.
///     ItemRow in "prescription_items", children of prescription_id, readers [Prescriptions, OwnRecords], stamped {
///         /// The item.
///         id: Uuid [indexed],
///         /// Instructions for the patient.
///         instructions: Option<String> [personal],
///     }
/// }
/// ```
///
/// The table's name is followed by these clauses, each after a comma and in this order:
///
/// - `children of COLUMN`: the column with the key of the parent row, where changes apply to all children of a row at
///   once;
/// - `part of STREAM [FIELDS] events "PREFIX"`: where readers of the stream's own table may not read this table. FIELDS
///   are the fields of the stream's state and events that hold the same data as the table, and PREFIX begins the types
///   of the events that hold nothing else. The column `STREAM_id` has the id of the stream. `for [WORDS]` names the
///   permission words to read these events, where a row is gone once it was recorded by mistake;
/// - `entries of STREAM [FIELD] by ID`: where some readers of the stream's own table do not see all rows of this table.
///   FIELD is the field of the stream's state that holds the entries by their ids, and ID the field of an event that
///   names the entry which the event is about;
/// - `readers [WORDS]`: the permission words to read the table, of which a role needs one; `AllData` is always one of
///   them. Without this clause, every logged-in user may read the table. A test compares the words with
///   `hims_identity.readable(…)` in the migration, which also decides which rows a reader sees;
/// - `catalogue for everybody`: every caller reads every row, no row says anything about a patient, and rows seldom
///   change, so that answers can be remembered;
/// - `narrowed [COLUMNS] to [WORDS]`, any number of times: columns whose values are answered only to callers with one of
///   the permission words, and to the user or patient whom the row is about; `AllData` is always one of the words. A
///   field of the stream's events and state that is no column can be named too;
/// - `stamped`: adds the columns `version`, `created_at` and `updated_at` after all others. `stamped by` also adds
///   `created_by` and `updated_by`, for rows that users work on; `stamped once` omits `updated_at`, for rows that never
///   change; `stamped version` adds `version` alone. The stamp columns in parentheses lead an index;
/// - `search "CONDITION"`: an SQL condition on the row, with `{q}` for the text that is searched, or with `{folded}` for
///   the folded text. `found by "FUNCTION"` names the SQL function that finds the keys of the matching rows through the
///   index of the condition;
/// - `generated [COLUMNS]`: columns that the database computes from other columns;
/// - `indexes [(COLUMN, COLUMN), …]`: groups of columns that lead an index together, for lists that are filtered by the
///   first column of a group and sorted by the last.
///
/// A column's type is followed by the column's marks: `personal` (the audit masks the values), `hidden` (the column is
/// left out of every answer, and its field out of streams and events; the migration calls `hims_identity.hide(…)`),
/// `indexed` (the column leads an index, so that lists can be filtered and sorted by the column) and `phone` (a filter
/// is read as a phone number, as people write it). Behind the marks, `of CODES` names the closed set of codes of which
/// the column holds one; a filter with another code is refused.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $name:ident in $table:literal
        $(, children of $parent:ident)?
        $(, part of $stream:ident [$($part:ident),* $(,)?] events $events:literal $(for [$($teller:ident),*])?)?
        $(, entries of $whole:ident [$held:ident] by $entry:ident)?
        $(, readers [$($reader:ident),* $(,)?])?
        $(, catalogue for $everybody:ident)?
        $(, narrowed [$($narrowed:ident),* $(,)?] to [$($narrow_reader:ident),* $(,)?])*
        , stamped $($stamped:ident)? $(($($stamp:ident),* $(,)?))?
        $(, search $search:literal $(found by $finder:literal)?)?
        $(, generated [$($(#[doc = $generated_doc:literal])* $generated:ident: $generated_type:ty),* $(,)?])?
        $(, indexes [$(($($led:ident),* $(,)?)),* $(,)?])? {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty $([$($mark:ident),*] $(of $codes:expr)?)? ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $type, )*
            /// The stamp columns of the row.
            pub(crate) stamps: $crate::machinery::stamps::Stamps,
        }

        impl $name {
            const OWN: &[$crate::Column] = &[$( $crate::Column {
                name: hims_domain::__field_name(stringify!($field)),
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
                codes: $crate::machinery::table::or_else!([$($(Some(|| $codes))?)?] [None]),
                phone: hims_domain::described_has_word!("phone" in $($($mark)*)?),
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
                    codes: None,
                    phone: false,
                } ),*)?],
                indexes: &[$($(&[$(hims_domain::__field_name(stringify!($led))),*]),*)?],
                readers: $crate::machinery::table::or_else!(
                    [$(&[hims_domain::permission::Read::AllData, $(hims_domain::permission::Read::$reader),*])?] [&[]]
                ),
                is_catalogue: hims_domain::described_has_word!("everybody" in $($everybody)?),
                narrowed: &[$($crate::machinery::table::Narrowed {
                    columns: &[$(stringify!($narrowed)),*],
                    readers: &[
                        hims_domain::permission::Read::AllData, $(hims_domain::permission::Read::$narrow_reader),*
                    ],
                }),*],
                part: $crate::machinery::table::or_else!([$(Some($crate::machinery::table::Part {
                    stream_type: stringify!($stream),
                    column: concat!(stringify!($stream), "_id"),
                    fields: &[$(stringify!($part)),*],
                    events: $events,
                    history: $crate::machinery::table::or_else!([$(&[
                        hims_domain::permission::Read::AllData, $(hims_domain::permission::Read::$teller),*
                    ])?] [&[]]),
                }))?] [None]),
                entries: $crate::machinery::table::or_else!([$(Some($crate::machinery::table::Entries {
                    stream_type: stringify!($whole),
                    field: stringify!($held),
                    id: stringify!($entry),
                }))?] [None]),
                search: $crate::machinery::table::or_else!([$(Some($search))?] [None]),
                finder: $crate::machinery::table::or_else!([$($(Some($finder))?)?] [None]),
            };
            const PARENT: Option<&'static str> =
                $crate::machinery::table::or_else!([$(Some(stringify!($parent)))?] [None]);

            fn insert_sql() -> &'static str {
                static SQL: ::std::sync::LazyLock<String> =
                    ::std::sync::LazyLock::new(|| $crate::machinery::statements::insert_sql(&$name::TABLE));
                &SQL
            }

            fn replace_sql() -> &'static str {
                static SQL: ::std::sync::LazyLock<String> =
                    ::std::sync::LazyLock::new(|| $crate::machinery::statements::replace_sql(&$name::TABLE));
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

            fn keys(&self) -> Vec<::uuid::Uuid> {
                [$( $crate::machinery::column::ColumnType::key(&self.$field) ),*].into_iter().flatten().collect()
            }

            fn lengths(&self) -> Vec<(&'static str, usize)> {
                vec![$( (hims_domain::__field_name(stringify!($field)), $crate::machinery::column::length(&self.$field)) ),*]
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
