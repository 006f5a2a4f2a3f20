//! One client at work: the operations that it chooses.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Order, Staff, id, seen, version};
use super::history::{Acknowledged, Operation, Outcome, What, Write};
use super::load::Load;
use super::subjects::{Article, Patient, Shelf};
use crate::hospital::demo::{appointment, at, department, person, room};
use crate::hospital::draw;

/// The most events that a page has.
const PAGE: usize = 5_000;

pub(super) struct Worker {
    load: Arc<Load>,
    staff: Staff,
    process: u32,
    state: u64,
    /// When the operation at hand was to begin.
    pub(super) due: u64,
    /// The highest position that this client was answered.
    last: i64,
    /// Up to where this client has read the log.
    read_to: i64,
}

/// The text that marks what the command with this number records.
fn mark(number: u64) -> String {
    format!("Mark {number}")
}

/// The number in a text that marks what a command recorded.
pub(super) fn marked(text: &str) -> Option<u64> {
    let digits = text.split_once("Mark ")?.1;
    digits[..digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}

impl Worker {
    pub(super) fn new(load: Arc<Load>, seed: u64) -> Self {
        let (staff, process, due) = (Staff::new(&load), load.new_process(), load.now());
        Self { load, staff, process, state: seed, due, last: 0, read_to: 0 }
    }

    fn draw(&mut self) -> u64 {
        draw(&mut self.state)
    }

    /// One operation, or a few that belong together.
    pub(super) async fn step(&mut self) {
        match self.draw() % 100 {
            0..20 => self.rename(false).await,
            20..28 => self.rename(true).await,
            28..36 => self.adjust().await,
            36..45 => self.transfer().await,
            45..51 => self.dispense().await,
            51..57 => self.book().await,
            57..61 => self.rename_department().await,
            61..74 => self.read_stream().await,
            74..81 => self.read_log().await,
            81..88 => self.read_state().await,
            88..95 => self.read_row().await,
            _ => self.read_department().await,
        }
    }

    /// Gives a command. Every twelfth is sent twice at the same moment; every second gives up when there is no answer,
    /// unless others wait for what it makes.
    async fn give(
        &mut self,
        order: Order,
        number: u64,
        compared: Option<(Uuid, i32)>,
        must: bool,
    ) -> Option<Acknowledged> {
        let (load, began) = (self.load.clone(), self.load.now());
        let command = order.command.to_owned();
        let write = Write { number, command, compared, requests: 0, outcome: Outcome::Unknown };
        let (is_twice, may_give_up) = (self.draw().is_multiple_of(12), !must && self.draw().is_multiple_of(2));
        let write = match is_twice {
            true => self.staff.ask_twice(&load, &order, write).await,
            false => self.staff.ask(&load, &order, write, may_give_up).await,
        };
        let done = match &write.outcome {
            Outcome::Done(answers) => answers.first().cloned(),
            _ => None,
        };
        let is_unknown = write.outcome == Outcome::Unknown;
        let (due, process, ended) = (self.due, self.process, load.now());
        let operation = Operation { process, due, began, ended, what: What::Write(write) };
        if is_unknown {
            self.process = load.new_process();
            load.given_up.lock().expect("a lock").push((operation, order));
        } else {
            load.keep(operation);
        }
        self.due = load.now();
        self.last = self.last.max(done.as_ref().and_then(|it| it.positions.last().copied()).unwrap_or(0));
        done
    }

    fn told(&mut self, began: u64, what: What) {
        let (process, due, ended) = (self.process, self.due, self.load.now());
        self.load.keep(Operation { process, due, began, ended, what });
    }

    /// Gives a command that others wait for, as often as it is refused.
    async fn must(&mut self, login: &'static str, command: &'static str, body: impl Fn(u64) -> Value) -> Acknowledged {
        loop {
            let number = self.load.new_command();
            let order = Order { login, command, body: body(number) };
            if let Some(done) = self.give(order, number, None, true).await {
                return done;
            }
        }
    }

    pub(super) async fn add_patient(&mut self) {
        let body = |number: u64| {
            let mut body = person("Checked", "Person", u32::try_from(number % 12_000).expect("small"));
            (body["ssn"], body["city"]) = (Value::Null, mark(number).into());
            body["confirm_not_duplicate"] = true.into();
            body
        };
        let done = self.must("reception", "register-patient", body).await;
        let patient = Patient { id: done.stream, since: done.positions[0] };
        self.load.subjects.lock().expect("a lock").patients.add(patient);
    }

    pub(super) async fn add_shelf(&mut self) {
        let product = |number: u64| json!({"name": format!("Checked {number}")});
        let medication = self.must("pharmacist", "add-medication", product).await.stream;
        let received = |number: u64| {
            json!({"medication_id": medication, "location_id": room(3), "lot_number": number.to_string(),
                   "expiry_date": at(400, 0).date_naive(), "quantity": "1000000", "unit": "tablet"})
        };
        let lot = self.must("pharmacist", "receive-medication-lot", received).await.stream;
        self.load.subjects.lock().expect("a lock").shelves.add(Shelf { medication, lot });
    }

    pub(super) async fn add_article(&mut self) {
        let article = |number: u64| {
            json!({"sku": format!("CHECKED-{number}"), "name": "Swabs", "category": "dressing", "unit": "boxes",
                   "reorder_level": "10", "reorder_quantity": "50"})
        };
        let item = self.must("pharmacist", "add-inventory-item", article).await.stream;
        let mut levels = [Uuid::nil(); 2];
        for (nth, level) in (1..).zip(&mut levels) {
            let received = |_| json!({"inventory_item_id": item, "location_id": room(nth), "quantity": "1000000"});
            *level = self.must("pharmacist", "receive-inventory", received).await.stream;
        }
        self.load.subjects.lock().expect("a lock").articles.add(Article { item, levels });
    }

    async fn patient(&mut self) -> Patient {
        let draw = self.draw();
        let (patient, is_used_up) = self.load.subjects.lock().expect("a lock").patients.choose(draw);
        if is_used_up {
            self.add_patient().await;
        }
        patient
    }

    async fn shelf(&mut self) -> Shelf {
        let draw = self.draw();
        let (shelf, is_used_up) = self.load.subjects.lock().expect("a lock").shelves.choose(draw);
        if is_used_up {
            self.add_shelf().await;
        }
        shelf
    }

    /// Changes a patient, in whatever version the record is or only in the version that was read before.
    async fn rename(&mut self, compares: bool) {
        let patient = self.patient().await;
        let compared = match compares {
            true => match self.state_of(patient).await {
                Some(version) => Some((patient.id, version)),
                None => return,
            },
            false => None,
        };
        let number = self.load.new_command();
        let body = json!({"patient_id": patient.id, "city": mark(number)});
        let order = Order { login: "reception", command: "change-patient-demographics", body };
        self.give(order, number, compared, false).await;
    }

    async fn adjust(&mut self) {
        let (shelf, number) = (self.shelf().await, self.load.new_command());
        let body = json!({"medication_lot_id": shelf.lot, "change": "-1", "reason": mark(number)});
        self.give(Order { login: "pharmacist", command: "adjust-medication-lot", body }, number, None, false).await;
    }

    /// Moves something between two rooms, in one direction or the other: a command on two streams.
    async fn transfer(&mut self) {
        let draw = self.draw();
        let (article, is_used_up) = self.load.subjects.lock().expect("a lock").articles.choose(draw);
        if is_used_up {
            self.add_article().await;
        }
        let (from, to) = if self.draw().is_multiple_of(2) { (1, 2) } else { (2, 1) };
        let body = json!({"inventory_item_id": article.item, "location_id": room(from), "to_location_id": room(to),
                          "quantity": "1"});
        let number = self.load.new_command();
        self.give(Order { login: "pharmacist", command: "transfer-inventory", body }, number, None, false).await;
    }

    /// A prescription from its beginning to the counter: commands on the prescription, the medication list and the lot.
    async fn dispense(&mut self) {
        let (patient, shelf) = (self.patient().await, self.shelf().await);
        let items = json!([{"medication_id": shelf.medication, "quantity": "1", "quantity_unit": "tablet"}]);
        let body = json!({"patient_id": patient.id, "items": items});
        let order = Order { login: "doctor", command: "write-prescription", body };
        let number = self.load.new_command();
        let Some(written) = self.give(order, number, None, false).await else { return };
        self.load.subjects.lock().expect("a lock").add_prescription(written.stream);
        let steps = [("doctor", "send-prescription-to-pharmacy"), ("pharmacist", "dispense-prescription")];
        for (login, command) in steps {
            let (number, body) = (self.load.new_command(), json!({"prescription_id": written.stream}));
            if self.give(Order { login, command, body }, number, None, false).await.is_none() {
                return;
            }
        }
    }

    /// Wants a time that others want as well.
    async fn book(&mut self) {
        let (patient, slot) = (self.patient().await, self.load.new_slot());
        let starts_at = at(30, 30 * i64::try_from(slot).expect("few"));
        let body = appointment(&patient.id.to_string(), starts_at);
        let number = self.load.new_command();
        self.give(Order { login: "reception", command: "schedule-appointment", body }, number, None, false).await;
    }

    /// Changes a row of a catalogue, which nodes remember.
    async fn rename_department(&mut self) {
        let number = self.load.new_command();
        let body = json!({"department_id": department(1), "name": mark(number)});
        self.give(Order { login: "admin", command: "change-department", body }, number, None, false).await;
    }

    async fn read_stream(&mut self) {
        let draw = self.draw();
        let stream = self.load.subjects.lock().expect("a lock").stream(draw);
        let (load, began) = (self.load.clone(), self.load.now());
        let path = format!("events?stream_id={stream}&raw=true&limit={PAGE}");
        let Some(answer) = self.staff.read(&load, "admin", &path, None).await else { return };
        self.told(began, What::Stream { id: stream, seen: seen(&answer.json()) });
    }

    /// Reads what is new in the log since the last time. Only a page that is not full reaches the end of the log.
    async fn read_log(&mut self) {
        loop {
            let (load, began, after) = (self.load.clone(), self.load.now(), self.read_to);
            let path = format!("events?after={after}&raw=true&limit={PAGE}");
            let Some(answer) = self.staff.read(&load, "admin", &path, None).await else { return };
            let seen = seen(&answer.json());
            let is_end = seen.len() < PAGE;
            self.read_to = seen.last().map_or(after, |it| it.position);
            if is_end {
                return self.told(began, What::Tail { after, seen });
            }
        }
    }

    async fn read_state(&mut self) {
        let patient = self.patient().await;
        self.state_of(patient).await;
    }

    /// Reads the state of a patient, and returns its version.
    async fn state_of(&mut self, patient: Patient) -> Option<i32> {
        let (load, began, id) = (self.load.clone(), self.load.now(), patient.id);
        let path = format!("streams/patient/{id}");
        let told = self.staff.read(&load, "reception", &path, Some(patient.since)).await?.json();
        let version = version(&told);
        let mark = marked(told["state"]["demographics"]["city"].as_str().unwrap_or_default());
        self.told(began, What::State { id, version, mark });
        Some(version)
    }

    async fn read_row(&mut self) {
        let patient = self.patient().await;
        self.row_of("reception", &format!("patients/{}", patient.id), patient.since, "city").await;
    }

    async fn read_department(&mut self) {
        self.row_of("admin", &format!("departments/{}", department(1)), 0, "name").await;
    }

    /// Reads a row that there is since a position, as it is after everything that this client has recorded.
    async fn row_of(&mut self, login: &'static str, path: &str, since: i64, marked_in: &str) {
        let (load, began, least) = (self.load.clone(), self.load.now(), self.last.max(since));
        let Some(answer) = self.staff.read(&load, login, path, Some(least)).await else { return };
        let position = answer.header("hims-position").and_then(|it| it.parse().ok()).expect("a position");
        let row = answer.json();
        let (version, mark) = (version(&row), marked(row[marked_in].as_str().unwrap_or_default()));
        self.told(began, What::Row { id: id(&row["id"]), least, position, version, mark });
    }
}
