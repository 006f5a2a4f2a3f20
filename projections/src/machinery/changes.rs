use std::collections::{HashMap, HashSet};

use hims_event_store::Position;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Row;
use crate::machinery::batch::ProjectError;
use crate::machinery::column::Members;
use crate::machinery::table::{delete, fetch, insert, replace};

/// What the events of a batch do to a table, in their order.
pub(crate) struct Changes<R: Row> {
    position: Position,
    changes: Vec<(Position, Change<R>)>,
}

enum Change<R> {
    Insert(Box<R>),
    Update(Uuid, Box<dyn FnOnce(&mut R) + Send>),
    Replace(Uuid, Vec<R>),
    UpdateChildren(Uuid, Box<dyn Fn(&mut R) + Send>),
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

impl<R: Row> Default for Changes<R> {
    fn default() -> Self {
        Self { position: 0, changes: Vec::new() }
    }
}

impl<R: Row> Changes<R> {
    /// Attributes what follows to the event at a position.
    pub(crate) fn at(&mut self, position: Position) -> &mut Self {
        self.position = position;
        self
    }

    /// A new row.
    pub(crate) fn insert(&mut self, row: R) {
        self.changes.push((self.position, Change::Insert(Box::new(row))));
    }

    /// A change of a row that must be there.
    pub(crate) fn update(&mut self, id: Uuid, change: impl FnOnce(&mut R) + Send + 'static) {
        self.changes.push((self.position, Change::Update(id, Box::new(change))));
    }

    /// All the children of a row, in place of those that there were.
    pub(crate) fn replace(&mut self, parent: Uuid, rows: Vec<R>) {
        self.changes.push((self.position, Change::Replace(parent, rows)));
    }

    /// A change of all the children of a row.
    pub(crate) fn update_children(&mut self, parent: Uuid, change: impl Fn(&mut R) + Send + 'static) {
        self.changes.push((self.position, Change::UpdateChildren(parent, Box::new(change))));
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
        let mut rows = prefetch::<R>(db, &keys, &parents).await?;
        let mut gone: HashSet<Uuid> = HashSet::new();
        let mut dirty: HashSet<Uuid> = HashSet::new();
        let mut new: HashSet<Uuid> = HashSet::new();
        let mut differs = |position, before: Option<&R>, after: Option<&R>| {
            differences.extend(difference(position, before, after));
        };
        for (position, change) in self.changes {
            match change {
                Change::Insert(row) => {
                    differs(position, None, Some(&row));
                    new.insert(row.id());
                    rows.insert(row.id(), *row);
                }
                Change::Update(id, change) => {
                    let missing = ProjectError::MissingRow { position, table: R::TABLE.name, id };
                    let row = rows.get_mut(&id).ok_or(missing)?;
                    let before = row.clone();
                    change(row);
                    differs(position, Some(&before), Some(row));
                    dirty.insert(id);
                }
                Change::UpdateChildren(parent, change) => {
                    for id in children_of(&rows, parent) {
                        let Some(row) = rows.get_mut(&id) else { continue };
                        let before = row.clone();
                        change(row);
                        differs(position, Some(&before), Some(row));
                        dirty.insert(id);
                    }
                }
                Change::Replace(parent, children) => {
                    let kept: HashSet<Uuid> = children.iter().map(Row::id).collect();
                    for id in children_of(&rows, parent).into_iter().filter(|it| !kept.contains(it)) {
                        differs(position, rows.remove(&id).as_ref(), None);
                        dirty.remove(&id);
                        if !new.remove(&id) {
                            gone.insert(id);
                        }
                    }
                    for row in children {
                        let before = rows.get(&row.id());
                        // What only its bookkeeping tells from the row that is there, is that row.
                        if before.is_none_or(|it| !row.shown(Some(it)).is_empty()) {
                            differs(position, before, Some(&row));
                            gone.remove(&row.id());
                            dirty.insert(row.id());
                            rows.insert(row.id(), row);
                        }
                    }
                }
            }
        }
        delete::<R>(db, &gone.into_iter().collect::<Vec<_>>()).await?;
        let of = |ids: &HashSet<Uuid>| rows.values().filter(|it| ids.contains(&it.id())).collect::<Vec<_>>();
        insert(db, &of(&new)).await?;
        dirty.retain(|it| !new.contains(it));
        replace(db, &of(&dirty)).await?;
        Ok(())
    }

    /// The keys of rows that are changed and were not made in this batch, and the rows whose children are replaced.
    fn needs(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        let (mut made, mut keys, mut parents) = (HashSet::new(), Vec::new(), Vec::new());
        for (_, change) in &self.changes {
            match change {
                Change::Insert(row) => drop(made.insert(row.id())),
                Change::Update(id, _) if made.contains(id) => {}
                Change::Update(id, _) => keys.push(*id),
                Change::UpdateChildren(parent, _) => parents.push(*parent),
                Change::Replace(parent, children) => {
                    parents.push(*parent);
                    made.extend(children.iter().map(Row::id));
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        (keys, parents)
    }
}

/// The keys of a row's children, in an order that does not change from one time to the next: the audit shows it.
fn children_of<R: Row>(rows: &HashMap<Uuid, R>, parent: Uuid) -> Vec<Uuid> {
    let mut ids: Vec<_> = rows.values().filter(|it| it.parent() == Some(parent)).map(Row::id).collect();
    ids.sort_unstable();
    ids
}

async fn prefetch<R: Row>(
    db: &mut PgConnection,
    keys: &[Uuid],
    parents: &[Uuid],
) -> Result<HashMap<Uuid, R>, sqlx::Error> {
    let mut rows = HashMap::new();
    if !keys.is_empty() {
        rows.extend(fetch::<R>(db, "id", keys).await?.into_iter().map(|it| (it.id(), it)));
    }
    if let Some(column) = R::PARENT.filter(|_| !parents.is_empty()) {
        rows.extend(fetch::<R>(db, column, parents).await?.into_iter().map(|it| (it.id(), it)));
    }
    Ok(rows)
}

fn difference<R: Row>(position: Position, before: Option<&R>, after: Option<&R>) -> Option<Difference> {
    let id = after.or(before)?.id();
    let old = before.map(|it| it.shown(after)).unwrap_or_default();
    let new = after.map(|it| it.shown(before)).unwrap_or_default();
    Some(Difference { position, table: R::TABLE.name, id, old, new })
}
