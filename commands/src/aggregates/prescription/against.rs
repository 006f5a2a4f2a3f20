//! What stands against the lines of a prescription: one answer names all of it, each with its line.

use hims_domain::prescription::Line;

use super::Refusal;
use crate::Refused;

/// What stands against the lines of a request, in their order.
#[derive(Default)]
pub(super) struct Against(Vec<(String, Refused)>);

impl Against {
    /// Adds what stands against a line at its place in the request.
    pub(super) fn at(&mut self, pointer: impl Into<String>, why: impl Into<Refused>) {
        self.0.push((pointer.into(), why.into()));
    }

    /// Adds what stands against a line: at its place in the request, or else, if the request names no lines, with the
    /// id of the item in words.
    pub(super) fn line(&mut self, pointer: Option<&str>, line: &Line, why: impl Into<Refused>) {
        let why = why.into();
        match pointer {
            Some(pointer) => self.at(pointer, why),
            None => {
                let detail = format!("item {}: {}", line.item.id, why.detail);
                self.at("/prescription_id", Refused { detail, ..why });
            }
        }
    }

    /// Adds what stands against a line that is to be dispensed: at the field of the item that is at fault, as
    /// [`line`](Self::line) does.
    pub(super) fn dispensed(&mut self, pointer: Option<&str>, line: &Line, why: Refusal) {
        let field = match why {
            Refusal::TooMuch { .. } => "/quantity",
            Refusal::NoSuchLot | Refusal::NotDispensable => "/lot_id",
            _ => "",
        };
        self.line(pointer.map(|it| format!("{it}{field}")).as_deref(), line, why);
    }

    /// Refuses everything that stands against the lines at once, with the code and the words of what is named first.
    ///
    /// # Errors
    /// When something stands against a line.
    pub(super) fn nothing(self) -> Result<(), Refused> {
        Refused::all(self.0.into_iter().map(|(pointer, it)| Err(it.at(&pointer))))
    }
}
