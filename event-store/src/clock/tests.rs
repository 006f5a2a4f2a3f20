use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// The moment that these tests begin with.
fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A clock of a node that tests set.
fn hands() -> (Arc<Mutex<DateTime<Utc>>>, NodeClock) {
    let hands = Arc::new(Mutex::new(noon()));
    let read = Arc::clone(&hands);
    (hands, NodeClock::new(move || *read.lock().unwrap()))
}

/// Whether two times differ by less than a second, which no test takes.
fn about(one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
    (one - other).abs() < TimeDelta::seconds(1)
}

#[test]
fn the_time_is_the_databases_whatever_the_node_shows() {
    let (hands, node) = hands();
    let clock = LogClock::new(node);
    assert_eq!(clock.now(), noon());
    let sent = Instant::now();
    clock.measured(sent, sent, noon() + TimeDelta::days(3));
    for shown in [noon(), noon() + TimeDelta::days(35), noon() - TimeDelta::days(35)] {
        *hands.lock().unwrap() = shown;
        assert!(about(clock.now(), noon() + TimeDelta::days(3)), "{}", clock.now());
    }
}

#[test]
fn a_measurement_corrects_by_no_more_than_it_demands() {
    let (_, node) = hands();
    let clock = LogClock::new(node);
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let known = |clock: &LogClock| clock.known().measured.map(|(then, time)| since(then, time, began)).unwrap();
    clock.measured(began, began, noon());
    // A slow answer that fits, and answers that show that the known time was behind and ahead.
    clock.measured(at(10), at(20), noon() + TimeDelta::seconds(18));
    assert_eq!(known(&clock), noon());
    clock.measured(at(30), at(31), noon() + TimeDelta::seconds(35));
    assert_eq!(known(&clock), noon() + TimeDelta::seconds(4));
    clock.measured(at(40), at(41), noon() + TimeDelta::seconds(40));
    assert_eq!(known(&clock), noon());
}

#[test]
fn a_node_with_a_wrong_clock_records_nothing_until_the_clock_is_set() {
    let (hands, node) = hands();
    let clock = LogClock::new(node);
    let sent = Instant::now();
    clock.measured(sent, sent, noon());
    assert!(!clock.is_doubtful() && clock.check().is_ok());
    *hands.lock().unwrap() = noon() + TimeDelta::seconds(20);
    assert!(clock.is_doubtful(), "somebody has set the clock");
    assert!(clock.check().is_ok(), "a small difference refuses nothing");
    // The estimate of the database's clock is exact to less than a second.
    for (seconds, refuses) in [(28, false), (31, true), (-28, false), (-31, true)] {
        *hands.lock().unwrap() = noon() + TimeDelta::seconds(seconds);
        assert_eq!(clock.check().is_err(), refuses, "{seconds} s");
    }
    for days in [35, -35] {
        *hands.lock().unwrap() = noon() + TimeDelta::days(days);
        let refused = clock.check().unwrap_err();
        let StoreError::WrongClock { seconds } = refused else { panic!("{refused}") };
        assert!((seconds - days * 24 * 3600).abs() < 2, "{seconds}");
    }
    *hands.lock().unwrap() = noon();
    assert!(clock.check().is_ok());
}

#[test]
fn no_decision_comes_before_what_it_relies_on() {
    let (_, node) = hands();
    let clock = LogClock::new(node);
    clock.reached(noon() + TimeDelta::milliseconds(700));
    assert_eq!(clock.now(), noon() + TimeDelta::milliseconds(700));
    // An event from a month ahead does not take the node along.
    clock.reached(noon() + TimeDelta::days(30));
    assert_eq!(clock.now(), noon() + TimeDelta::milliseconds(700));
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.fetch_add(usize::from(*event.metadata().level() == Level::WARN), Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_clock_that_is_off_by_a_second_is_warned_of_once() {
    let (hands, node) = hands();
    let clock = LogClock::new(node);
    let sent = Instant::now();
    clock.measured(sent, sent, noon());
    let warnings = Warnings::default();
    let after = |ahead: TimeDelta| {
        *hands.lock().unwrap() = noon() + ahead;
        assert!(clock.check().is_ok());
        warnings.0.load(Ordering::Relaxed)
    };
    tracing::subscriber::with_default(warnings.clone(), || {
        assert_eq!(after(TimeDelta::milliseconds(500)), 0);
        assert_eq!(after(TimeDelta::milliseconds(1_900)), 1);
        assert_eq!(after(TimeDelta::seconds(20)), 1, "what was said is not repeated");
        assert_eq!(after(TimeDelta::zero()), 1);
        assert_eq!(after(TimeDelta::seconds(-2)), 2, "a clock that is behind is off, too");
    });
}
