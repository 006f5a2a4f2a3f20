//! Vital signs: recording vital signs, and marking wrong records as entered in error.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::Reason;
use hims_domain::vital_signs::{Event, Measurements, Recorded, Status, TemperatureUnit, VitalSigns};
use hims_domain::wall_clock::latest_day;
use hims_domain::{ConsultationId, Invalid, PatientId, Personal, Pointer, UserId, VitalSignsId, described};
use rust_decimal::{Decimal, RoundingStrategy, dec};

use crate::consultation::check_occasion;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::user::{acting, reads_named};
use crate::{Claims, Command, Context, Decision, Found, Patch, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RecordVitalSigns>().add::<MarkVitalSignsEnteredInError>();
}

refusals! {
    Empty = Rule, "nothing-measured", "give at least one measurement";
    OtherPatient = Rule, "other-patient", "the correction belongs to another patient";
    InTheFuture = Rule, "in-the-future", "the time of measurement lies in the future";
    BeforeBirth = Rule, "before-birth", "the time of measurement lies before the patient's birth; correct the time";
    CorrectsItself = Rule, "corrects-itself", "vital signs cannot be corrected by themselves; name another record";
    NothingCorrected = Rule, "nothing-corrected", "the correction changes no value; give the right values or leave it out";
    TwoCorrections = Rule, "two-corrections", "give a correction or name a correcting record, not both";
}

described! {
    /// Records vital signs. Values beyond clinical limits, a diastolic pressure that is not below the systolic
    /// pressure, and a time more than 30 days ago need `confirm_extreme`; values beyond what is physically possible are
    /// refused.
    pub struct RecordVitalSigns {
        /// The id of the new vital signs; issued by the server if left out.
        pub id: Option<VitalSignsId>,
        /// The patient who was measured.
        pub patient_id: PatientId,
        /// The consultation during which the vital signs were taken.
        pub consultation_id: Option<ConsultationId>,
        /// The user who took the vital signs; the caller if left out.
        pub recorded_by: Option<UserId>,
        /// When the vital signs were taken; now if left out.
        pub recorded_at: Option<DateTime<Utc>>,
        /// The measured values.
        #[serde(flatten)]
        pub measurements: Measurements,
        /// Confirms that the values named in the refusal `extreme-value` were checked and are right.
        #[serde(default)]
        pub confirm_extreme: bool,
    }

    /// Marks vital signs as entered in error, and records the right values if they are known.
    pub struct MarkVitalSignsEnteredInError {
        /// Which vital signs.
        pub vital_signs_id: VitalSignsId,
        /// Why the vital signs are wrong.
        pub reason: Personal<Reason>,
        /// The vital signs that were recorded in place of the wrong ones already.
        pub corrected_by: Option<VitalSignsId>,
        /// The right values, to be recorded in place of the wrong ones. A value that is left out stays as it was, null
        /// leaves out a value that was not measured.
        pub correction: Option<Patch<Measurements>>,
        /// Confirms that the values named in the refusal `extreme-value` were checked and are right.
        #[serde(default)]
        pub confirm_extreme: bool,
    }
}

/// A measured value with its physical and clinical limits.
struct Range {
    field: &'static str,
    unit: &'static str,
    value: Option<Decimal>,
    /// The physical limits: a value beyond them is refused as a mistake.
    physical: (Decimal, Decimal),
    /// The clinical limits: a value beyond them must be confirmed.
    clinical: (Decimal, Decimal),
}

impl Range {
    /// Says which values are wanted.
    fn wanted(&self, (low, high): (Decimal, Decimal)) -> String {
        format!("give {low} to {high} {}", self.unit)
    }
}

fn ranges(it: &Measurements) -> [Range; 10] {
    let range = |field, unit, value, physical, clinical| Range { field, unit, value, physical, clinical };
    let temperature = match it.temperature_unit {
        Some(TemperatureUnit::Celsius) => {
            range("temperature", "C", it.temperature, (dec!(10), dec!(50)), (dec!(26.7), dec!(46.1)))
        }
        Some(TemperatureUnit::Fahrenheit) | None => {
            range("temperature", "F", it.temperature, (dec!(50), dec!(122)), (dec!(80), dec!(115)))
        }
    };
    [
        range(
            "blood_pressure_systolic",
            "mmHg",
            it.blood_pressure_systolic,
            (dec!(0), dec!(400)),
            (dec!(50), dec!(300)),
        ),
        range(
            "blood_pressure_diastolic",
            "mmHg",
            it.blood_pressure_diastolic,
            (dec!(0), dec!(300)),
            (dec!(30), dec!(200)),
        ),
        range("heart_rate", "per minute", it.heart_rate, (dec!(0), dec!(500)), (dec!(30), dec!(250))),
        range("respiratory_rate", "per minute", it.respiratory_rate, (dec!(0), dec!(200)), (dec!(4), dec!(60))),
        temperature,
        range("oxygen_saturation", "percent", it.oxygen_saturation, (dec!(0), dec!(100)), (dec!(50), dec!(100))),
        range("oxygen_flow_rate", "litres per minute", it.oxygen_flow_rate, (dec!(0), dec!(99.9)), (dec!(0), dec!(80))),
        range("weight_kg", "kg", it.weight_kg, (dec!(0.1), dec!(999.99)), (dec!(0.4), dec!(400))),
        range("height_cm", "cm", it.height_cm, (dec!(10), dec!(300)), (dec!(20), dec!(250))),
        range("pain_scale", "of 10", it.pain_scale, (dec!(0), dec!(10)), (dec!(0), dec!(10))),
    ]
}

/// The largest body mass index that can be stored.
const BMI: Decimal = dec!(999.9);

/// Rounds measurements to the decimals that the table stores, half to even.
fn rounded(it: Measurements) -> Measurements {
    let to =
        |decimals| move |value: Decimal| value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven);
    Measurements {
        blood_pressure_systolic: it.blood_pressure_systolic.map(to(0)),
        blood_pressure_diastolic: it.blood_pressure_diastolic.map(to(0)),
        heart_rate: it.heart_rate.map(to(0)),
        respiratory_rate: it.respiratory_rate.map(to(0)),
        temperature: it.temperature.map(to(1)),
        oxygen_saturation: it.oxygen_saturation.map(to(0)),
        oxygen_flow_rate: it.oxygen_flow_rate.map(to(1)),
        weight_kg: it.weight_kg.map(to(2)),
        height_cm: it.height_cm.map(to(2)),
        pain_scale: it.pain_scale.map(to(0)),
        ..it
    }
}

fn beyond(value: Decimal, (low, high): (Decimal, Decimal)) -> bool {
    value < low || value > high
}

/// Whether each measurement lies within its physical limits.
pub fn is_possible(measurements: &Measurements) -> bool {
    let kept = rounded(measurements.clone());
    ranges(&kept).iter().all(|range| range.value.is_none_or(|value| !beyond(value, range.physical)))
}

/// Rounds measurements and checks that at least one was taken and that all are physically possible. `at` is their place
/// in the request.
fn possible(measurements: Measurements, at: &Pointer<'_>) -> Result<Measurements, Refused> {
    let measurements = rounded(measurements);
    let ranges = ranges(&measurements);
    if ranges.iter().all(|it| it.value.is_none()) {
        return refuse(Refusal::Empty);
    }
    let mut impossible: Vec<Invalid> = ranges
        .iter()
        .filter(|range| range.value.is_some_and(|value| beyond(value, range.physical)))
        .map(|range| Pointer::Field(at, range.field).invalid(range.wanted(range.physical)))
        .collect();
    if impossible.is_empty() && measurements.bmi().is_some_and(|it| it > BMI) {
        let message = "give a height that fits the weight: the body mass index exceeds 999.9";
        impossible.push(Pointer::Field(at, "height_cm").invalid(message));
    }
    if measurements.oxygen_flow_rate.is_some_and(|it| it > Decimal::ZERO) && !measurements.oxygen_supplement {
        let message = "give true, since an oxygen flow is given, or leave the flow out";
        impossible.push(Pointer::Field(at, "oxygen_supplement").invalid(message));
    }
    if impossible.is_empty() {
        Ok(measurements)
    } else {
        Err(Refused { code: "out-of-range", ..Refused::invalid(impossible) })
    }
}

/// A value that is possible but unlikely, so that somebody must confirm it.
struct Extreme {
    field: &'static str,
    message: String,
}

/// The measurements beyond clinical limits, and a diastolic pressure that is not below the systolic pressure.
fn extremes(measurements: &Measurements) -> Vec<Extreme> {
    let mut extremes: Vec<Extreme> = ranges(measurements)
        .iter()
        .filter(|range| range.value.is_some_and(|value| beyond(value, range.clinical)))
        .map(|range| Extreme { field: range.field, message: range.wanted(range.clinical) })
        .collect();
    let (systolic, diastolic) = (measurements.blood_pressure_systolic, measurements.blood_pressure_diastolic);
    let is_swapped = systolic.zip(diastolic).is_some_and(|(systolic, diastolic)| diastolic >= systolic);
    let field = "blood_pressure_diastolic";
    if is_swapped && extremes.iter().all(|it| it.field != field) {
        let message = "give a diastolic pressure below the systolic one; the two may have been exchanged".to_owned();
        extremes.push(Extreme { field, message });
    }
    extremes
}

/// Refuses extreme values unless they are confirmed. Returns their names. `at` is their place in the request.
fn confirm(extremes: Vec<Extreme>, confirmed: bool, at: &Pointer<'_>) -> Result<Vec<String>, Refused> {
    if extremes.is_empty() || confirmed {
        return Ok(extremes.into_iter().map(|it| it.field.to_owned()).collect());
    }
    let detail = "some values are unlikely; check them, and repeat with confirm_extreme if they are right";
    let errors = extremes.into_iter().map(|it| Pointer::Field(at, it.field).invalid(it.message)).collect();
    Err(Refused { code: "extreme-value", detail: detail.to_owned(), ..Refused::invalid(errors) })
}

/// How long ago vital signs were taken at most without being asked back.
const LONG_AGO: TimeDelta = TimeDelta::days(30);

/// Checks the time of measurement. A time long ago is answered as an extreme value.
fn check_time(at: DateTime<Utc>, patient: &Patient, now: DateTime<Utc>) -> Result<Option<Extreme>, Refused> {
    if at > now {
        return refuse(Refusal::InTheFuture);
    }
    // Where the patient was born it may have been the next day already.
    if patient.demographics.days_of_birth().is_some_and(|days| latest_day(at) < *days.start()) {
        return refuse(Refusal::BeforeBirth);
    }
    let long_ago = || Extreme { field: "recorded_at", message: "give a time of the last 30 days".to_owned() };
    Ok((now - at > LONG_AGO).then(long_ago))
}

impl Claims for VitalSigns {}

impl Command for RecordVitalSigns {
    const NAME: &'static str = "record-vital-signs";
    const PERMISSION: Permission = Permission::Create(Create::VitalSigns);
    const REVERSED_BY: Option<&'static str> = Some(MarkVitalSignsEnteredInError::NAME);
    type Aggregate = VitalSigns;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&VitalSigns>, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<Patient>(self.patient_id).maybe::<Consultation>(self.consultation_id);
        reads_named(reads, self.recorded_by, found)
    }

    fn decide(self, _: Option<&VitalSigns>, ctx: &Context<'_>) -> Result<Decision<VitalSigns>, Refused> {
        let measurements = possible(self.measurements, &Pointer::Root)?;
        let patient = ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        let recorded_by = acting(ctx, self.recorded_by, "/recorded_by", self.patient_id, Self::PERMISSION)?;
        if let Some(id) = self.consultation_id {
            check_occasion(ctx, id, self.patient_id)?;
        }
        let recorded_at = self.recorded_at.unwrap_or(ctx.now);
        let mut extremes = extremes(&measurements);
        extremes.extend(check_time(recorded_at, patient, ctx.now)?);
        let extreme = confirm(extremes, self.confirm_extreme, &Pointer::Root)?;
        Ok(Decision::event(Event::Recorded(Recorded {
            patient_id: self.patient_id,
            consultation_id: self.consultation_id,
            recorded_by,
            recorded_at,
            measurements,
            extreme,
            corrects: None,
        })))
    }
}

impl Command for MarkVitalSignsEnteredInError {
    const NAME: &'static str = "mark-vital-signs-entered-in-error";
    const PERMISSION: Permission = Permission::Update(Update::VitalSigns);
    type Aggregate = VitalSigns;

    fn target(&self) -> Target {
        Target::existing(self.vital_signs_id)
    }

    fn reads(&self, _: Option<&VitalSigns>, _: &Found) -> Reads {
        Reads::nothing().maybe::<VitalSigns>(self.corrected_by)
    }

    fn decide(self, state: Option<&VitalSigns>, ctx: &Context<'_>) -> Result<Decision<VitalSigns>, Refused> {
        let wrong = existing(state)?;
        if wrong.status == Status::EnteredInError {
            return Ok(Decision::nothing());
        }
        if self.corrected_by == Some(self.vital_signs_id) {
            return refuse(Refusal::CorrectsItself);
        }
        if let Some(id) = self.corrected_by
            && ctx.named::<VitalSigns>(id, "/corrected_by")?.patient_id != wrong.patient_id
        {
            return refuse(Refusal::OtherPatient);
        }
        if self.corrected_by.is_some() && self.correction.is_some() {
            return refuse(Refusal::TwoCorrections);
        }
        let Some(correction) = self.correction else {
            let corrected_by = self.corrected_by;
            return Ok(Decision::event(Event::MarkedEnteredInError { reason: self.reason, corrected_by }));
        };
        let at = Pointer::Field(&Pointer::Root, "correction");
        let measurements = possible(correction.apply_at(&wrong.measurements, &at)?, &at)?;
        if measurements == wrong.measurements {
            return refuse(Refusal::NothingCorrected);
        }
        let extreme = confirm(extremes(&measurements), self.confirm_extreme, &at)?;
        let id: VitalSignsId = ctx.new_id(1).into();
        let right = Recorded {
            patient_id: wrong.patient_id,
            consultation_id: wrong.consultation_id,
            recorded_by: acting(ctx, None, "/recorded_by", wrong.patient_id, Self::PERMISSION)?,
            recorded_at: wrong.recorded_at,
            measurements,
            extreme,
            corrects: Some(self.vital_signs_id),
        };
        Ok(Decision::event(Event::MarkedEnteredInError { reason: self.reason, corrected_by: Some(id) })
            .begin::<VitalSigns>(id, Event::Recorded(right)))
    }
}

#[cfg(test)]
mod tests;
