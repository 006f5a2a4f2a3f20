//! Vital signs: recording vital signs, and marking wrong records as entered in error.

use chrono::{DateTime, Utc};
use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::LongText;
use hims_domain::vital_signs::{Event, Measurements, Recorded, Status, TemperatureUnit, VitalSigns};
use hims_domain::{ConsultationId, Invalid, PatientId, Personal, UserId, VitalSignsId, described};
use rust_decimal::{Decimal, RoundingStrategy, dec};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::user::acting;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RecordVitalSigns>().add::<MarkVitalSignsEnteredInError>();
}

refusals! {
    Empty = Rule, "nothing-measured", "give at least one measurement";
    OtherPatient = Rule, "other-patient", "the consultation or the correction belongs to another patient";
    InTheFuture = Rule, "in-the-future", "the time of measurement lies in the future";
    CorrectsItself = Rule, "corrects-itself", "vital signs cannot be corrected by themselves; name another record";
    TwoCorrections = Rule, "two-corrections", "give a correction or name a correcting record, not both";
}

described! {
    /// Records vital signs. Values beyond clinical limits need `confirm_extreme`; values beyond what is physically
    /// possible are refused.
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
        /// Confirms that values beyond clinical limits were checked and are right.
        #[serde(default)]
        pub confirm_extreme: bool,
    }

    /// Marks vital signs as entered in error, and records the right values if they are known.
    pub struct MarkVitalSignsEnteredInError {
        /// Which vital signs.
        pub vital_signs_id: VitalSignsId,
        /// Why the vital signs are wrong.
        pub reason: Personal<LongText>,
        /// The vital signs that were recorded in place of the wrong ones already.
        pub corrected_by: Option<VitalSignsId>,
        /// The right values, to be recorded in place of the wrong ones.
        pub correction: Option<Measurements>,
        /// Confirms that values of the correction beyond clinical limits were checked and are right.
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

/// Checks measurements against their limits. Returns the rounded measurements and the names of the extreme fields.
fn accept(measurements: Measurements, confirmed: bool) -> Result<(Measurements, Vec<String>), Refused> {
    let measurements = rounded(measurements);
    let ranges = ranges(&measurements);
    if ranges.iter().all(|it| it.value.is_none()) {
        return refuse(Refusal::Empty);
    }
    let invalid = |range: &Range, (low, high): (Decimal, Decimal)| Invalid {
        pointer: format!("/{}", range.field),
        message: format!("give {low} to {high} {}", range.unit),
    };
    let mut impossible: Vec<Invalid> = ranges
        .iter()
        .filter(|range| range.value.is_some_and(|value| beyond(value, range.physical)))
        .map(|range| invalid(range, range.physical))
        .collect();
    if impossible.is_empty() && measurements.bmi().is_some_and(|it| it > BMI) {
        impossible.push(Invalid {
            pointer: "/height_cm".to_owned(),
            message: "give a height that fits the weight: the body mass index exceeds 999.9".to_owned(),
        });
    }
    if !impossible.is_empty() {
        return Err(Refused { code: "out-of-range", ..Refused::invalid(impossible) });
    }
    let extreme: Vec<&Range> =
        ranges.iter().filter(|range| range.value.is_some_and(|value| beyond(value, range.clinical))).collect();
    if !extreme.is_empty() && !confirmed {
        let detail =
            "some values are beyond clinical limits; check them, and repeat with confirm_extreme if they are right";
        let errors = extreme.iter().map(|range| invalid(range, range.clinical)).collect();
        return Err(Refused { code: "extreme-value", detail: detail.to_owned(), ..Refused::invalid(errors) });
    }
    let extreme = extreme.iter().map(|range| range.field.to_owned()).collect();
    Ok((measurements, extreme))
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

    fn reads(&self, _: Option<&VitalSigns>, _: &Found) -> Reads {
        Reads::nothing()
            .stream::<Patient>(self.patient_id)
            .maybe::<Consultation>(self.consultation_id)
            .maybe::<User>(self.recorded_by)
    }

    fn decide(self, _: Option<&VitalSigns>, ctx: &Context<'_>) -> Result<Decision<VitalSigns>, Refused> {
        let (measurements, extreme) = accept(self.measurements, self.confirm_extreme)?;
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        let recorded_by = acting(ctx, self.recorded_by, "/recorded_by")?;
        if let Some(id) = self.consultation_id
            && ctx.named::<Consultation>(id, "/consultation_id")?.patient_id != self.patient_id
        {
            return refuse(Refusal::OtherPatient);
        }
        let recorded_at = self.recorded_at.unwrap_or(ctx.now);
        if recorded_at > ctx.now {
            return refuse(Refusal::InTheFuture);
        }
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
        let (measurements, extreme) = accept(correction, self.confirm_extreme)?;
        let id: VitalSignsId = ctx.new_id(1).into();
        let right = Recorded {
            patient_id: wrong.patient_id,
            consultation_id: wrong.consultation_id,
            recorded_by: acting(ctx, None, "/recorded_by")?,
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
