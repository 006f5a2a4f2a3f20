use std::fmt;

/// Why a resource is not in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The record cannot hold resources of this type, or of this category, yet.
    NotPartOfTheRecord,
    /// The resource is not in the form of FHIR R4.
    Malformed,
    /// The resource is in the form of another version of FHIR.
    OtherVersion(&'static str),
    /// The row is not in the form of its file.
    BadRow,
    /// The row is about articles that the hospital used, but never received.
    NeverReceived,
    /// The row is about a time in which nobody insured the patient.
    NoInsurance,
    /// The observation is an answer to a questionnaire.
    Questionnaire,
    /// The observation is a number that a simulation computed, such as quality-adjusted life years.
    Statistic,
    /// The observation says where somebody lives.
    HomeAddress,
    /// The report is a certificate of death.
    DeathCertificate,
    /// An element changes the meaning of the resource in a way that is not understood.
    NotUnderstood,
    /// Resources with one id contradict each other.
    Contradiction,
    /// A record with the id of the resource is about something or somebody else.
    OtherRecord,
    /// The bundle holds no resource at this place.
    NoResource,
    /// The bundle asks for the deletion of a resource.
    Deletion,
    /// The resource only leads to a practitioner.
    LeadsToPractitioner,
    /// The patient is an animal.
    Animal,
    /// The patient is another patient of the files or of the record, who has the same identifier.
    SamePerson,
    /// Another record took the place of the patient's record.
    Replaced,
    /// The request asks that something is not done.
    AsksNotToDo,
    /// The request is on hold.
    OnHold,
    /// The status is not known, or no status of FHIR R4.
    UnknownStatus,
    /// The allergy says that an allergy is absent or not known.
    NoKnownAllergy,
    /// A code says that there is nothing of the kind, such as no known problems, or that nothing is known of it.
    NothingKnown,
    /// The observation is about somebody or something else than the patient.
    OtherFocus,
    /// The value is a bound and not an amount.
    Comparator,
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
    /// The resource names no encounter that is in the record.
    NoEncounter,
    /// The resource has no code of a code system that the record needs.
    NoCode,
    /// The laboratory's catalogue has no such test, and nothing can be defined from the resource.
    NoTest,
    /// The laboratory's order for the result was cancelled, or another result took its place.
    NotAwaited,
    /// The policy names no payer who is in the record.
    NoPayer,
    /// The request names no medication that is in the catalogue.
    NoMedication,
    /// No insurance policy of the patient pays on the first day of the services.
    NoPolicy,
    /// It is not said what is charged for each item.
    NoAmount,
    /// The amounts contradict each other.
    OutOfBalance,
    /// The amounts are in another currency than that of the hospital.
    OtherCurrency,
    /// A row that belongs to the claim cannot be read, so its amounts are not known.
    BadTransaction,
    /// The claim is for an encounter that is not in the files.
    NoVisit,
    /// What a payer answered to is no claim of the record.
    NoClaim,
    /// The id of the resource belongs to a record of another kind.
    IdTaken,
    /// A rule of the record refused the resource, with the code of the refusal.
    Refused(&'static str),
}

impl Reason {
    /// Whether somebody must look at the resource itself: it breaks the form of FHIR or a rule of the record, it
    /// contradicts itself or others, it lacks what it must say, or it says something that is not understood. Other
    /// resources say properly what the record has no place for, or lead to something that is not there, so that the
    /// fault is elsewhere.
    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::Malformed
            | Self::OtherVersion(_)
            | Self::NotUnderstood
            | Self::Contradiction
            | Self::OtherRecord
            | Self::UnknownStatus
            | Self::NoValue
            | Self::UnknownUnit
            | Self::Impossible
            | Self::NoName
            | Self::NoTime
            | Self::InTheFuture
            | Self::EndsBeforeItStarts
            | Self::NoCode
            | Self::NoAmount
            | Self::OutOfBalance
            | Self::OtherCurrency
            | Self::BadTransaction
            | Self::IdTaken
            | Self::Refused(_) => true,
            Self::NotPartOfTheRecord
            | Self::BadRow
            | Self::NeverReceived
            | Self::NoInsurance
            | Self::Questionnaire
            | Self::Statistic
            | Self::HomeAddress
            | Self::DeathCertificate
            | Self::NoResource
            | Self::Deletion
            | Self::LeadsToPractitioner
            | Self::Animal
            | Self::SamePerson
            | Self::Replaced
            | Self::AsksNotToDo
            | Self::OnHold
            | Self::NoKnownAllergy
            | Self::NothingKnown
            | Self::OtherFocus
            | Self::Comparator
            | Self::EnteredInError
            | Self::HasNotHappened
            | Self::Derived
            | Self::UnknownMeasurement
            | Self::MeasuredTwice
            | Self::RecordedWithout
            | Self::NoPatient
            | Self::NoEncounter
            | Self::NoTest
            | Self::NotAwaited
            | Self::NoPayer
            | Self::NoMedication
            | Self::NoPolicy
            | Self::NoVisit
            | Self::NoClaim => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPartOfTheRecord => "not part of the record yet",
            Self::Malformed => "not in the form of FHIR R4",
            Self::OtherVersion(version) => return write!(f, "in the form of {version}; export it as FHIR R4"),
            Self::BadRow => "a row that cannot be read; see the lines named below",
            Self::NeverReceived => "stock that was used, but never received",
            Self::NoInsurance => "a time without insurance",
            Self::Questionnaire => "an answer to a questionnaire, which is not part of the record",
            Self::Statistic => "a number that a simulation computed",
            Self::HomeAddress => "a home address",
            Self::DeathCertificate => "a certificate of death; the death itself is part of the record",
            Self::NotUnderstood => "has a modifier extension or implicit rules, which may change its meaning",
            Self::Contradiction => {
                "contradicts another resource with the same id; import the files of one server at a time with --server"
            }
            Self::OtherRecord => {
                "its id belongs to a record of somebody or something else; name the server of the files with --server"
            }
            Self::NoResource => "an entry of a bundle without a resource",
            Self::Deletion => "asks for a deletion, which an import never does",
            Self::LeadsToPractitioner => "only leads to the practitioner",
            Self::Animal => "is an animal",
            Self::SamePerson => "is a patient who has a record already, to which everything else of the patient goes",
            Self::Replaced => "was replaced by another record",
            Self::AsksNotToDo => "asks that something is not done",
            Self::OnHold => "is on hold",
            Self::UnknownStatus => "its status is not known",
            Self::NoKnownAllergy => "says that an allergy is absent or not known",
            Self::NothingKnown => "says that there is nothing to record, or that nothing is known",
            Self::OtherFocus => "was observed of somebody or something else than the patient",
            Self::Comparator => "gives a bound and not an amount",
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
            Self::NoEncounter => "names no encounter that is in the record",
            Self::NoCode => "has no code of the code system that the record needs",
            Self::NoTest => "names a laboratory test that is not in the catalogue and cannot be defined",
            Self::NotAwaited => "the record's laboratory order no longer waits for this result",
            Self::NoPayer => "names no payer who is in the record",
            Self::NoMedication => "names no medication",
            Self::NoPolicy => "no insurance policy of the patient pays on the first day of the services",
            Self::NoAmount => "does not say what is charged for each item",
            Self::OutOfBalance => "its amounts contradict each other",
            Self::OtherCurrency => "in another currency than that of the hospital",
            Self::BadTransaction => "one of its transactions cannot be read; see the lines named below",
            Self::NoVisit => "names no encounter of the files",
            Self::NoClaim => "answers to no claim that is in the record",
            Self::IdTaken => "its id belongs to a record of another kind",
            Self::Refused(code) => return write!(f, "refused by a rule of the record: {code}"),
        })
    }
}
