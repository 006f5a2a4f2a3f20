use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::Row;
use crate::machinery::stamps::Stamps;

/// The rows of a table while changes are applied to the rows, and which rows are to be written.
pub(super) struct Rows<R> {
    all: HashMap<Uuid, R>,
    /// The keys of each parent's children, sorted, so that the audit shows the children in the same order every time.
    children: HashMap<Uuid, BTreeSet<Uuid>>,
    /// The keys of rows to insert, which the table does not have yet.
    new: HashSet<Uuid>,
    /// The keys of rows to replace in the table, or to insert where the table has no such row.
    dirty: HashSet<Uuid>,
    /// The keys of rows to delete from the table.
    gone: HashSet<Uuid>,
}

impl<R: Row> Rows<R> {
    /// Begins with rows as they are in the table.
    pub(super) fn new(rows: Vec<R>) -> Self {
        let empty = Self {
            all: HashMap::with_capacity(rows.len()),
            children: HashMap::new(),
            new: HashSet::new(),
            dirty: HashSet::new(),
            gone: HashSet::new(),
        };
        rows.into_iter().fold(empty, |mut made, row| {
            made.keep(row);
            made
        })
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&R> {
        self.all.get(&id)
    }

    /// The keys of a row's children.
    pub(super) fn children_of(&self, parent: Uuid) -> Vec<Uuid> {
        self.children.get(&parent).into_iter().flatten().copied().collect()
    }

    fn keep(&mut self, row: R) {
        if let Some(parent) = row.parent() {
            self.children.entry(parent).or_default().insert(row.id());
        }
        self.all.insert(row.id(), row);
    }

    fn forget(&mut self, id: Uuid) -> Option<R> {
        let row = self.all.remove(&id)?;
        if let Some(siblings) = row.parent().and_then(|it| self.children.get_mut(&it)) {
            siblings.remove(&id);
        }
        Some(row)
    }

    /// Adds a new row. If a row with the same key was removed before, the new row replaces that row in the table.
    pub(super) fn insert(&mut self, row: R) {
        if self.gone.remove(&row.id()) {
            self.dirty.insert(row.id());
        } else {
            self.new.insert(row.id());
        }
        self.keep(row);
    }

    /// Replaces the row with the same key, whose `created_at` and `created_by` the new row takes over; adds the row if
    /// no such row exists.
    pub(super) fn put(&mut self, mut row: R) {
        self.gone.remove(&row.id());
        self.dirty.insert(row.id());
        if let Some(mut before) = self.forget(row.id()) {
            let stamps = std::mem::replace(row.stamps(), *before.stamps());
            row.stamps().change(stamps);
        }
        self.keep(row);
    }

    /// Changes a row, and puts on the row the stamps that `stamps` chooses from the row before and after the change.
    /// Returns the row before and after, or `None` if no such row exists.
    pub(super) fn change(
        &mut self,
        id: Uuid,
        change: impl FnOnce(&mut R),
        stamps: impl FnOnce(&R, &R) -> Option<Stamps>,
    ) -> Option<(R, &R)> {
        let mut row = self.forget(id)?;
        let before = row.clone();
        change(&mut row);
        if let Some(stamps) = stamps(&before, &row) {
            row.stamps().change(stamps);
        }
        if row != before {
            self.dirty.insert(id);
        }
        self.keep(row);
        Some((before, self.all.get(&id)?))
    }

    /// Removes and returns a row; `None` if no such row exists.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<R> {
        let row = self.forget(id)?;
        self.dirty.remove(&id);
        if !self.new.remove(&id) {
            self.gone.insert(id);
        }
        Some(row)
    }

    pub(super) fn to_delete(&self) -> Vec<Uuid> {
        self.gone.iter().copied().collect()
    }

    pub(super) fn to_insert(&self) -> Vec<&R> {
        self.all.iter().filter(|(id, _)| self.new.contains(id)).map(|(_, row)| row).collect()
    }

    pub(super) fn to_replace(&self) -> Vec<&R> {
        let is_wanted = |id: &Uuid| self.dirty.contains(id) && !self.new.contains(id);
        self.all.iter().filter(|(id, _)| is_wanted(id)).map(|(_, row)| row).collect()
    }
}
