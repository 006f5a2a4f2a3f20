use hims_commands::system_roles;
use hims_domain::permission::Word;
use hims_projections::query::{Comparison, Filter, Identity, Wanted, bound};
use hims_projections::{TABLES, Table};

/// How many rows a page of a list has, as where nothing else is asked for.
const LIMIT: usize = 50;

/// A list that somebody reads every day.
#[derive(Debug, Clone)]
pub struct List {
    /// Who reads what.
    pub name: String,
    /// The reader.
    pub who: Identity,
    /// The table.
    pub table: &'static Table,
    /// What is asked of the table.
    pub wanted: Wanted,
}

/// What a role that every hospital begins with may read, as row-level security is told it.
pub fn reads_of(role: &str) -> String {
    let definition = system_roles().into_iter().map(|(_, it)| it).find(|it| it.name.0 == role);
    definition.iter().flat_map(|it| &it.permissions.read).map(Word::as_str).collect::<Vec<_>>().join(",")
}

/// Somebody who reads lists.
pub struct Reader {
    role: &'static str,
    who: Identity,
}

impl Reader {
    /// Somebody with a role that every hospital begins with.
    pub fn of(role: &'static str, who: &Identity) -> Self {
        Self::with(role, Identity { role: Some(role.to_owned()), reads: reads_of(role), ..who.clone() })
    }

    /// Somebody with a role that a hospital defined for itself.
    pub fn with(role: &'static str, who: Identity) -> Self {
        Self { role, who }
    }

    /// A list of theirs: a table and its parameters, as in a request.
    ///
    /// # Errors
    /// The request, if there is no such table or parameter.
    pub fn list(&self, name: &str, request: impl AsRef<str>) -> Result<List, String> {
        let (table, parameters) = request.as_ref().split_once('?').unwrap_or((request.as_ref(), ""));
        let unknown = || format!("there is no list {}", request.as_ref());
        let table = TABLES.iter().find(|it| it.name == table).ok_or_else(unknown)?;
        let mut wanted = Wanted { limit: LIMIT, ..Wanted::default() };
        for (parameter, value) in parameters.split('&').filter_map(|it| it.split_once('=')) {
            match parameter {
                "q" => wanted.search = Some(value.to_owned()),
                "sort" => {
                    wanted.descending = value.starts_with('-');
                    wanted.sort = Some(table.column(value.trim_start_matches('-')).ok_or_else(unknown)?);
                }
                _ => {
                    let from = parameter.strip_suffix("_from").map(|it| (it, Comparison::From));
                    let (column, comparison) = from.unwrap_or((parameter, Comparison::Equal));
                    let column = table.column(column).ok_or_else(unknown)?;
                    let value = bound(column.kind, comparison, value).ok_or_else(unknown)?;
                    wanted.filters.push(Filter { column, comparison, value });
                }
            }
        }
        Ok(List { name: format!("{}: {name}", self.role), who: self.who.clone(), table, wanted })
    }
}
