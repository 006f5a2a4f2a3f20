//! Callers who may not identify every patient, whose right to a patient is therefore asked before a row is looked at.
//!
//! Row-level security is checked for each row that PostgreSQL finds. A filter by an e-mail address finds a patient whom
//! the caller may not read through the index, and then rejects the row, which takes longer than to find nothing:
//! whoever measures it learns that the hospital has such a patient. A statement for such a caller therefore begins with
//! the patients whom the caller may read, and compares nobody else with the filter: a patient who is hidden costs as
//! much as one who does not exist.

use hims_domain::permission::Read;

use super::Identity;
use super::statement::{OWN_RECORDS, only_word};
use crate::Table;

/// The permission words with either of which a caller may identify every patient.
pub const EVERY_PATIENT: [Read; 2] = [Read::AllData, Read::AllPatients];

/// For how many of the patients found the right is asked at least. Where fewer were found, it is asked for a key that
/// nobody has, so that the number of questions does not tell how many were found: one patient by an e-mail address, a
/// family by a telephone number, namesakes.
pub(super) const LEAST_FOUND: usize = 20;

/// The patients whom a statement looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Few {
    /// The patients of the caller's department.
    Assigned,
    /// The records of the patient who the caller is.
    Own,
    /// Those of some patients whom the caller may read.
    Of {
        /// An array in SQL, with the keys of the patients whom the caller asks for.
        asked: String,
        /// For how many keys the right is asked at least.
        least: usize,
        /// The condition in SQL that the caller may read the patient `asked.id`.
        may_read: String,
    },
}

impl Few {
    /// The few rows of a table that the caller may read; `None` for another table, and for a caller who may read many.
    pub(super) fn of(table: &Table, who: &Identity) -> Option<Self> {
        match only_word(table, who).filter(|_| patient_of(table).is_some())? {
            Read::AssignedPatients => Some(Self::Assigned),
            Read::OwnRecords => Some(Self::Own),
            _ => None,
        }
    }

    /// As [`Few::of`]. A caller who may read many patients, but not all, looks at those of the patients asked for whom
    /// the caller may read. `asked` is an array of their keys in SQL, and the right is asked for `least` keys at least.
    pub(super) fn of_keys(table: &Table, who: &Identity, asked: &str, least: usize) -> Option<Self> {
        Self::of(table, who).or_else(|| {
            let may_read = (!identifies_everybody(table, who)).then(|| may_read(who))?;
            Some(Self::Of { asked: asked.to_owned(), least, may_read })
        })
    }

    /// A subquery that tells row-level security to look all patients of a department up at once, instead of each
    /// patient by itself.
    pub(super) fn said(&self) -> &'static str {
        match self {
            Self::Assigned => {
                "cross join (select set_config('hims.lists_assigned_patients', 'yes', true) as said) as assigned"
            }
            Self::Own | Self::Of { .. } => "",
        }
    }

    /// The common table expression `listed`, which has the ids of the patients.
    pub(super) fn listed(&self) -> String {
        let ids = match self {
            Self::Assigned => "(select array_agg(distinct patient_id) from all_assigned_patients)".to_owned(),
            Self::Own => OWN_RECORDS.to_owned(),
            // Each offset keeps PostgreSQL from asking for all patients at once, or only for some.
            Self::Of { asked, least, may_read } => format!(
                "array(select asked.id
                         from (select {asked} as ids offset 0) as found,
                              generate_series(1, greatest({least}, cardinality(found.ids))) as nth
                        cross join lateral (select coalesce(found.ids[nth], '{nobody}') as id offset 0) as asked
                        where {may_read} and who.said is not null)",
                nobody = uuid::Uuid::nil(),
            ),
        };
        format!("listed as materialized (select {ids} as ids)")
    }

    /// The common table expression `mine`, which has the rows of the patients of `listed`.
    pub(super) fn mine(&self, table: &Table) -> String {
        format!("mine as materialized (select {}.* from {})", table.name, self.rows(table))
    }

    /// What to read from instead of the table: the row of each patient of `listed`, found by its key.
    pub(super) fn rows(&self, table: &Table) -> String {
        let search = table.search.map(|_| "search");
        let columns: Vec<_> = table.visible().map(|it| it.name).chain(search).collect();
        self.columns_of_rows(table, &columns)
    }

    /// The keys of the rows, for a look-up that needs nothing else: the living tables may lack other columns.
    pub(super) fn keys(&self, table: &Table) -> String {
        self.columns_of_rows(table, &["id"])
    }

    /// The key of a row of [`rows`](Self::rows), as a column in SQL: the patient where the row is the patient's.
    pub(super) fn key(table: &Table) -> &'static str {
        if patient_of(table) == Some("id") { "listed_id" } else { "id" }
    }

    /// These columns of the rows of each patient of `listed`. The offset keeps PostgreSQL from looking for rows in another
    /// way.
    fn columns_of_rows(&self, table: &Table, columns: &[&str]) -> String {
        let columns = columns.join("\", \"");
        let said = if *self == Self::Assigned { " and assigned.said is not null" } else { "" };
        format!(
            "unnest((select ids from listed)::uuid[]) as listed (listed_id)
              cross join lateral (select \"{columns}\" from {name} as it
                                   where it.{patient} = listed_id and who.said is not null{said} offset 0) as {name}",
            name = table.name,
            patient = patient_of(table).unwrap_or("id"),
        )
    }
}

/// The column with the patient, of the tables in which patients are looked for by what identifies them.
fn patient_of(table: &Table) -> Option<&'static str> {
    match table.name {
        "patients" => Some("id"),
        "patient_identifiers" => Some("patient_id"),
        _ => None,
    }
}

/// Whether the caller may identify every patient, or the table is another than that of the patients.
pub(super) fn identifies_everybody(table: &Table, who: &Identity) -> bool {
    table.name != "patients" || who.reads_any(&EVERY_PATIENT)
}

/// The words that open some patients, each with the condition in SQL that it opens the patient `asked.id`, as in
/// row-level security.
fn by_words() -> [(Read, String); 4] {
    let exists = |view| format!("(select true from {view} it where it.patient_id = asked.id limit 1)");
    [
        (Read::OwnRecords, format!("asked.id = any ({OWN_RECORDS})")),
        (Read::AssignedPatients, exists("assigned_patients")),
        (Read::Prescriptions, exists("prescribed_patients")),
        (Read::LabOrders, exists("tested_patients")),
    ]
}

/// The condition in SQL that the caller may read the patient `asked.id`, by one of the words that open some patients.
fn may_read(who: &Identity) -> String {
    let conditions = by_words().into_iter().filter(|(word, _)| who.reads_any(&[*word])).map(|(_, condition)| condition);
    let conditions: Vec<_> = conditions.chain(["false".to_owned()]).collect();
    format!("({})", conditions.join(" or "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::TABLES;

    #[test]
    fn every_word_that_opens_patients_opens_all_or_those_of_a_condition() {
        let patients = TABLES.iter().find(|it| it.name == "patients").unwrap();
        let some = by_words().into_iter().map(|(word, _)| word);
        let known: BTreeSet<_> = some.chain(EVERY_PATIENT).map(Read::as_str).collect();
        assert_eq!(known, patients.readers.iter().map(|it| it.as_str()).collect::<BTreeSet<_>>());
    }
}
