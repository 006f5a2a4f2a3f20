use std::fmt;

/// Why a resource is not in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// There is no place for its type, or for its category, yet.
    NotPartOfTheRecord,
    /// It is not in the form of FHIR R4.
    Malformed,
    /// Its status says that it is wrong.
    EnteredInError,
    /// Its status says that it has not happened, or never will.
    HasNotHappened,
    /// The record computes it itself.
    Derived,
    /// The record has no place for what was measured.
    UnknownMeasurement,
    /// It was measured already at the same moment of the same encounter.
    MeasuredTwice,
    /// What was measured at the same moment of the same encounter was recorded before, without it.
    RecordedWithout,
    /// It holds no value.
    NoValue,
    /// The value is in a unit that is not known, or in none.
    UnknownUnit,
    /// The value is beyond what is physically possible.
    Impossible,
    /// It lacks a name.
    NoName,
    /// It lacks a whole date of birth.
    NoBirthDate,
    /// It lacks a time, or the time has no form that is known.
    NoTime,
    /// Its time has not come yet.
    InTheFuture,
    /// It ends before it begins.
    EndsBeforeItStarts,
    /// It names no patient who is in the record.
    NoPatient,
    /// It names no practitioner who is in the record, and none follows from what else is known.
    NoPractitioner,
    /// It names no medication.
    NoMedication,
    /// The id belongs to a record of another kind.
    IdTaken,
    /// A rule of the record stands against it; the code of the refusal.
    Refused(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPartOfTheRecord => "not part of the record yet",
            Self::Malformed => "not in the form of FHIR R4",
            Self::EnteredInError => "entered in error",
            Self::HasNotHappened => "has not happened",
            Self::Derived => "derived; the record computes it itself",
            Self::UnknownMeasurement => "the record has no place for this measurement",
            Self::MeasuredTwice => "measured already at the same moment",
            Self::RecordedWithout => "the measurements of its moment were recorded before, without it",
            Self::NoValue => "holds no value",
            Self::UnknownUnit => "in a unit that is not known",
            Self::Impossible => "beyond what is physically possible",
            Self::NoName => "has no name",
            Self::NoBirthDate => "has no whole date of birth",
            Self::NoTime => "has no time",
            Self::InTheFuture => "lies in the future",
            Self::EndsBeforeItStarts => "ends before it starts",
            Self::NoPatient => "names no patient who is in the record",
            Self::NoPractitioner => "names no practitioner who is in the record",
            Self::NoMedication => "names no medication",
            Self::IdTaken => "its id belongs to a record of another kind",
            Self::Refused(code) => return write!(f, "refused by a rule of the record: {code}"),
        })
    }
}
