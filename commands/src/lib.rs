//! The commands of a hospital, who may give them, and which events follow from them.
//!
//! A command is a struct, which is also the request body, with a pure [`Command::decide`]. [`Executor::execute`] does
//! the rest: it authorises the caller, loads the stream, decides, appends the events, and decides again when another
//! append to the same streams came first.

mod access;
mod aggregates;
mod machinery;
mod processes;

#[cfg(test)]
mod testing;

pub use access::{
    Allowances, AskForChallenge, AskForReset, AskForTicket, Caller, Challenge, ChosenPassword, ClientCredentials,
    ClientSecret, Credential, Credentials, Duty, Enrolled, Enrolment, FirstCode, Identified, LoggedIn, Login,
    LoginFailure, NewPasskey, NewPassword, NewSecret, OneTimeCode, OpenIdAttempt, PasskeyLogin, Passkeys, Password,
    Permission, Proof, SecondFactors, ServiceToken, SessionLimits, Share, SignedLogin, SignedProof, Ticket,
    TicketStream, Vouched, role_id, system_roles, token_hash,
};
pub use aggregates::{
    amendment_request, appointment, appointment_note, appointment_series, billing_record, care_team_assignment,
    consultation, department, disclosure, emergency_access, insurance_claim, insurance_policy, interaction_profile,
    inventory_item, inventory_level, lab_order, lab_result, lab_test, medical_history, medication, medication_list,
    medication_lot, notification, notification_preferences, password_reset, patient, payer, prescription, price,
    provider_schedule, report, report_execution, report_schedule, role, room, session, supplier, treatment, user,
    vital_signs, waitlist_entry,
};
pub use machinery::{
    Cause, Claims, Command, Context, DailyWork, Day, Decision, Entry, EventRef, Executor, Failure, Found, Happened,
    Held, Kind, LONGEST_LIST, Loaded, Malformed, Mistake, Outcome, Part, Passwords, Patch, PhoneRegion, Process,
    Processes, Reaction, Reads, Refused, Registry, Request, Sight, Surroundings, Tables, Target, begun, claims_of,
    fold_of, json_schema, json_schema_with, note_of_restore, one_of, read, read_phone, refuse, scopes, upcasters,
};
pub use processes::{
    CriticalEscalation, Message, Messenger, NotMade, ProcessSettings, ReportFile, ReportMaker, ReportWanted, ResetMail,
    Undelivered, start_processes,
};
