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
use crate::machinery::table::{delete, fetch, insert, replace};

/// What the events of a batch do to a table, in their order: what `project` says it with.
///
/// | | |
/// |---|---|
/// | [`insert`](Self::insert) | a new row, with `stamps: event.stamps()` |
/// | [`change`](Self::change) | the row that is the event's stream |
/// | [`touch`](Self::touch) | nothing of that row but its stamps, when something else of the stream changed |
/// | [`change_row`](Self::change_row) | another row of the stream, such as an item |
/// | [`change_children`](Self::change_children) | every child of a row |
/// | [`replace`](Self::replace) | all the children of a row, by those that there are now |
/// | [`remove`](Self::remove) | a row that is no more |
/// | [`change_foreign`](Self::change_foreign) | a row of another stream |
///
/// What changes a row of the stream also puts the event's stamps on it. A change is a closure, and is given the row as the
/// events before have left it: so `project` asks nobody for a row.
pub(crate) struct Changes<'e, R: Row> {
    position: Position,
    changes: Vec<(Position, Change<'e, R>)>,
}

/// A change of one row, made once.
type ChangeOnce<'e, R> = Box<dyn FnOnce(&mut R) + Send + 'e>;
/// A change of any number of rows.
type ChangeEach<'e, R> = Box<dyn Fn(&mut R) + Send + 'e>;

/// `None` for the stamps of a row keeps those that it has.
enum Change<'e, R> {
    Insert(Box<R>),
    One(Uuid, Option<Stamps>, ChangeOnce<'e, R>),
    Children(Uuid, Stamps, ChangeEach<'e, R>),
    Replace(Uuid, Vec<R>),
    Remove(Uuid),
}

/// What an event did to a row: the columns that changed, before and after. Personal values are masked, what is never
/// answered is left out.
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
    /// Attributes what follows to the event at a position.
    pub(crate) fn at(&mut self, position: Position) -> &mut Self {
        self.position = position;
        self
    }

    fn add(&mut self, change: Change<'e, R>) {
        self.changes.push((self.position, change));
    }

    /// A new row.
    pub(crate) fn insert(&mut self, row: R) {
        self.add(Change::Insert(Box::new(row)));
    }

    /// A change of the row that has the id of the event's stream. The row must be there.
    pub(crate) fn change<E>(&mut self, event: &Projected<'_, E>, change: impl FnOnce(&mut R) + Send + 'e) {
        self.change_row(event, event.stream_id, change);
    }

    /// Nothing of the row that has the id of the event's stream but its stamps: something else of the stream changed.
    pub(crate) fn touch<E>(&mut self, event: &Projected<'_, E>) {
        self.change(event, |_| ());
    }

    /// A change of a row that belongs to the event's stream and has an id of its own. The row must be there.
    pub(crate) fn change_row<E>(
        &mut self,
        event: &Projected<'_, E>,
        id: impl Into<Uuid>,
        change: impl FnOnce(&mut R) + Send + 'e,
    ) {
        self.add(Change::One(id.into(), Some(event.stamps()), Box::new(change)));
    }

    /// A change of all the children of a row. A child that it leaves as it is keeps its stamps, too.
    pub(crate) fn change_children<E>(
        &mut self,
        event: &Projected<'_, E>,
        parent: Uuid,
        change: impl Fn(&mut R) + Send + 'e,
    ) {
        self.add(Change::Children(parent, event.stamps(), Box::new(change)));
    }

    /// All the children of a row, in place of those that there were. A child that is as it was stays untouched; one that
    /// is not keeps the stamps of its beginning.
    pub(crate) fn replace(&mut self, parent: Uuid, rows: Vec<R>) {
        self.add(Change::Replace(parent, rows));
    }

    /// The end of a row, which must be there.
    #[cfg_attr(not(test), expect(dead_code, reason = "no event of today ends a row by its id"))]
    pub(crate) fn remove(&mut self, id: impl Into<Uuid>) {
        self.add(Change::Remove(id.into()));
    }

    /// A change of a row of another stream, which must be there. The stamps stay those of that stream's own events.
    pub(crate) fn change_foreign(&mut self, id: impl Into<Uuid>, change: impl FnOnce(&mut R) + Send + 'e) {
        self.add(Change::One(id.into(), None, Box::new(change)));
    }

    /// Writes the outcome: each row at most once, whatever number of events touched it.
    pub(crate) async fn write(
        self,
        db: &mut PgConnection,
        differences: &mut Vec<Difference>,
    ) -> Result<(), ProjectError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let (keys, parents) = self.needs();
        let rows = prefetch::<R>(db, &keys, &parents).await?;
        let outcome = self.apply(rows, differences)?;
        delete::<R>(db, &outcome.to_delete()).await?;
        insert(db, &outcome.to_insert()).await?;
        replace(db, &outcome.to_replace()).await?;
        Ok(())
    }

    /// The keys of rows that are changed and were not made in this batch, and the rows whose children are changed.
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
                Change::Children(parent, ..) => drop(parents.insert(*parent)),
                Change::Replace(parent, children) => {
                    parents.insert(*parent);
                    made.extend(children.iter().map(Row::id));
                }
            }
        }
        (keys.into_iter().collect(), parents.into_iter().collect())
    }

    /// Makes the changes to rows as they are in the table.
    fn apply(self, rows: Vec<R>, differences: &mut Vec<Difference>) -> Result<Rows<R>, ProjectError> {
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
                Change::One(id, stamps, change) => {
                    let (before, after) = rows.change(id, change, |_, _| stamps).ok_or_else(|| missing(id))?;
                    differs(Some(&before), Some(after));
                }
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
                        // A row that differs in nothing but its stamps is the row that is there.
                        if rows.get(row.id()).is_none_or(|it| !row.shown(Some(it)).is_empty()) {
                            differs(rows.get(row.id()), Some(&row));
                            rows.put(row);
                        }
                    }
                }
                Change::Remove(id) => {
                    let before = rows.remove(id).ok_or_else(|| missing(id))?;
                    differs(Some(&before), None);
                }
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
