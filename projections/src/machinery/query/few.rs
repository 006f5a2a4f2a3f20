//! Callers who read only few patients, whose patients are therefore looked up first.
//!
//! Row-level security is checked for each row that PostgreSQL finds. A filter by an e-mail address finds a patient whom
//! the caller may not read through the index, and then rejects the row, which takes longer than to find nothing:
//! whoever measures it learns that the hospital has such a patient. For a caller who reads few patients, the statement
//! begins with these patients and compares nobody else with the filter, so that a row that is hidden costs as much as a
//! row that there is not: nothing.

use hims_domain::permission::Read;

use super::Identity;
use super::statement::{OWN_RECORDS, only_word};
use crate::Table;

/// Which few patients a caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Few {
    /// The patients of the caller's department.
    Assigned,
    /// The records of the patient who the caller is.
    Own,
}

impl Few {
    /// The few rows of a table that the caller may read; `None` for another table, and for a caller who may read many.
    pub(super) fn of(table: &Table, who: &Identity) -> Option<Self> {
        match only_word(table, who).filter(|_| table.name == "patients")? {
            Read::AssignedPatients => Some(Self::Assigned),
            Read::OwnRecords => Some(Self::Own),
            _ => None,
        }
    }

    /// A subquery that tells row-level security to look all patients of a department up at once, instead of each
    /// patient by itself.
    pub(super) fn said(self) -> &'static str {
        match self {
            Self::Assigned => {
                "cross join (select set_config('hims.lists_assigned_patients', 'yes', true) as said) as assigned"
            }
            Self::Own => "",
        }
    }

    /// The common table expression `listed`, which has the ids of the patients.
    pub(super) fn listed(self) -> String {
        let ids = match self {
            Self::Assigned => "(select array_agg(distinct patient_id) from all_assigned_patients)",
            Self::Own => OWN_RECORDS,
        };
        format!("listed as materialized (select {ids} as ids)")
    }

    /// The common table expression `mine`, which has the rows of the patients of `listed`.
    pub(super) fn mine(self, table: &Table) -> String {
        format!("mine as materialized (select {}.* from {})", table.name, self.rows(table))
    }

    /// What to read from instead of the table: the row of each patient of `listed`, found by its key.
    pub(super) fn rows(self, table: &Table) -> String {
        let columns: Vec<_> = table.visible().map(|it| it.name).chain(["search"]).collect();
        self.columns_of_rows(table, &columns)
    }

    /// The keys of the rows, for a look-up that needs nothing else: the living tables may lack other columns.
    pub(super) fn keys(self, table: &Table) -> String {
        self.columns_of_rows(table, &["id"])
    }

    /// These columns of the row of each patient of `listed`. The offset keeps PostgreSQL from looking for rows in another
    /// way.
    fn columns_of_rows(self, table: &Table, columns: &[&str]) -> String {
        let columns = columns.join("\", \"");
        let said = if self == Self::Assigned { " and assigned.said is not null" } else { "" };
        format!(
            "unnest((select ids from listed)::uuid[]) as listed (listed_id)
              cross join lateral (select \"{columns}\" from {name} as it
                                   where it.id = listed_id and who.said is not null{said} offset 0) as {name}",
            name = table.name,
        )
    }
}
