use std::fmt::Display;

use hims_domain::{Aggregate, Invalid};
use uuid::Uuid;

/// What stands against a command; decides the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A rule or a range.
    Rule,
    /// Somebody else has it, or it is in another state.
    Conflict,
    /// What the command is for does not exist.
    Missing,
    /// The caller may not.
    Forbidden,
    /// The caller saw an older version.
    Stale,
}

/// A refusal of any subject, ready to be answered. Holds no personal value.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// What stands against it.
    pub kind: Kind,
    /// Stable code in kebab-case.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// The fields at fault.
    pub errors: Vec<Invalid>,
    /// Other streams that the caller should look at, such as possible duplicates.
    pub candidates: Vec<Uuid>,
}

impl Refused {
    /// A refusal without fields.
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), errors: Vec::new(), candidates: Vec::new() }
    }

    /// Fields that do not keep their rules.
    pub fn invalid(errors: Vec<Invalid>) -> Self {
        Self { errors, ..Self::new(Kind::Rule, "invalid-fields", "some fields do not keep their rules; see errors") }
    }

    /// One field that does not keep its rule.
    pub fn field(code: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = Invalid { pointer: pointer.to_owned(), message: message.clone() };
        Self { errors: vec![error], ..Self::new(Kind::Rule, code, message) }
    }

    /// What the command is for stands where the command cannot lead on from.
    pub fn wrong_status<A: Aggregate>(status: impl Display) -> Self {
        let detail = format!("the {} is {status}, which does not allow it", spoken(A::STREAM));
        Self::new(Kind::Conflict, "wrong-status", detail)
    }

    /// There is nothing under the id that the command is for.
    pub fn missing(stream_type: &str) -> Self {
        Self::new(Kind::Missing, "not-found", format!("there is no {} with this id", spoken(stream_type)))
    }

    /// There is something under the id already.
    pub fn exists() -> Self {
        Self::new(Kind::Conflict, "already-exists", "the id is taken; leave it out to have one issued")
    }
}

/// A stream type in words.
pub(crate) fn spoken(stream_type: &str) -> String {
    stream_type.replace('_', " ")
}

/// Refuses.
///
/// # Errors
/// Always: that is what it is for.
pub fn refuse<T>(why: impl Into<Refused>) -> Result<T, Refused> {
    Err(why.into())
}

/// Declares why the commands of a subject may be refused: each refusal with its kind, its stable code and its sentence.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $name:ident $({ $($field:ident: $type:ty),* })? = $kind:ident, $code:literal, $detail:literal;)*) => {
        /// Why a command was refused.
        #[allow(clippy::doc_markdown, reason = "a sentence for people, with its fields")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Refusal {
            $( $(#[doc = $doc])* #[doc = $detail] $name $({
                $( #[doc = "Named in the sentence."] $field: $type ),*
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
