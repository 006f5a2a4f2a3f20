use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::Personal;
use hims_domain::insurance_policy::{Coverage, Event, Status};
use hims_domain::values::{Money, Percent};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per insurance policy of a patient.
    PolicyRow in "insurance_policies",
    readers [Billing, OwnRecords],
    stamped,
    indexes [(patient_id, priority, effective_from)] {
        /// The policy.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The payer.
        payer_id: Uuid [indexed],
        /// The place of the policy among those of the patient, from 1 to 9: the policy with 1 pays first.
        priority: i32,
        /// The name of the plan.
        plan_name: Option<String>,
        /// The type of the plan, such as `PPO`.
        plan_type: Option<String>,
        /// The number under which the payer knows the member.
        member_id: Option<String> [personal],
        /// The number of the group to which the policy belongs.
        group_number: Option<String> [personal],
        /// The relationship of the patient to the subscriber, who holds the policy.
        relationship_to_subscriber: String,
        /// The name of the subscriber; null if the patient is the subscriber.
        subscriber_name: Option<String> [personal],
        /// The date of birth of the subscriber; null if the patient is the subscriber.
        subscriber_birth_date: Option<NaiveDate> [personal],
        /// The first day of the coverage.
        effective_from: NaiveDate,
        /// The last day of the coverage; null if the coverage is open-ended.
        effective_to: Option<NaiveDate>,
        /// The amount that the patient pays at each visit.
        copay_amount: Option<Decimal>,
        /// The amount that the patient pays in a year before the payer pays.
        deductible_amount: Option<Decimal>,
        /// The part of an amount that the patient pays, in percent.
        coinsurance_percent: Option<Decimal>,
        /// The status of the policy. Only an active policy pays, on the days of its coverage.
        status: String,
        /// The reason for cancelling the policy, or for marking it as entered in error.
        status_reason: Option<String> [personal],
        /// When the policy was verified; null while nobody has verified what the policy says now.
        verified_at: Option<DateTime<Utc>>,
        /// The user who verified the policy.
        verified_by: Option<Uuid> [indexed],
        /// How the policy was verified.
        verification_method: Option<String>,
        /// What the payer answered, such as the number of the call.
        verification_reference: Option<String>,
    }
}

/// Writes what the policy says into its row.
fn set_coverage(row: &mut PolicyRow, coverage: &Coverage) {
    row.payer_id = coverage.payer_id.into();
    row.priority = coverage.priority;
    row.plan_name = text(coverage.plan_name.as_ref());
    row.plan_type = text(coverage.plan_type.as_ref());
    row.member_id = known_text(coverage.member_id.as_ref());
    row.group_number = known_text(coverage.group_number.as_ref());
    coverage.relationship_to_subscriber.as_str().clone_into(&mut row.relationship_to_subscriber);
    row.subscriber_name = known_text(coverage.subscriber_name.as_ref());
    row.subscriber_birth_date = coverage.subscriber_birth_date.as_ref().and_then(Personal::known).copied();
    row.effective_from = coverage.effective_from;
    row.effective_to = coverage.effective_to;
    row.copay_amount = coverage.copay_amount.map(Money::number);
    row.deductible_amount = coverage.deductible_amount.map(Money::number);
    row.coinsurance_percent = coverage.coinsurance_percent.map(Percent::number);
}

/// Makes a policy a draft that nobody has verified.
fn unverify(row: &mut PolicyRow) {
    row.status = Status::Draft.to_string();
    row.verified_at = None;
    row.verified_by = None;
    row.verification_method = None;
    row.verification_reference = None;
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, PolicyRow>) {
    let (at, by) = (event.recorded_at, event.user_id());
    let mut end_as = |status: Status, reason: &'e Personal<_>| {
        rows.change(event, move |row| {
            row.status = status.to_string();
            row.status_reason = known_text(Some(reason));
        });
    };
    match event.data {
        Event::Added { patient_id, coverage } => {
            let mut row = PolicyRow {
                id: event.stream_id,
                patient_id: (*patient_id).into(),
                payer_id: coverage.payer_id.into(),
                priority: coverage.priority,
                plan_name: None,
                plan_type: None,
                member_id: None,
                group_number: None,
                relationship_to_subscriber: String::new(),
                subscriber_name: None,
                subscriber_birth_date: None,
                effective_from: coverage.effective_from,
                effective_to: None,
                copay_amount: None,
                deductible_amount: None,
                coinsurance_percent: None,
                status: Status::Draft.to_string(),
                status_reason: None,
                verified_at: None,
                verified_by: None,
                verification_method: None,
                verification_reference: None,
                stamps: event.stamps(),
            };
            set_coverage(&mut row, coverage);
            rows.insert(row);
        }
        Event::Changed { coverage, resets_verification } => rows.change(event, move |row| {
            set_coverage(row, coverage);
            if *resets_verification {
                unverify(row);
            }
        }),
        Event::Verified(verification) => rows.change(event, move |row| {
            row.status = Status::Active.to_string();
            row.verified_at = Some(at);
            row.verified_by = by;
            row.verification_method = Some(verification.method.to_string());
            row.verification_reference = text(verification.reference.as_ref());
        }),
        Event::Ended { effective_to } => rows.change(event, move |row| row.effective_to = Some(*effective_to)),
        Event::Cancelled { reason } => end_as(Status::Cancelled, reason),
        Event::MarkedEnteredInError { reason } => end_as(Status::EnteredInError, reason),
    }
}
