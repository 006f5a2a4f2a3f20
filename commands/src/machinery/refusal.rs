use std::fmt::Display;

use hims_domain::{Aggregate, Described, Invalid, Pointer};
use uuid::Uuid;

/// The kind of a refusal, which decides the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command breaks a rule, or a value is out of its range.
    Rule,
    /// Another record has what the command asks for, or the state of a record does not allow the command.
    Conflict,
    /// The record to which the command applies does not exist.
    Missing,
    /// The caller is not allowed to give the command.
    Forbidden,
    /// The caller saw an older version of the record.
    Stale,
    /// The caller has asked too often and must wait.
    TooMany,
}

/// The codes of refusals that ask the caller back: the caller confirms, or says why, and repeats the command.
const QUESTIONS: [&str; 11] = [
    "already-open",
    "delta-exceeded",
    "extreme-value",
    "needs-override",
    "not-today",
    "on-leave",
    "outside-hours",
    "past-timely-filing",
    "possible-duplicate",
    "too-early",
    "unknown-unit",
];

/// The codes of refusals that forbid something to the caller because of what is in the record.
const OF_THE_RECORD: [&str; 2] = ["other-provider", "own-witness"];

/// Why a command is refused, in the form in which the caller is answered. Holds no personal value.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The kind of the refusal.
    pub kind: Kind,
    /// The stable code of the refusal, in kebab-case.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// The fields of the request that are at fault.
    pub errors: Vec<Invalid>,
    /// The ids of other records that the caller should look at, such as possible duplicates.
    pub candidates: Vec<Uuid>,
    /// Whether the status of the record is at fault. The answer then names the commands that follow on the status.
    pub is_of_status: bool,
}

impl Refused {
    /// A refusal that names no fields.
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        let (errors, candidates) = (Vec::new(), Vec::new());
        Self { kind, code, detail: detail.into(), errors, candidates, is_of_status: false }
    }

    /// A refusal because fields break their rules.
    pub fn invalid(errors: Vec<Invalid>) -> Self {
        Self { errors, ..Self::new(Kind::Rule, "invalid-fields", "some fields break their rules; see errors") }
    }

    /// Refuses values that break their rules.
    pub(crate) fn unless_valid(values: &impl Described) -> Result<(), Self> {
        let mut invalid = Vec::new();
        values.check(&Pointer::Root, &mut invalid);
        if invalid.is_empty() { Ok(()) } else { Err(Self::invalid(invalid)) }
    }

    /// A refusal because one field breaks a rule.
    pub fn field(code: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Rule, code, message).at(pointer)
    }

    /// The refusal, which names the field that is at fault.
    #[must_use]
    pub fn at(self, pointer: &str) -> Self {
        let error = Invalid::new(pointer, self.detail.clone());
        Self { errors: vec![error], ..self }
    }

    /// Refuses everything that is wrong with a request at once, with the code of what is named first.
    ///
    /// # Errors
    /// When something is wrong.
    pub(crate) fn unless_none(errors: Vec<Invalid>, detail: impl Into<String>) -> Result<(), Self> {
        match errors.first() {
            None => Ok(()),
            Some(first) => {
                let code = first.code.unwrap_or("invalid-fields");
                Err(Self { errors, ..Self::new(Kind::Rule, code, detail) })
            }
        }
    }

    /// Refuses everything that checks have found at once, with the kind, the code and the words of what is named first.
    ///
    /// # Errors
    /// When a check has failed.
    pub(crate) fn all(checks: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut failed: Vec<_> = checks.into_iter().filter_map(Result::err).collect();
        let coded = |it: &Self| {
            let code = it.code;
            // What is wrong with no field in particular is wrong with the whole request.
            let of_request = it.errors.is_empty().then(|| Invalid::new("", it.detail.clone()));
            let errors = it.errors.clone().into_iter().chain(of_request);
            errors.map(move |error| Invalid { code: error.code.or(Some(code)), ..error })
        };
        let errors = failed.iter().flat_map(coded).collect();
        if failed.is_empty() { Ok(()) } else { Err(Self { errors, ..failed.swap_remove(0) }) }
    }

    /// A refusal because the status of the record does not allow the command.
    pub fn wrong_status<A: Aggregate>(status: impl Display) -> Self {
        let detail = format!("the {} is {status}, which does not allow the command", spoken(A::STREAM));
        Self { is_of_status: true, ..Self::new(Kind::Conflict, "wrong-status", detail) }
    }

    /// Whether the refusal is a question that the caller can answer.
    pub(crate) fn is_question(&self) -> bool {
        QUESTIONS.contains(&self.code)
    }

    /// Whether the refusal tells of the caller's rights only, and of nothing that is in the record.
    pub(crate) fn is_about_the_caller(&self) -> bool {
        self.kind == Kind::Forbidden && !OF_THE_RECORD.contains(&self.code)
    }

    /// The refusal, with the commands that the status of the record allows, if the status is at fault.
    #[must_use]
    pub(crate) fn followed_by(self, commands: impl FnOnce() -> Vec<&'static str>) -> Self {
        if !self.is_of_status {
            return self;
        }
        let commands = commands();
        let follows = if commands.is_empty() {
            "no command follows".to_owned()
        } else {
            format!("possible now: {}", commands.join(", "))
        };
        Self { detail: format!("{}; {follows}", self.detail), ..self }
    }

    /// A refusal because no record of the type has the id.
    pub fn missing(stream_type: &str) -> Self {
        Self::new(Kind::Missing, "not-found", format!("there is no {} with this id", spoken(stream_type)))
    }

    /// A refusal because the named record is a duplicate that was merged into another. The executor names the record
    /// that survives, if the other was merged into a third.
    pub fn merged(stream_type: &str, into: Uuid) -> Self {
        let detail = format!("the {} was merged into another (see candidates); name that one", spoken(stream_type));
        Self { candidates: vec![into], ..Self::new(Kind::Conflict, "merged", detail) }
    }

    /// A refusal because a record with the id exists already.
    pub fn exists() -> Self {
        Self::new(Kind::Conflict, "already-exists", "the id is taken; leave it out to have a new id issued")
    }
}

/// The stream type in words, such as `medication lot`.
pub(crate) fn spoken(stream_type: &str) -> String {
    stream_type.replace('_', " ")
}

/// Returns a refusal as an error.
///
/// # Errors
/// Always, with the refusal.
pub fn refuse<T>(why: impl Into<Refused>) -> Result<T, Refused> {
    Err(why.into())
}

/// Declares the refusals of an aggregate: each with its kind, its stable code and its sentence.
macro_rules! refusals {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident $({ $($field:ident: $type:ty),* })? = $kind:ident, $code:literal, $detail:literal;
    )*) => {
        /// Why a command was refused.
        #[allow(clippy::doc_markdown, reason = "the sentences are for people and name fields in braces")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Refusal {
            $( $(#[doc = $doc])* #[doc = $detail] $name $({
                $( #[doc = "A value that the sentence names."] $field: $type ),*
            })?, )*
        }

        impl From<Refusal> for $crate::Refused {
            fn from(refusal: Refusal) -> Self {
                match refusal {
                    $( Refusal::$name $({ $($field),* })? => Self::new($crate::Kind::$kind, $code, format!($detail)), )*
                }
            }
        }
    };
}
pub(crate) use refusals;
