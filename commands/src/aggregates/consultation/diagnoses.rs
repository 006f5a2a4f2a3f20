//! The diagnoses of a consultation: recording and changing diagnoses.

use std::collections::BTreeMap;

use hims_domain::consultation::{
    AmendedDiagnosis, ClinicalStatus, Consultation, Diagnosis, DiagnosisChanged, DiagnosisRecorded, DiagnosisType,
    Event, Rank, RankedDiagnosis, Status, VerificationStatus,
};
use hims_domain::permission::{Create, Update};
use hims_domain::values::Reason;
use hims_domain::{ConsultationId, DiagnosisId, Personal, UserId, described};

use super::{Refusal, not_cancelled, unsigned};
use crate::machinery::coding::read_at;
use crate::machinery::command::existing;
use crate::user::{acting, reads_named};
use crate::{Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Target, refuse};

/// The largest number of diagnoses of a consultation.
const DIAGNOSES: usize = 100;

described! {
    /// Records a diagnosis.
    pub struct RecordDiagnosis {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// The id of the new diagnosis; issued by the server if left out.
        pub diagnosis_id: Option<DiagnosisId>,
        /// The diagnosis.
        #[serde(flatten)]
        pub diagnosis: Diagnosis,
        /// The rank among the diagnoses of the same type, from 1; the next if left out. A diagnosis that has the rank
        /// moves down.
        pub rank: Option<i32>,
        /// The user who made the diagnosis; the caller if left out.
        pub diagnosed_by: Option<UserId>,
    }

    /// Changes a diagnosis. Once the consultation is completed, everything but `clinical_status` and `abatement_date`
    /// is an amendment, which needs a reason and ends the signature.
    pub struct ChangeDiagnosis {
        /// Which consultation.
        pub consultation_id: ConsultationId,
        /// Which diagnosis.
        pub diagnosis_id: DiagnosisId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Diagnosis>,
        /// The new rank among the diagnoses of the same type. A diagnosis that has the rank moves down.
        pub rank: Option<i32>,
        /// Why the diagnosis is changed.
        pub reason: Option<Personal<Reason>>,
    }
}

type Diagnoses = BTreeMap<DiagnosisId, RankedDiagnosis>;

/// The rank of a diagnosis, and the diagnoses that move down to make room for it.
struct Placed {
    rank: i32,
    moved: Vec<Rank>,
}

/// Finds the rank of a diagnosis among the others of its type.
fn place(
    diagnoses: &Diagnoses,
    id: DiagnosisId,
    of_type: DiagnosisType,
    wanted: Option<i32>,
) -> Result<Placed, Refused> {
    let others =
        diagnoses.iter().filter(|(other, it)| **other != id && it.counts() && it.diagnosis.diagnosis_type == of_type);
    let others: BTreeMap<i32, DiagnosisId> = others.map(|(other, it)| (it.rank, *other)).collect();
    let next = others.last_key_value().map_or(1, |(last, _)| last + 1);
    let rank = wanted.unwrap_or(next);
    if !(1..=next).contains(&rank) {
        return Err(Refused::field("out-of-range", "/rank", format!("give a rank from 1 to {next}")));
    }
    // Only those without a gap between them and the new rank have to move.
    let ranks = (rank..).map_while(|taken| others.get(&taken).map(|other| (*other, taken + 1)));
    Ok(Placed { rank, moved: ranks.map(|(diagnosis_id, rank)| Rank { diagnosis_id, rank }).collect() })
}

/// Writes the code of a diagnosis as its code system does, gives the diagnosis a clinical status unless it was entered
/// in error, and checks that what is said fits together (FHIR R4 `Condition`, con-4 and con-5).
fn checked(mut diagnosis: Diagnosis, ctx: &Context<'_>) -> Result<Diagnosis, Refused> {
    use ClinicalStatus::{Active, Inactive, Remission, Resolved};
    diagnosis.code = read_at(diagnosis.code_system.as_str(), &diagnosis.code, "/code")?;
    let is_error = diagnosis.verification_status == VerificationStatus::EnteredInError;
    if !is_error {
        diagnosis.clinical_status.get_or_insert(Active);
    }
    let inconsistent = |field, message: &str| Err(Refused::field("inconsistent-status", field, message));
    if is_error && diagnosis.clinical_status.is_some() {
        return inconsistent("/clinical_status", "leave it out: what was entered in error has no clinical status");
    }
    let is_over = matches!(diagnosis.clinical_status, Some(Inactive | Remission | Resolved));
    if diagnosis.abatement_date.is_some() && !is_over && !is_error {
        let message = "give inactive, remission or resolved, since the condition ended";
        return inconsistent("/clinical_status", message);
    }
    let day = |value: &Option<Personal<_>>| value.as_ref().and_then(Personal::known).copied();
    let (onset, abatement) = (day(&diagnosis.onset_date), day(&diagnosis.abatement_date));
    for (field, day) in [("/onset_date", onset), ("/abatement_date", abatement)] {
        if day.is_some_and(|day| day > ctx.today()) {
            return Err(Refused::field("in-the-future", field, "give a day that is not in the future"));
        }
    }
    if onset.zip(abatement).is_some_and(|(onset, abatement)| abatement < onset) {
        let message = "give a day that does not lie before the onset";
        return Err(Refused::field("ends-before-it-starts", "/abatement_date", message));
    }
    Ok(diagnosis)
}

/// Refuses a diagnosis that the consultation has already. One that was refuted or entered in error does not count.
fn check_is_new(diagnoses: &Diagnoses, id: DiagnosisId, new: &Diagnosis) -> Result<(), Refused> {
    let counts = |it: &RankedDiagnosis| it.counts() && it.diagnosis.verification_status != VerificationStatus::Refuted;
    let is_same = |it: &Diagnosis| {
        it.code_system == new.code_system && it.code == new.code && it.diagnosis_type == new.diagnosis_type
    };
    let same = diagnoses.iter().filter(|(other, it)| **other != id && counts(it) && is_same(&it.diagnosis));
    let candidates: Vec<_> = same.map(|(other, _)| other.0).collect();
    let is_new = RankedDiagnosis { diagnosis: new.clone(), rank: 0 };
    if candidates.is_empty() || !counts(&is_new) {
        return Ok(());
    }
    Err(Refused { candidates, ..Refusal::DuplicateDiagnosis.into() })
}

/// Whether two diagnoses differ in nothing but how the condition is at present.
fn differ_in_course_only(before: &Diagnosis, after: &Diagnosis) -> bool {
    let (clinical_status, abatement_date) = (before.clinical_status, before.abatement_date.clone());
    Diagnosis { clinical_status, abatement_date, ..after.clone() } == *before
}

impl Command for RecordDiagnosis {
    const NAME: &'static str = "record-diagnosis";
    const PERMISSION: Permission = Permission::Create(Create::Diagnoses);
    const REVERSED_BY: Option<&'static str> = Some(ChangeDiagnosis::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn reads(&self, _: Option<&Consultation>, found: &Found) -> Reads {
        reads_named(Reads::nothing(), self.diagnosed_by, found)
    }

    fn follows_on(state: &Consultation) -> bool {
        unsigned(Some(state)).is_ok()
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = unsigned(state)?;
        let patient_id = consultation.patient_id;
        let diagnosed_by = acting(ctx, self.diagnosed_by, "/diagnosed_by", patient_id, Self::PERMISSION)?;
        let known = &consultation.diagnoses;
        let diagnosis_id = ctx.part_id(self.diagnosis_id, |id| known.contains_key(&id))?;
        if known.len() >= DIAGNOSES {
            return refuse(Refusal::TooManyDiagnoses);
        }
        let diagnosis = checked(self.diagnosis, ctx)?;
        if diagnosis.verification_status == VerificationStatus::EnteredInError {
            let message = "leave the diagnosis out: it is not in the record";
            return Err(Refused::field("inconsistent-status", "/verification_status", message));
        }
        check_is_new(known, diagnosis_id, &diagnosis)?;
        let Placed { rank, moved } = place(known, diagnosis_id, diagnosis.diagnosis_type, self.rank)?;
        Ok(Decision::event(Event::DiagnosisRecorded(Box::new(DiagnosisRecorded {
            diagnosis_id,
            patient_id,
            diagnosed_by,
            diagnosed_at: ctx.now,
            diagnosis,
            rank,
            moved,
        }))))
    }
}

impl Command for ChangeDiagnosis {
    const NAME: &'static str = "change-diagnosis";
    const PERMISSION: Permission = Permission::Update(Update::TreatmentPlans);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn follows_on(state: &Consultation) -> bool {
        !state.diagnoses.is_empty()
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let consultation = existing(state)?;
        let known = &consultation.diagnoses;
        let Some(before) = known.get(&self.diagnosis_id) else { return refuse(Refusal::NoSuchDiagnosis) };
        let says_status = self.changes.mentions("clinical_status");
        let mut changed = self.changes.apply(&before.diagnosis)?;
        if changed.verification_status == VerificationStatus::EnteredInError && !says_status {
            changed.clinical_status = None;
        }
        let diagnosis = checked(changed, ctx)?;
        // A consultation that was broken off gets nothing new, but what is wrong in it can still be marked.
        if diagnosis.verification_status != VerificationStatus::EnteredInError {
            not_cancelled(consultation)?;
        }
        let rank = self.rank.filter(|rank| *rank != before.rank);
        if diagnosis == before.diagnosis && rank.is_none() {
            return Ok(Decision::nothing());
        }
        if !before.counts() {
            return refuse(Refusal::DiagnosisInError);
        }
        check_is_new(known, self.diagnosis_id, &diagnosis)?;
        let is_same_type = diagnosis.diagnosis_type == before.diagnosis.diagnosis_type;
        let Placed { rank, moved } = if rank.is_none() && is_same_type {
            Placed { rank: before.rank, moved: Vec::new() }
        } else {
            place(known, self.diagnosis_id, diagnosis.diagnosis_type, self.rank)?
        };
        let is_free = rank == before.rank && differ_in_course_only(&before.diagnosis, &diagnosis);
        let is_amendment = consultation.status == Status::Completed && !is_free;
        if is_amendment && self.reason.is_none() {
            return Err(Refused::field("reason-required", "/reason", "say why the diagnosis is amended"));
        }
        let amends = is_amendment.then(|| AmendedDiagnosis {
            patient_id: consultation.patient_id,
            number: consultation.amendments + 1,
            before: before.clone(),
        });
        Ok(Decision::event(Event::DiagnosisChanged(Box::new(DiagnosisChanged {
            diagnosis_id: self.diagnosis_id,
            diagnosis,
            rank,
            moved,
            reason: self.reason,
            amends,
        }))))
    }
}
