//! What speaks against the lines of a prescription when they are written and when they are dispensed: interactions,
//! ingredients that are taken twice, and allergies. What cannot be compared is said, too.

mod allergies;
mod groups;
mod products;

use std::collections::BTreeSet;

use hims_domain::alert::{Alert, Kind, Other, Severity};
use hims_domain::medication::Medication;
use hims_domain::medication_list::{MedicationList, list_of};
use hims_domain::prescription::{Line, Override, Prescription};
use hims_domain::values::OverrideReason;
use hims_domain::{Invalid, MedicationId, PatientId, Personal, PrescriptionItemId};
use uuid::Uuid;

use self::products::{Product, in_catalogue, of_entry};
use crate::aggregates::interaction_profile::{is_loaded, reads_interactions};
use crate::patient::{reads_person, records_of};
use crate::{Context, Found, Kind as RefusalKind, Reads, Refused};

/// A line that is compared, with its product.
pub(super) struct Compared<'a> {
    pub(super) item_id: PrescriptionItemId,
    pub(super) medication: &'a Medication,
}

/// An alert, and what people are told of it. The message names products and never an allergen, which is a personal
/// value.
struct Noticed {
    alert: Alert,
    message: String,
}

/// An alert without ingredients, source and reason.
fn alert(item_id: Option<PrescriptionItemId>, kind: Kind, severity: Severity, other: Option<Other>) -> Alert {
    Alert {
        item_id,
        kind,
        severity,
        other,
        ingredient: None,
        other_ingredient: None,
        allergy_severity: None,
        source: None,
        source_version: None,
        is_overridden: false,
    }
}

/// Something that could not be compared.
fn not_checkable(item_id: Option<PrescriptionItemId>, other: Option<Other>, message: impl Into<String>) -> Noticed {
    let alert = alert(item_id, Kind::NotCheckable, Severity::Information, other);
    Noticed { alert, message: message.into() }
}

/// The medication lists of all records of a person, as far as they were looked up.
fn lists(patient_id: PatientId, found: &Found) -> impl Iterator<Item = &MedicationList> {
    records_of(patient_id, found).into_iter().filter_map(|it| found.get::<MedicationList>(list_of(it)))
}

/// Also looks up what is compared with the products of a prescription: the person, the lists of what the person takes,
/// and what is known of the ingredients.
pub(super) fn reads(
    reads: Reads,
    patient_id: PatientId,
    products: impl Iterator<Item = MedicationId>,
    found: &Found,
) -> Reads {
    let products: BTreeSet<_> = products.collect();
    let mut reads = reads_person(reads, patient_id, found);
    for record in records_of(patient_id, found) {
        reads = reads.stream::<MedicationList>(list_of(record));
    }
    let open: Vec<_> = lists(patient_id, found)
        .flat_map(|list| list.entries.values().filter(|it| it.status.is_open()))
        .map(|it| &it.taken)
        .collect();
    let named: BTreeSet<_> = open.iter().filter_map(|it| it.medication_id).chain(products.iter().copied()).collect();
    reads = named.into_iter().fold(reads, Reads::stream::<Medication>);
    let own: BTreeSet<_> =
        products.iter().filter_map(|id| found.get::<Medication>(*id)).flat_map(|it| &it.details.ingredients).collect();
    let taken: BTreeSet<_> =
        open.iter().filter_map(|it| it.ingredients.as_ref()).flatten().chain(own.iter().copied()).collect();
    let pairs = own.iter().flat_map(|one| taken.iter().map(move |other| (*one, *other)));
    reads_interactions(reads, &pairs.filter(|(one, other)| one != other).collect(), found)
}

/// Everything that speaks against lines of the prescription to which the command applies, or that could not be compared.
fn notice(patient_id: PatientId, lines: &[Compared<'_>], ctx: &Context<'_>) -> Vec<Noticed> {
    let own: Vec<_> = lines.iter().map(in_catalogue).collect();
    let today = ctx.today();
    let entries: Vec<_> = lists(patient_id, ctx.found)
        .flat_map(|list| list.open_on(today))
        .map(|(id, entry)| of_entry(id, entry, ctx))
        .filter(|it| own.iter().all(|product| product.what != it.what))
        .collect();
    let mut noticed = Vec::new();
    for (line, product) in lines.iter().zip(&own) {
        if product.ingredients.is_none() {
            let message =
                format!("{} has no ingredients in the catalogue, so it could not be compared", product.name());
            noticed.push(not_checkable(Some(line.item_id), None, message));
        }
        let others = own.iter().chain(&entries).filter(|it| it.what != product.what);
        noticed.extend(others.flat_map(|other| products::compare(line.item_id, product, other, ctx.found)));
        noticed.extend(allergies::compare(patient_id, line, ctx.found));
    }
    let in_words = entries.iter().filter(|it| it.ingredients.is_none() && it.is_of_another_prescription());
    noticed.extend(in_words.map(Product::not_comparable));
    let in_words = allergies::in_words(patient_id, ctx.found);
    let spoke = |other: &Option<Other>| noticed.iter().any(|it| it.alert.other == *other);
    let silent: Vec<_> = in_words.into_iter().filter(|it| !spoke(&it.alert.other)).collect();
    noticed.extend(silent);
    if !is_loaded(ctx.found) {
        let message = "no source of drug interactions is loaded, so interactions could not be compared; have one \
                       imported";
        noticed.push(not_checkable(None, None, message));
    }
    noticed
}

/// The alerts about lines, those that matter marked as overridden by the reasons of the request. `reason` says whether
/// the request gives a reason for a line, and `at` is the place of a line in the request, or of all lines together.
///
/// # Errors
/// A refusal that names every alert, if one of them needs a reason that the request does not give: the lesser alerts too,
/// and those for which it gives a reason.
fn overridden(
    noticed: Vec<Noticed>,
    reason: impl Fn(PrescriptionItemId) -> bool,
    at: impl Fn(Option<PrescriptionItemId>) -> String,
) -> Result<Vec<Alert>, Refused> {
    let has_reason = |it: &Alert| it.severity.needs_reason() && it.item_id.is_some_and(&reason);
    if noticed.iter().all(|it| !it.alert.severity.needs_reason() || has_reason(&it.alert)) {
        let mark = |it: Noticed| Alert { is_overridden: it.alert.severity.needs_reason(), ..it.alert };
        return Ok(noticed.into_iter().map(mark).collect());
    }
    let (mut errors, mut candidates) = (Vec::new(), BTreeSet::<Uuid>::new());
    for Noticed { alert, message } in noticed {
        let code = match alert.kind {
            Kind::NotCheckable => "not-checkable",
            kind => kind.as_str(),
        };
        let answered = if has_reason(&alert) { "; the item has an override_reason" } else { "" };
        errors.push(Invalid::coded(code, at(alert.item_id), format!("{message}{answered}")));
        // A line of the request has no record yet.
        candidates.extend(alert.other.filter(|it| !matches!(it, Other::PrescriptionItem(_))).map(Other::id));
    }
    let detail = "alerts speak against the items in errors (see also candidates); choose other medications, or repeat \
                  with an override_reason of 10 to 500 characters for each item";
    let candidates = candidates.into_iter().collect();
    Err(Refused { errors, candidates, ..Refused::new(RefusalKind::Conflict, "needs-override", detail) })
}

/// The alerts about the items of a prescription that is written, in the order of the request.
///
/// # Errors
/// A refusal, if an item needs an override reason and has none.
pub(super) fn when_written(
    patient_id: PatientId,
    items: &[(Compared<'_>, bool)],
    ctx: &Context<'_>,
) -> Result<Vec<Alert>, Refused> {
    let lines: Vec<_> =
        items.iter().map(|(it, _)| Compared { item_id: it.item_id, medication: it.medication }).collect();
    let place = |id| lines.iter().position(|it| it.item_id == id);
    let reason = |id| place(id).is_some_and(|it| items[it].1);
    let at = |id: Option<_>| id.and_then(place).map_or_else(|| "/items".to_owned(), |it| format!("/items/{it}"));
    overridden(notice(patient_id, &lines, ctx), reason, at)
}

/// What was noticed about lines that are dispensed, and the reasons for dispensing them all the same.
#[derive(Debug, Default)]
pub(super) struct AtDispensing {
    pub(super) alerts: Vec<Alert>,
    pub(super) overrides: Vec<Override>,
}

/// The alerts about lines that are dispensed which nobody knew when the prescription was written or dispensed earlier,
/// or which have become more severe since then; none if a part of the system tells what was dispensed elsewhere, since
/// nobody is to be asked then. `reason` is the reason that the request gives for a line, `at` the
/// place of the line in the request.
///
/// # Errors
/// A refusal, if a line needs an override reason and the request gives none.
pub(super) fn when_dispensed<'l>(
    prescription: &Prescription,
    lines: impl Iterator<Item = &'l Line>,
    ctx: &Context<'_>,
    reason: impl Fn(PrescriptionItemId) -> Option<Personal<OverrideReason>>,
    at: impl Fn(PrescriptionItemId) -> String,
) -> Result<AtDispensing, Refused> {
    if ctx.caller.is_system {
        return Ok(AtDispensing::default());
    }
    let mut compared = Vec::new();
    for line in lines {
        let medication = ctx.named::<Medication>(line.item.order.medication_id, "/prescription_id")?;
        compared.push(Compared { item_id: line.item.id, medication });
    }
    let mut noticed = notice(prescription.patient_id, &compared, ctx);
    noticed.retain(|it| !prescription.alerts.iter().any(|known| it.alert.is_known_by(known)));
    let place = |id: Option<_>| id.map_or_else(|| "/prescription_id".to_owned(), &at);
    let alerts = overridden(noticed, |id| reason(id).is_some(), place)?;
    let lines: BTreeSet<_> = alerts.iter().filter(|it| it.is_overridden).filter_map(|it| it.item_id).collect();
    let overrides = lines.into_iter().filter_map(|item_id| Some(Override { item_id, reason: reason(item_id)? }));
    Ok(AtDispensing { overrides: overrides.collect(), alerts })
}
