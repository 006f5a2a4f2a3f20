//! The ways to the rows of a page: the table itself, or keys that were found before.

use hims_domain::values::folded;

use super::few::{Few, LEAST_FOUND, identifies_everybody};
use super::{Comparison, Identity, Wanted};
use crate::{Column, Table};

/// The number of parameters that hold the caller's identity.
const OF_IDENTITY: usize = 5;

/// The greatest number of found keys by which a page is read.
const FEW: usize = 1_000;

/// Whether so few keys were found that a page is read by them, and whether it is not.
const ARE_FEW: &str = "(select are_few from found)";
const ARE_MANY: &str = "not (select are_few from found)";

/// The values of a statement's parameters after the caller's identity.
#[derive(Default)]
pub(super) struct Places(pub(super) Vec<String>);

impl Places {
    /// Adds a text as a parameter, and returns the parameter's placeholder.
    pub(super) fn place(&mut self, value: &str) -> String {
        self.0.push(value.to_owned());
        format!("${}", self.0.len() + OF_IDENTITY)
    }

    /// Adds a value of a column as a parameter, and returns the placeholder, cast to the column's type.
    pub(super) fn typed(&mut self, column: &Column, value: &str) -> String {
        format!("{}::text::{}", self.place(value), column.kind.sql())
    }
}

/// The conditions of one part of a page, joined by `and`. A page is the union of parts with the same order, since
/// PostgreSQL can read each part as a range of an index, but not the whole page.
pub(super) type Conditions = Vec<String>;

/// Where rows are read from.
pub(super) struct Way {
    /// The table, or a common table expression with some of the table's rows under the table's name.
    pub(super) from: String,
    /// The condition that the way is taken at all, which is met by one way of a statement.
    pub(super) is_taken: &'static str,
    /// The conditions of the rows.
    pub(super) conditions: Conditions,
}

impl Way {
    /// The only way of a statement.
    fn only(from: String, conditions: Conditions) -> Vec<Self> {
        vec![Self { from, is_taken: "true", conditions }]
    }
}

/// All ways of a statement.
pub(super) struct Ways {
    /// The common table expressions on which the ways depend, as a `with` clause; empty if there are none.
    pub(super) with: String,
    /// A subquery that follows the caller's identity ([`Few::said`]).
    pub(super) said: &'static str,
    pub(super) all: Vec<Way>,
}

impl Ways {
    /// The ways to the rows that are wanted.
    pub(super) fn to(table: &Table, wanted: &Wanted, who: &Identity, places: &mut Places) -> Self {
        let search = Search::of(table, wanted, places);
        if let Some(few) = Few::of(table, who) {
            let ways = Way::only(mine(table), search.iter().map(Search::of_mine).collect());
            return Self { with: format!("with {}, {}", few.listed(), few.mine(table)), said: few.said(), all: ways };
        }
        let asks_for_people = !identifies_everybody(table, who);
        let with_values = if asks_for_people { finder_of_values(wanted, search.is_some(), places) } else { None };
        let Some(finder) = with_values.or_else(|| search.as_ref()?.finder.clone()) else {
            let ways = Way::only(table.name.to_owned(), search.into_iter().map(|it| it.condition).collect());
            return Self { with: String::new(), said: "", all: ways };
        };
        let found = format!(
            "found as materialized (select coalesce(array_agg(id), '{{}}') as ids, count(*) <= {FEW} as are_few
                                           from (select {finder} as id limit {FEW} + 1) as f)",
        );
        // Matches are frequent where many were found, so each row is tested in the order of the page.
        let conditions = search.iter().map(|it| it.condition.clone()).collect();
        let by_row = Way { from: table.name.to_owned(), is_taken: ARE_MANY, conditions };
        let asked = format!("(select ids from found where {ARE_FEW})");
        if let Some(few) = Few::of_keys(table, who, &asked, LEAST_FOUND) {
            let conditions = search.iter().map(Search::of_mine).collect();
            let by_key = Way { from: mine(table), is_taken: ARE_FEW, conditions };
            let with = format!("with {found}, {}, {}", few.listed(), few.mine(table));
            return Self { with, said: few.said(), all: vec![by_key, by_row] };
        }
        let conditions = vec!["id = any((select ids from found)::uuid[])".to_owned()];
        let by_key = Way { from: table.name.to_owned(), is_taken: ARE_FEW, conditions };
        Self { with: format!("with {found}"), said: "", all: vec![by_key, by_row] }
    }
}

/// The rows of the common table expression `mine` ([`Few::mine`]).
fn mine(table: &Table) -> String {
    format!("mine as {}", table.name)
}

/// The text search of a statement.
///
/// PostgreSQL checks the conditions of row-level security before every operator that is not leakproof, such as those of
/// text search, and so cannot use the index of the text search. A function with the owner's rights therefore finds the
/// keys first. If the text matches few rows, the page is read by these keys. If the text matches many rows, the page is
/// read in its order and each row is tested. PostgreSQL executes only one of the two ways.
struct Search {
    /// The condition that a row matches.
    condition: String,
    /// The call of the function that finds the keys; `None` if the table has no such function.
    finder: Option<String>,
}

impl Search {
    fn of(table: &Table, wanted: &Wanted, places: &mut Places) -> Option<Self> {
        let (search, text) = (table.search?, wanted.search.as_ref()?);
        let text = if search.contains("{folded}") { folded(text) } else { text.clone() };
        let text = format!("{}::text", places.place(&text));
        let condition = search.replace("{q}", &text).replace("{folded}", &text);
        Some(Self { condition, finder: table.finder.map(|finder| format!("{finder}({text})")) })
    }

    /// The condition that a patient of `mine` matches. The name and the number of a record that was merged also find the
    /// record that survives.
    fn of_mine(&self) -> String {
        let condition = &self.condition;
        format!(
            "({condition} or id in (select link.patient_id from patient_links as link
                                      join (select id from mine where {condition}) as duplicate
                                        on duplicate.id = link.duplicate_id))"
        )
    }
}

/// The columns of `patients` that few patients have in common. Where one of them is asked for, its values find the keys.
const TELLING: [&str; 5] = ["id", "mrn", "email", "phone_primary", "date_of_birth"];

/// The call of the function that finds the patients who have a value of a filter by equality; `None` if there is no such
/// filter, or if a text finds the keys better. One filter is enough to find the keys, since all conditions are tested on
/// the rows; the number of a merged record leads to the record that survives, whose other values may differ.
fn finder_of_values(wanted: &Wanted, has_text: bool, places: &mut Places) -> Option<String> {
    let equal = || wanted.filters.iter().filter(|it| it.comparison == Comparison::Equal);
    let telling = TELLING.iter().find_map(|name| equal().find(|it| it.column.name == *name));
    let filter = telling.or_else(|| equal().next().filter(|_| !has_text))?;
    Some(format!("hims_identity.patients_with('{}', {}::text)", filter.column.name, places.place(&filter.value)))
}
