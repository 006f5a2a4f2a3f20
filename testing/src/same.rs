use std::fmt::{Debug, Write as _};

/// How many elements of each kind are printed before the rest is only counted.
const PRINTED: usize = 20;

/// Fails unless two collections hold the same elements equally often, in any order; prints only the missing and the
/// extra elements. For collections that are too long to be compared by eye.
///
/// # Panics
/// When the collections differ.
#[track_caller]
pub fn assert_same<T: Ord + Debug>(found: impl IntoIterator<Item = T>, expected: impl IntoIterator<Item = T>) {
    if let Some(difference) = difference(found, expected) {
        panic!("not the same:{difference}");
    }
}

/// As [`assert_same`], and fails also when the order differs; prints the first place with different elements.
///
/// # Panics
/// When the collections differ.
#[track_caller]
pub fn assert_same_order<T: Ord + Debug>(found: impl IntoIterator<Item = T>, expected: impl IntoIterator<Item = T>) {
    let (found, expected): (Vec<T>, Vec<T>) = (found.into_iter().collect(), expected.into_iter().collect());
    assert_same(&found, &expected);
    if let Some((place, (found, expected))) =
        found.iter().zip(&expected).enumerate().find(|(_, (found, expected))| found != expected)
    {
        panic!("not in the same order: {found:?} instead of {expected:?} in place {place}");
    }
}

/// The missing and the extra elements, a line each; `None` when there are none.
fn difference<T: Ord + Debug>(
    found: impl IntoIterator<Item = T>,
    expected: impl IntoIterator<Item = T>,
) -> Option<String> {
    let sorted = |mut all: Vec<T>| {
        all.sort();
        all.into_iter().peekable()
    };
    let (mut found, mut expected) = (sorted(found.into_iter().collect()), sorted(expected.into_iter().collect()));
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    loop {
        match (found.peek(), expected.peek()) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => {
                found.next();
                expected.next();
            }
            (Some(one), Some(other)) if one > other => missing.extend(expected.next()),
            (None, Some(_)) => missing.extend(expected.next()),
            (Some(_), _) => extra.extend(found.next()),
        }
    }
    let mut text = String::new();
    for (what, elements) in [("missing", missing), ("extra", extra)] {
        for element in elements.iter().take(PRINTED) {
            let _ = write!(text, "\n  {what}: {element:?}");
        }
        if let Some(more @ 1..) = elements.len().checked_sub(PRINTED) {
            let _ = write!(text, "\n  {what}: {more} more");
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_not_printed() {
        let text = difference(["b", "c", "c", "e"], ["a", "b", "c", "d"]).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            ["", r#"  missing: "a""#, r#"  missing: "d""#, r#"  extra: "c""#, r#"  extra: "e""#]
        );
    }

    #[test]
    fn the_order_does_not_matter() {
        assert_eq!(difference([3, 1, 2], [1, 2, 3]), None);
    }

    #[test]
    fn of_many_the_first_are_printed_and_the_rest_is_counted() {
        let text = difference(0..50, 0..0).unwrap();
        assert_eq!(text.lines().count(), 1 + PRINTED + 1);
        assert!(text.ends_with("extra: 30 more"), "{text}");
    }

    #[test]
    #[should_panic(expected = "not in the same order: 3 instead of 2 in place 1")]
    fn another_order_fails_where_it_matters() {
        assert_same_order([1, 3, 2], [1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "missing: 2")]
    fn a_difference_fails() {
        assert_same([1], [1, 2]);
    }
}
