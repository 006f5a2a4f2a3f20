use std::collections::BTreeMap;

use hims_commands::{Caller, Registry, Request};
use hims_projections::query::Cursor;
use proptest::prelude::*;
use proptest::sample::select;

use super::{check, corpus, files, hospital, runtime};
use crate::hospital::contract::document::Document;
use crate::hospital::contract::values::{Known, conforming};
use crate::support::{broken, changed};

#[test]
fn a_spoilt_body_of_a_command_is_carried_out_or_refused() {
    let document = Document::new();
    let known = Known::from([("patient".to_owned(), vec![uuid::Uuid::from_u128(7).to_string()])]);
    let bodies: BTreeMap<_, _> = document
        .operations()
        .into_iter()
        .filter_map(|it| Some((it.path.strip_prefix("/api/v1/commands/")?.to_owned(), it.body?)))
        .map(|(name, schema)| (name, conforming(&schema, &document, &known)))
        .collect();
    let registry = Registry::hospital();
    assert_eq!(bodies.len(), registry.iter().count());
    let names: Vec<_> = bodies.keys().cloned().collect();
    let spoilt = (select(names), 0..3_u8).prop_flat_map(|(name, times)| {
        let body = (0..times).fold(bodies[&name].clone(), |body, _| broken(body));
        (Just(name), body)
    });
    let runtime = runtime();
    let executor = runtime.block_on(hospital());
    check(2_000, &spoilt, |(name, body)| {
        let entry = registry.get(&name).expect("a command");
        // A refusal is an answer, too.
        drop(runtime.block_on(entry.run(&executor, body, Request::of(Caller::system("test")))));
    });
}

#[test]
fn a_spoilt_cursor_is_no_cursor_or_the_one_that_it_says() {
    let cursors: Vec<_> = files(&corpus("cursors")).into_iter().map(|it| it.1).collect();
    for cursor in &cursors {
        assert!(Cursor::parse(&String::from_utf8_lossy(cursor)).is_some(), "{cursor:?}");
    }
    check(4_000, &changed(cursors), |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        if let Some(cursor) = Cursor::parse(&text) {
            assert_eq!(Cursor::parse(&cursor.encode()), Some(cursor));
        }
    });
}
