//! Which rows a batch deletes, inserts and replaces, given the rows of the table and the changes of the events.

use chrono::{DateTime, Utc};

use super::*;
use crate::machinery::table::table;

table! {
    /// A line of a list.
    LineRow in "lines", children of list_id, stamped by {
        /// The line.
        id: Uuid,
        /// The list of the line.
        list_id: Uuid,
        /// The text of the line.
        text: String,
    }
}

const LISTS: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The stamps of the event with a version.
fn stamps(version: i32) -> Stamps {
    let at: DateTime<Utc> = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(version.into());
    Stamps::new(version, at, Some(id(u128::try_from(version).expect("no version is negative"))))
}

/// A line of the first list, as the event with a version creates the line.
fn line(number: u128, text: &str, version: i32) -> LineRow {
    LineRow { id: id(number), list_id: LISTS[0], text: text.to_owned(), stamps: stamps(version) }
}

/// A line that one event created and another event changed last.
fn changed_line(number: u128, text: &str, begun: i32, changed: i32) -> LineRow {
    let mut row = line(number, text, begun);
    row.stamps.change(stamps(changed));
    row
}

fn change(id: Uuid, version: i32, change: fn(&mut LineRow)) -> Change<'static, LineRow> {
    Change::One(id, Some(stamps(version)), Box::new(change))
}

fn change_children(list: Uuid, version: i32, change: fn(&mut LineRow)) -> Change<'static, LineRow> {
    Change::Children(list, stamps(version), Box::new(change))
}

/// The deleted keys, the inserted rows and the replaced rows, each sorted by key.
type Written = (Vec<Uuid>, Vec<LineRow>, Vec<LineRow>);

fn write(table: Vec<LineRow>, changes: Changes<'_, LineRow>) -> Result<(Written, Vec<Difference>), ProjectError> {
    fn sorted(rows: Vec<&LineRow>) -> Vec<LineRow> {
        let mut rows: Vec<_> = rows.into_iter().cloned().collect();
        rows.sort_by_key(Row::id);
        rows
    }
    let mut differences = Vec::new();
    let rows = changes.apply(table, &mut differences, Missing::Fails)?;
    let mut deleted = rows.to_delete();
    deleted.sort_unstable();
    Ok(((deleted, sorted(rows.to_insert()), sorted(rows.to_replace())), differences))
}

fn written(table: Vec<LineRow>, changes: Changes<'_, LineRow>) -> Written {
    write(table, changes).expect("every row is there").0
}

fn shown(members: &Members) -> &str {
    std::str::from_utf8(&members.0).expect("UTF-8")
}

#[test]
fn a_row_that_is_begun_and_changed_in_a_batch_is_inserted_once() {
    let mut changes = Changes::default();
    changes.insert(line(10, "one", 1));
    changes.add(change(id(10), 2, |row| row.text.push_str(" and a half")));
    assert_eq!(changes.needs(), (vec![], vec![]));
    assert_eq!(written(vec![], changes), (vec![], vec![changed_line(10, "one and a half", 1, 2)], vec![]));
}

#[test]
fn a_change_stamps_the_row_and_keeps_who_began_it() {
    let mut changes = Changes::default();
    changes.add(change(id(10), 2, |row| "two".clone_into(&mut row.text)));
    changes.add(change(id(10), 3, |_| ()));
    assert_eq!(changes.needs(), (vec![id(10)], vec![]));
    assert_eq!(written(vec![line(10, "one", 1)], changes), (vec![], vec![], vec![changed_line(10, "two", 1, 3)]));
}

#[test]
fn a_change_by_another_stream_leaves_the_stamps() {
    let mut changes = Changes::default();
    changes.change_foreign(id(10), |row: &mut LineRow| "two".clone_into(&mut row.text));
    assert_eq!(written(vec![line(10, "one", 1)], changes), (vec![], vec![], vec![line(10, "two", 1)]));
}

#[test]
fn of_the_children_those_that_change_are_stamped() {
    let table = vec![line(10, "one", 1), line(11, "done", 1), LineRow { list_id: LISTS[1], ..line(12, "one", 1) }];
    let mut changes = Changes::default();
    changes.insert(line(13, "one", 2));
    changes.add(change_children(LISTS[0], 3, |row| "done".clone_into(&mut row.text)));
    assert_eq!(changes.needs(), (vec![], vec![LISTS[0]]));
    let expected = (vec![], vec![changed_line(13, "done", 2, 3)], vec![changed_line(10, "done", 1, 3)]);
    assert_eq!(written(table, changes), expected);
}

#[test]
fn a_child_that_moves_to_another_parent_is_a_child_of_that() {
    let mut changes = Changes::default();
    changes.add(change(id(10), 2, |row| row.list_id = LISTS[1]));
    changes.add(change_children(LISTS[0], 3, |row| "of the first".clone_into(&mut row.text)));
    changes.add(change_children(LISTS[1], 4, |row| "of the second".clone_into(&mut row.text)));
    let moved = LineRow { list_id: LISTS[1], ..changed_line(10, "of the second", 1, 4) };
    assert_eq!(written(vec![line(10, "one", 1)], changes), (vec![], vec![], vec![moved]));
}

#[test]
fn a_list_of_children_loses_keeps_changes_and_gains_rows() {
    let table = vec![line(10, "goes", 1), line(11, "stays", 1), line(12, "changes", 1)];
    let mut changes = Changes::default();
    changes.add(Change::List(
        LISTS[0],
        stamps(2),
        Box::new(|list: &mut Vec<LineRow>| {
            list.retain(|it| it.text != "goes");
            list.iter_mut().filter(|it| it.text == "changes").for_each(|it| "changed".clone_into(&mut it.text));
            list.push(line(13, "comes", 2));
        }),
    ));
    assert_eq!(changes.needs(), (vec![], vec![LISTS[0]]));
    let (written, differences) = write(table, changes).expect("every row is there");
    assert_eq!(written, (vec![id(10)], vec![line(13, "comes", 2)], vec![changed_line(12, "changed", 1, 2)]));
    assert_eq!(differences.iter().filter(|it| !it.old.is_empty() || !it.new.is_empty()).count(), 3);
}

#[test]
fn replaced_children_go_stay_change_and_come() {
    let table = vec![line(10, "goes", 1), line(11, "stays", 1), line(12, "changes", 1)];
    let mut changes = Changes::default();
    changes.replace(LISTS[0], vec![line(11, "stays", 2), line(12, "changed", 2), line(13, "comes", 2)]);
    let (written, differences) = write(table, changes).expect("every row is there");
    let replaced = vec![changed_line(12, "changed", 1, 2), line(13, "comes", 2)];
    assert_eq!(written, (vec![id(10)], vec![], replaced));
    let told: Vec<_> = differences.iter().map(|it| (it.id, shown(&it.old), shown(&it.new))).collect();
    let list = format!("\"list_id\":\"{}\"", LISTS[0]);
    assert_eq!(
        told,
        [
            (id(10), &*format!("{list},\"text\":\"goes\""), ""),
            (id(12), "\"text\":\"changes\"", "\"text\":\"changed\""),
            (id(13), "", &*format!("{list},\"text\":\"comes\"")),
        ]
    );
}

#[test]
fn a_row_that_is_removed_is_deleted_and_may_come_back() {
    let mut changes = Changes::default();
    changes.remove(id(10));
    assert_eq!(changes.needs(), (vec![id(10)], vec![]));
    assert_eq!(written(vec![line(10, "one", 1)], changes), (vec![id(10)], vec![], vec![]));
    let mut changes = Changes::default();
    changes.remove(id(10));
    changes.insert(line(10, "again", 2));
    changes.add(change(id(10), 3, |row| row.text.push_str(" and again")));
    let back = changed_line(10, "again and again", 2, 3);
    assert_eq!(written(vec![line(10, "one", 1)], changes), (vec![], vec![], vec![back]));
}

#[test]
fn a_row_that_is_begun_and_removed_in_a_batch_leaves_nothing() {
    let mut changes = Changes::default();
    changes.insert(line(10, "one", 1));
    changes.remove(id(10));
    changes.add(change_children(LISTS[0], 2, |row| row.text.clear()));
    assert_eq!(written(vec![], changes), (vec![], vec![], vec![]));
}

#[test]
fn what_is_not_there_can_neither_change_nor_go() {
    let (mut changing, mut removing) = (Changes::default(), Changes::default());
    changing.at(7).add(change(id(10), 2, |_| ()));
    removing.at(7).remove(id(10));
    for changes in [changing, removing] {
        let refused = write(vec![line(11, "one", 1)], changes).expect_err("there is no such row");
        assert!(matches!(refused, ProjectError::MissingRow { position: 7, table: "lines", .. }), "{refused}");
    }
}
