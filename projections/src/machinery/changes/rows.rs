use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::Row;
use crate::machinery::stamps::Stamps;

/// Rows of a table while changes are made to them, and which of them are to be written.
pub(super) struct Rows<R> {
    all: HashMap<Uuid, R>,
    /// The children of each parent, in an order that does not change from one time to the next: the audit shows it.
    children: HashMap<Uuid, BTreeSet<Uuid>>,
    /// Not in the table yet.
    new: HashSet<Uuid>,
    /// In the table, but not as they are here; or perhaps not there.
    dirty: HashSet<Uuid>,
    /// In the table, and to be deleted from it.
    gone: HashSet<Uuid>,
}

impl<R: Row> Rows<R> {
    /// Rows as they are in the table.
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

    /// Adds a row that is new. One that was removed before comes back in its place.
    pub(super) fn insert(&mut self, row: R) {
        if self.gone.remove(&row.id()) {
            self.dirty.insert(row.id());
        } else {
            self.new.insert(row.id());
        }
        self.keep(row);
    }

    /// Puts a row in the place of the one with its key, whose beginning it takes over, or of none.
    pub(super) fn put(&mut self, mut row: R) {
        self.gone.remove(&row.id());
        self.dirty.insert(row.id());
        if let Some(mut before) = self.forget(row.id()) {
            let stamps = std::mem::replace(row.stamps(), *before.stamps());
            row.stamps().change(stamps);
        }
        self.keep(row);
    }

    /// Changes a row, and puts on it the stamps that follow from what it was and what it is. Answers both, or nothing
    /// when there is no such row.
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

    /// Removes a row; nothing when there is no such row.
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
