//! What belongs to no record of the hospital: what was read and by whom, refused commands and reads, failed logins, and
//! work of operators on what lies beside the log. Each has a stream of its own, so that the audit shows it beside
//! successful commands. What repeats a refused attempt within a minute is recorded as one event.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, EmergencyAccessId, PatientId, Personal, Subject, UserId, terms};

terms! {
    /// For what somebody reads or records (codes of the HL7 value set `PurposeOfUse`).
    pub enum PurposeOfUse {
        Treatment = "TREAT",
        EmergencyTreatment = "ETREAT",
        BreakTheGlass = "BTG",
        Payment = "HPAYMT",
        Operations = "HOPERAT",
        SystemAdministration = "HSYSADMIN",
        Legal = "HLEGAL",
        PatientRequest = "PATRQT",
        FamilyRequest = "FAMRQT",
        PublicHealth = "PUBHLTH",
        Research = "HRESCH",
    }
}

/// Something was read, a read or a command was refused, or an operator worked on what lies beside the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// Who read something; `None` if nothing was read.
    pub reader: Option<UserId>,
    /// Whether reads are recorded, as far as the stream says.
    pub records_reads: Option<bool>,
}

/// What was asked of the read tables, of the log or of a stream, and whom the answer showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Who asked.
    pub user_id: UserId,
    /// What was asked: the name of a table, or `events`, `streams`, `reports` or `notifications`.
    pub source: String,
    /// The record that was asked for; `None` for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<Uuid>,
    /// The parameters that say nothing about a person, such as `status`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The parameters whose values may identify a person, such as a name that was searched for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub personal_parameters: BTreeMap<String, Personal<String>>,
    /// The patients whom the answer showed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub patients: BTreeSet<PatientId>,
    /// The accesses in an emergency that the reader had to records of these patients.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub emergency_access_ids: BTreeSet<EmergencyAccessId>,
    /// How many rows, or events, the answer showed.
    pub rows: u32,
}

/// What was read, what was attempted and refused, or what an operator did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something was read. The event was recorded before the answer left.
    Read(Read),
    /// A read was refused, since the roles of the caller do not allow it.
    ReadRefused {
        /// What was asked, as in [`Read::source`].
        source: String,
        /// The stable code of the refusal.
        code: String,
    },
    /// From now on reads are recorded, or not recorded any more.
    ReadRecordingChanged {
        /// Whether reads are recorded.
        is_on: bool,
    },
    /// A command was refused because of a rule, a missing permission or the claim of another stream.
    CommandRefused {
        /// The name of the command.
        command: String,
        /// The stable code of the refusal.
        code: String,
        /// The stream type that the command was for.
        stream_type: String,
        /// The stream that the command was for.
        stream_id: Uuid,
    },
    /// Somebody failed to prove who they are: a password, a code or a secret was wrong, the e-mail address is unknown or
    /// the user is inactive.
    LoginFailed {
        /// The name of the command, such as `start-session` for a login.
        command: String,
        /// The user who has the e-mail address; `None` when no user has the address.
        user_id: Option<UserId>,
        /// The stable code of the failure.
        code: String,
    },
    /// Refused attempts could not be recorded one by one, since too many of them waited for the log.
    RefusalsLost {
        /// How many attempts were refused without a record of their own.
        count: u32,
    },
    /// The same attempt was refused again, several times within a minute.
    Repeated {
        /// The name of the command; `start-session` for a login, `read` for a read.
        command: String,
        /// The stable code of the refusal.
        code: String,
        /// The stream type that the command was for.
        stream_type: String,
        /// The stream that the command was for.
        stream_id: Uuid,
        /// How often the attempt was repeated after the one that was recorded by itself.
        count: u32,
    },
    /// An operator had the claims (unique keys, bookings) rebuilt from the log.
    ClaimsRebuilt,
}

impl Aggregate for Access {
    const STREAM: &'static str = "access";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let before = state.unwrap_or(Self { reader: None, records_reads: None });
        match event {
            Event::Read(read) => Some(Self { reader: Some(read.user_id), ..before }),
            Event::ReadRecordingChanged { is_on } => Some(Self { records_reads: Some(*is_on), ..before }),
            Event::ReadRefused { .. }
            | Event::CommandRefused { .. }
            | Event::LoginFailed { .. }
            | Event::Repeated { .. }
            | Event::RefusalsLost { .. }
            | Event::ClaimsRebuilt => Some(before),
        }
    }

    /// What somebody searched for is sealed with the key of whoever searched.
    fn subject(&self, _: Uuid) -> Option<Subject> {
        self.reader.map(|reader| Subject::User(reader.0))
    }
}
