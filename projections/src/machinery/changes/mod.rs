mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};

use hims_event_store::Position;
use sqlx::PgConnection;
use uuid::Uuid;

use self::rows::Rows;
use crate::Row;
use crate::machinery::batch::ProjectError;
use crate::machinery::column::Members;
use crate::machinery::event::Projected;
use crate::machinery::stamps::Stamps;
use crate::machinery::statements::{blank, delete, fetch, insert, replace};

/// The changes that the events of a batch make to one table, in the order of the events. `project` adds them:
///
/// | | |
/// |---|---|
/// | [`insert`](Self::insert) | inserts a new row, with `stamps: event.stamps()` |
/// | [`change`](Self::change) | changes the row with the id of the event's stream |
/// | [`touch`](Self::touch) | changes only the stamps of that row, when something else of the stream changed |
/// | [`change_row`](Self::change_row) | changes another row of the stream, such as an item |
/// | [`change_children`](Self::change_children) | changes every child of a row |
/// | [`replace`](Self::replace) | replaces all children of a row |
/// | [`change_list`](Self::change_list) | changes, adds and removes children of a row, seen as a list |
/// | [`remove`](Self::remove) | deletes a row |
/// | [`change_foreign`](Self::change_foreign) | changes a row of another stream |
///
/// A change of the stream's own rows also puts the event's stamps on the rows. A change is a closure that gets the row
/// as the earlier events left it, so `project` never reads a row from the database.
pub(crate) struct Changes<'e, R: Row> {
    position: Position,
    changes: Vec<(Position, Change<'e, R>)>,
}

/// A closure that changes one row.
type ChangeOnce<'e, R> = Box<dyn FnOnce(&mut R) + Send + 'e>;
/// A closure that changes each of several rows.
type ChangeEach<'e, R> = Box<dyn Fn(&mut R) + Send + 'e>;

/// A closure that changes a list of rows.
type ChangeList<'e, R> = Box<dyn FnOnce(&mut Vec<R>) + Send + 'e>;

/// A change to a table. Without stamps (`None`), a changed row keeps the stamps that it has.
enum Change<'e, R> {
    Insert(Box<R>),
    One(Uuid, Option<Stamps>, ChangeOnce<'e, R>),
    Children(Uuid, Stamps, ChangeEach<'e, R>),
    List(Uuid, Stamps, ChangeList<'e, R>),
    Replace(Uuid, Vec<R>),
    Remove(Uuid),
}

/// What becomes of a change to a row that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fails,
    IsPassedOver,
}

/// What an event did to a row: the changed columns before and after the event. Personal values are masked; other hidden
/// columns are left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) position: Position,
    pub(crate) table: &'static str,
    pub(crate) id: Uuid,
    pub(crate) old: Members,
    pub(crate) new: Members,
}

impl<R: Row> Default for Changes<'_, R> {
    fn default() -> Self {
        Self { position: 0, changes: Vec::new() }
    }
}

impl<'e, R: Row> Changes<'e, R> {
    /// Attributes the changes that are added next to the event at a position.
    pub(crate) fn at(&mut self, position: Position) -> &mut Self {
        self.position = position;
        self
    }

    fn add(&mut self, change: Change<'e, R>) {
        self.changes.push((self.position, change));
    }

    /// Inserts a new row.
    pub(crate) fn insert(&mut self, row: R) {
        self.add(Change::Insert(Box::new(row)));
    }

    /// Changes the row with the id of the event's stream. The row must exist.
    pub(crate) fn change<E>(&mut self, event: &Projected<'_, E>, change: impl FnOnce(&mut R) + Send + 'e) {
        self.change_row(event, event.stream_id, change);
    }

    /// Changes only the stamps of the row with the id of the event's stream, because something else of the stream
    /// changed. The row must exist.
    pub(crate) fn touch<E>(&mut self, event: &Projected<'_, E>) {
        self.change(event, |_| ());
    }

    /// Changes a row that belongs to the event's stream and has an id of its own. The row must exist.
    pub(crate) fn change_row<E>(
        &mut self,
        event: &Projected<'_, E>,
        id: impl Into<Uuid>,
        change: impl FnOnce(&mut R) + Send + 'e,
    ) {
        self.add(Change::One(id.into(), Some(event.stamps()), Box::new(change)));
    }

    /// Changes all children of a row. A child that the change leaves as it was keeps its stamps.
    pub(crate) fn change_children<E>(
        &mut self,
        event: &Projected<'_, E>,
        parent: Uuid,
        change: impl Fn(&mut R) + Send + 'e,
    ) {
        self.add(Change::Children(parent, event.stamps(), Box::new(change)));
    }

    /// Replaces all children of a row. A child that differs from the stored one only in its stamps is left as it is; a
    /// child that differs otherwise keeps `created_at` and `created_by`.
    pub(crate) fn replace(&mut self, parent: Uuid, rows: Vec<R>) {
        self.add(Change::Replace(parent, rows));
    }

    /// Changes the children of a row as a list: the closure changes, adds and removes rows. A child that the change
    /// leaves as it was keeps its stamps.
    pub(crate) fn change_list<E>(
        &mut self,
        event: &Projected<'_, E>,
        parent: Uuid,
        change: impl FnOnce(&mut Vec<R>) + Send + 'e,
    ) {
        self.add(Change::List(parent, event.stamps(), Box::new(change)));
    }

    /// Deletes a row, which must exist.
    pub(crate) fn remove(&mut self, id: impl Into<Uuid>) {
        self.add(Change::Remove(id.into()));
    }

    /// Changes a row of another stream. The row must exist, and keeps the stamps of its own stream's events.
    pub(crate) fn change_foreign(&mut self, id: impl Into<Uuid>, change: impl FnOnce(&mut R) + Send + 'e) {
        self.add(Change::One(id.into(), None, Box::new(change)));
    }

    /// Writes the outcome: each row at most once, however many events changed the row. The keys in the rows that are
    /// written are added to `named`, if somebody wants to know.
    pub(crate) async fn write(
        self,
        db: &mut PgConnection,
        differences: &mut Vec<Difference>,
        named: Option<&mut Vec<Uuid>>,
    ) -> Result<(), ProjectError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let (keys, parents) = self.needs();
        let rows = prefetch::<R>(db, &keys, &parents).await?;
        let outcome = self.apply(rows, differences, Missing::Fails)?;
        let (inserted, replaced, deleted) = (outcome.to_insert(), outcome.to_replace(), outcome.to_delete());
        if let Some(named) = named {
            named.extend(inserted.iter().chain(&replaced).flat_map(|row| row.keys()));
            named.extend(&deleted);
        }
        let written = async {
            delete::<R>(db, &deleted).await?;
            insert(db, &inserted).await?;
            replace(db, &replaced).await
        };
        written.await.map_err(|error| {
            // Only a batch of one event, which writes few rows, is asked for the reason.
            let lengths = inserted.iter().chain(&replaced).take(100).flat_map(|row| row.lengths()).collect();
            ProjectError::Table { table: R::TABLE.name, lengths, error }
        })
    }

    /// Takes over what the changes make of the columns that may hold something personal, in rows that the table has. The
    /// changes begin with the beginnings of their rows; a change of another row is passed over.
    pub(crate) async fn blank(self, db: &mut PgConnection) -> Result<(), ProjectError> {
        let rows = self.apply(Vec::new(), &mut Vec::new(), Missing::IsPassedOver)?;
        Ok(blank(db, &rows.to_insert()).await?)
    }

    /// What must be read from the table first: the keys of rows that the batch changes but does not insert, and the
    /// parents whose children the batch changes.
    fn needs(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        let (mut made, mut keys, mut parents) = (HashSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, change) in &self.changes {
            match change {
                Change::Insert(row) => drop(made.insert(row.id())),
                Change::One(id, ..) | Change::Remove(id) => {
                    if !made.contains(id) {
                        keys.insert(*id);
                    }
                }
                Change::Children(parent, ..) | Change::List(parent, ..) => drop(parents.insert(*parent)),
                Change::Replace(parent, children) => {
                    parents.insert(*parent);
                    made.extend(children.iter().map(Row::id));
                }
            }
        }
        (keys.into_iter().collect(), parents.into_iter().collect())
    }

    /// Applies the changes to `rows`, which are as they are in the table.
    fn apply(
        self,
        rows: Vec<R>,
        differences: &mut Vec<Difference>,
        if_missing: Missing,
    ) -> Result<Rows<R>, ProjectError> {
        let mut rows = Rows::new(rows);
        for (position, change) in self.changes {
            let missing = |id| ProjectError::MissingRow { position, table: R::TABLE.name, id };
            let mut differs = |before: Option<&R>, after: Option<&R>| {
                differences.extend(difference(position, before, after));
            };
            match change {
                Change::Insert(row) => {
                    differs(None, Some(&row));
                    rows.insert(*row);
                }
                Change::One(id, stamps, change) => match rows.change(id, change, |_, _| stamps) {
                    Some((before, after)) => differs(Some(&before), Some(after)),
                    None if if_missing == Missing::IsPassedOver => {}
                    None => return Err(missing(id)),
                },
                Change::Children(parent, stamps, change) => {
                    for id in rows.children_of(parent) {
                        let stamps = |before: &R, after: &R| (before != after).then_some(stamps);
                        if let Some((before, after)) = rows.change(id, &change, stamps) {
                            differs(Some(&before), Some(after));
                        }
                    }
                }
                Change::Replace(parent, children) => {
                    let kept: HashSet<Uuid> = children.iter().map(Row::id).collect();
                    for id in rows.children_of(parent).into_iter().filter(|it| !kept.contains(it)) {
                        differs(rows.remove(id).as_ref(), None);
                    }
                    for row in children {
                        // A child row that differs from the stored one only in its stamp columns is left as it is.
                        if rows.get(row.id()).is_none_or(|it| !row.shown(Some(it)).is_empty()) {
                            differs(rows.get(row.id()), Some(&row));
                            rows.put(row);
                        }
                    }
                }
                Change::List(parent, stamps, change) => {
                    let before = rows.children_of(parent);
                    let mut list: Vec<R> = before.iter().filter_map(|id| rows.get(*id).cloned()).collect();
                    change(&mut list);
                    let kept: HashSet<Uuid> = list.iter().map(Row::id).collect();
                    for id in before.into_iter().filter(|it| !kept.contains(it)) {
                        differs(rows.remove(id).as_ref(), None);
                    }
                    for row in list {
                        let (id, stamps) = (row.id(), |before: &R, after: &R| (before != after).then_some(stamps));
                        if rows.get(id).is_none() {
                            differs(None, Some(&row));
                            rows.insert(row);
                        } else if let Some((before, after)) = rows.change(id, |it| *it = row, stamps) {
                            differs(Some(&before), Some(after));
                        }
                    }
                }
                Change::Remove(id) => match rows.remove(id) {
                    Some(before) => differs(Some(&before), None),
                    None if if_missing == Missing::IsPassedOver => {}
                    None => return Err(missing(id)),
                },
            }
        }
        Ok(rows)
    }
}

async fn prefetch<R: Row>(db: &mut PgConnection, keys: &[Uuid], parents: &[Uuid]) -> Result<Vec<R>, sqlx::Error> {
    let mut rows = Vec::new();
    if !keys.is_empty() {
        rows.extend(fetch::<R>(db, "id", keys).await?);
    }
    if let Some(column) = R::PARENT.filter(|_| !parents.is_empty()) {
        rows.extend(fetch::<R>(db, column, parents).await?);
    }
    Ok(rows)
}

fn difference<R: Row>(position: Position, before: Option<&R>, after: Option<&R>) -> Option<Difference> {
    let id = after.or(before)?.id();
    let old = before.map(|it| it.shown(after)).unwrap_or_default();
    let new = after.map(|it| it.shown(before)).unwrap_or_default();
    Some(Difference { position, table: R::TABLE.name, id, old, new })
}
