use std::fmt;

/// Why a resource is not in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The record cannot hold resources of this type, or of this category, yet.
    NotPartOfTheRecord,
    /// The resource is not in the form of FHIR R4.
    Malformed,
    /// The status says that the resource was entered in error.
    EnteredInError,
    /// The status says that what the resource describes has not happened, or never will.
    HasNotHappened,
    /// The record computes the value itself, such as the body mass index.
    Derived,
    /// The record cannot hold what was measured.
    UnknownMeasurement,
    /// Another observation measured the same vital sign at the same moment of the same encounter.
    MeasuredTwice,
    /// An earlier import recorded the vital signs of the same moment and encounter, without this observation.
    RecordedWithout,
    /// The observation holds no value.
    NoValue,
    /// The value has a unit that is not known, or no unit.
    UnknownUnit,
    /// The value is beyond what is physically possible.
    Impossible,
    /// The resource has no name.
    NoName,
    /// The resource has no time, or no time that the record can hold.
    NoTime,
    /// The time of the resource is in the future.
    InTheFuture,
    /// The encounter ends before it starts.
    EndsBeforeItStarts,
    /// The resource names no patient who is in the record.
    NoPatient,
    /// The resource names no practitioner who is in the record, and no practitioner follows from other resources.
    NoPractitioner,
    /// The request names no medication that is in the catalogue.
    NoMedication,
    /// The id of the resource belongs to a record of another kind.
    IdTaken,
    /// A rule of the record refused the resource, with the code of the refusal.
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
            Self::RecordedWithout => "the vital signs of the same moment were recorded before, without this one",
            Self::NoValue => "holds no value",
            Self::UnknownUnit => "in a unit that is not known",
            Self::Impossible => "beyond what is physically possible",
            Self::NoName => "has no name",
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
