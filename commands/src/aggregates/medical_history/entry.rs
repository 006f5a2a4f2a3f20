//! What must hold for an entry of the medical history, whether it is recorded or changed.

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::Personal;
use hims_domain::medical_history::{ClinicalStatus, Entry, HistoryType, OnsetPrecision};
use hims_domain::values::PartialDate;
use hims_domain::wall_clock::latest_day;

use super::Refusal;
use crate::machinery::coding::coded;
use crate::{Refused, refuse};

/// The entry as it is kept: its code in the form of its system, and its date as exact as its precision.
///
/// # Errors
/// The rule that the entry breaks.
pub(super) fn checked(entry: Entry, now: DateTime<Utc>) -> Result<Entry, Refused> {
    check_fields(&entry)?;
    let code = coded(entry.code_system.as_ref(), entry.code.clone())?;
    let (onset_date, onset_precision) = onset(entry.onset_date.clone(), entry.onset_precision)?;
    let entry = Entry { code, onset_date, onset_precision, ..entry };
    check_dates(&entry, now)?;
    Ok(entry)
}

/// Checks that an entry has the fields of its type and no others.
fn check_fields(entry: &Entry) -> Result<(), Refused> {
    use HistoryType::{Condition, Family, Immunization};
    let misplaced = |field, of| {
        let message = format!("leave the field out, which only an entry of the type {of} has");
        Err(Refused::field("invalid-fields", field, message))
    };
    match (entry.history_type == Family, &entry.family_relationship) {
        (true, None) => {
            let message = "give the relative, such as mother, whom an entry of the type family is about";
            return Err(Refused::field("invalid-fields", "/family_relationship", message));
        }
        (false, Some(_)) => return misplaced("/family_relationship", Family),
        (true, Some(_)) | (false, None) => {}
    }
    if entry.clinical_status.is_some() && entry.history_type != Condition {
        return misplaced("/clinical_status", Condition);
    }
    for (field, is_given) in [
        ("/lot_number", entry.lot_number.is_some()),
        ("/dose_number", entry.dose_number.is_some()),
        ("/site", entry.site.is_some()),
        ("/route", entry.route.is_some()),
    ] {
        if is_given && entry.history_type != Immunization {
            return misplaced(field, Immunization);
        }
    }
    if entry.dose_number.is_some_and(|it| !(1..=99).contains(&it)) {
        return Err(Refused::field("out-of-range", "/dose_number", "give 1 to 99"));
    }
    Ok(())
}

/// The date of onset with its precision: as it was said, or else as far as the date goes. The date loses the parts that
/// go beyond its precision. An erased date stays as it is.
fn onset(
    date: Option<Personal<PartialDate>>,
    said: Option<OnsetPrecision>,
) -> Result<(Option<Personal<PartialDate>>, Option<OnsetPrecision>), Refused> {
    use OnsetPrecision::{Day, Month, Year};
    let Some(given) = date else {
        return match said {
            None => Ok((None, None)),
            Some(_) => Err(Refused::field("invalid-fields", "/onset_date", "give the date too, or leave both out")),
        };
    };
    let Personal::Known(date) = &given else { return Ok((Some(given), said)) };
    let parts = match said {
        None => date.parts(),
        Some(Year) => 1,
        Some(Month) => 2,
        Some(Day) => 3,
    };
    if date.parts() < parts {
        let message = "the date is not given that exactly; give more of the date, or another precision";
        return Err(Refused::field("invalid-fields", "/onset_precision", message));
    }
    let precision = match parts {
        1 => Year,
        2 => Month,
        _ => Day,
    };
    Ok((Some(Personal::Known(date.cut_to(parts))), Some(precision)))
}

/// Checks that nothing lies in the future, ends before it begins, or has ended with a status that says otherwise.
fn check_dates(entry: &Entry, now: DateTime<Utc>) -> Result<(), Refused> {
    // Where something was done it may be the next day already.
    let latest = latest_day(now);
    let begun = entry.onset_date.as_ref().and_then(Personal::known).and_then(PartialDate::first_day);
    let ended = entry.resolved_date.as_ref().and_then(Personal::known).copied();
    for (field, date) in [("/onset_date", begun), ("/resolved_date", ended)] {
        if date.is_some_and(|it: NaiveDate| it > latest) {
            return Err(Refused::field("in-the-future", field, "give a date that is not in the future"));
        }
    }
    if begun.zip(ended).is_some_and(|(begun, ended)| ended < begun) {
        let message = "give a resolved date that is not before the onset";
        return Err(Refused::field("ends-before-it-starts", "/resolved_date", message));
    }
    let is_over = matches!(
        entry.clinical_status,
        Some(ClinicalStatus::Resolved | ClinicalStatus::Remission | ClinicalStatus::Inactive)
    );
    if entry.resolved_date.is_some() && !is_over {
        return refuse(Refusal::InconsistentStatus);
    }
    Ok(())
}
