//! Placing the orders and recording the results of one occasion.

use std::sync::{Mutex, PoisonError};

use chrono::SecondsFormat;
use hims_commands::lab_order::{CancelLabOrderItem, PlaceLabOrder};
use hims_commands::lab_result::{ComponentValue, FinaliseLabResult, RecordLabResult, Release};
use hims_commands::scopes;
use hims_domain::consultation::Consultation;
use hims_domain::lab_order::{Details, LabOrder, OrderedTest, Priority};
use hims_domain::lab_result::{LabResult, ResultStatus};
use hims_domain::user::User;
use hims_domain::values::Reason as Why;
use hims_domain::{LabOrderId, LabOrderItemId, LabResultId, LabTestId, Personal, UserId};
use uuid::Uuid;

use super::super::kept::Element;
use super::super::reason::Reason;
use super::super::references::derived;
use super::super::summary::{Fate, Place};
use super::super::writer::{Step, Stop, Writer};
use super::tests::Tests;
use super::told::Told;
use super::{Fates, Occasion};

/// How many tests one order holds.
const ITEMS: usize = 30;

/// What became of the reports so far.
#[derive(Default)]
pub(super) struct Reports(Mutex<Fates>);

impl Reports {
    fn note(&self, places: Vec<Place>, fate: Fate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((places, fate));
    }

    pub(super) fn into_fates(self) -> Fates {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A result that is not in the record yet.
struct New {
    /// The place of the test among those of the occasion.
    index: usize,
    lab_test_id: LabTestId,
    values: Vec<ComponentValue>,
    /// The order that waits for the result, if an earlier import placed one.
    order: Option<LabOrderId>,
}

/// What an occasion is in the record.
struct Visit {
    patient: Uuid,
    consultation: Option<Uuid>,
    provider: UserId,
}

/// Imports the tests of one occasion. Each observation, and each report, has the fate of its result.
pub(super) async fn import(
    writer: &Writer<'_>,
    tests: &Tests,
    occasion: Occasion,
    told: Vec<Told<'_>>,
    reports: &Reports,
) -> Step {
    let (fates, without) = match write(writer, tests, occasion, &told).await {
        Ok(written) => written,
        Err(Stop::Skip(reason)) => (told.iter().map(|_| Fate::Skipped(reason)).collect(), Vec::new()),
        Err(everything) => return vec![(Vec::new(), Err(everything))],
    };
    let mut step = Step::new();
    for (told, fate) in told.into_iter().zip(fates) {
        let fate_with = |left_out: Vec<Element>| match &fate {
            Fate::Imported(_) => Fate::Imported([left_out, without.clone()].concat()),
            other => other.clone(),
        };
        if let Some((places, left_out)) = told.report {
            reports.note(places, fate_with(left_out));
        }
        let observations = told.observations.into_iter();
        step.extend(observations.map(|(places, left_out)| (places, Ok(fate_with(left_out)))));
    }
    step
}

/// The fates of the tests of an occasion, and what the record cannot keep of the occasion.
type Written = (Vec<Fate>, Vec<Element>);

async fn write(writer: &Writer<'_>, tests: &Tests, occasion: Occasion, told: &[Told<'_>]) -> Result<Written, Stop> {
    let (patient, _) = writer.recorded_patient(Some(occasion.patient)).await?.ok_or(Reason::NoPatient)?;
    let consultation = writer.referred::<Consultation>(occasion.encounter).await?;
    let consultation = consultation.filter(|(_, it)| it.patient_id.0 == patient);
    let mut without = Vec::new();
    if occasion.encounter.is_some() && consultation.is_none() {
        without.push(Element::Borrowed("encounter"));
    }
    let (mut fates, mut new) = (Vec::with_capacity(told.len()), Vec::new());
    for (index, it) in told.iter().enumerate() {
        fates.push(match look(writer, tests, patient, it).await {
            Ok(Look::There) => Fate::AlreadyThere,
            Ok(Look::New { lab_test_id, values, order }) => {
                new.push(New { index, lab_test_id, values, order });
                Fate::Imported(Vec::new())
            }
            Err(Stop::Skip(reason)) => Fate::Skipped(reason),
            Err(everything) => return Err(everything),
        });
    }
    let provider = match &consultation {
        Some((_, it)) => it.provider_id,
        None => writer.practitioner(told.iter().find_map(|it| it.performer)).await?.0.into(),
    };
    let visit = Visit { patient, consultation: consultation.map(|it| it.0), provider };
    place(writer, occasion, &visit, told, &mut new).await?;
    for it in new {
        let (Some(told), Some(order)) = (told.get(it.index), it.order) else { continue };
        if let Err(stop) = record(writer, occasion, order, told, it.values).await {
            let Stop::Skip(reason) = stop else { return Err(stop) };
            // The order must not wait for a result that never comes.
            let why = Personal::Known(Why::from("the import could not record the result"));
            let cancelling = CancelLabOrderItem { lab_order_id: order, item_id: item_of(told), reason: why };
            writer.execute(cancelling, Some(occasion.at)).await?;
            if let Some(fate) = fates.get_mut(it.index) {
                *fate = Fate::Skipped(reason);
            }
        }
    }
    Ok((fates, without))
}

/// What the record has of a test.
enum Look {
    /// The result.
    There,
    /// Nothing, or an order that waits for the result.
    New { lab_test_id: LabTestId, values: Vec<ComponentValue>, order: Option<LabOrderId> },
}

/// The item of an order for a test.
fn item_of(told: &Told<'_>) -> LabOrderItemId {
    LabOrderItemId(derived(&format!("lab-order-item|{}", told.id)))
}

/// Looks for the result, and for the order that waits for it. A result that was preliminary is made final, if the
/// report is final by now.
async fn look(writer: &Writer<'_>, tests: &Tests, patient: Uuid, told: &Told<'_>) -> Result<Look, Stop> {
    if let Some(there) = writer.existing::<LabResult>(told.id).await? {
        let is_same_test = told.is_global || tests.id(told) == Some(there.lab_test_id);
        if there.patient_id.0 != patient || !is_same_test {
            return Err(Reason::OtherRecord.into());
        }
        if there.result_status == ResultStatus::Preliminary && told.is_final {
            let (_, values) = tests.fit(told)?;
            let finalising = FinaliseLabResult {
                lab_result_id: LabResultId(told.id),
                components: Some(values),
                confirm_delta: true,
            };
            writer.execute(finalising, None).await?;
        }
        return Ok(Look::There);
    }
    let (lab_test_id, values) = tests.fit(told)?;
    let item_id = item_of(told);
    let order = writer.owners(scopes::LAB_ORDER_ITEM, &item_id.to_string()).await?.first().copied();
    if let Some(id) = order {
        let state = writer.existing::<LabOrder>(id).await?;
        let item = state.as_ref().and_then(|it| it.item(item_id));
        if item.is_none_or(|it| it.is_cancelled || it.lab_result_id.is_some()) {
            return Err(Reason::NotAwaited.into());
        }
    }
    Ok(Look::New { lab_test_id, values, order: order.map(LabOrderId) })
}

/// Places the orders for the tests for which there is none yet.
async fn place(
    writer: &Writer<'_>,
    occasion: Occasion,
    visit: &Visit,
    told: &[Told<'_>],
    new: &mut [New],
) -> Result<(), Stop> {
    let Occasion { patient, encounter, at } = occasion;
    let encounter = encounter.map(|it| it.to_string()).unwrap_or_default();
    let when = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let first = derived(&format!("lab-order|{patient}|{encounter}|{when}"));
    let mut is_first_free = writer.existing::<LabOrder>(first).await?.is_none();
    let mut unordered: Vec<_> = new.iter_mut().filter(|it| it.order.is_none()).collect();
    for tests in unordered.chunks_mut(ITEMS) {
        let items: Vec<_> =
            tests.iter().filter_map(|it| Some((item_of(told.get(it.index)?), it.lab_test_id))).collect();
        // Further orders of the occasion have the id of one of their items.
        let id = match items.first() {
            Some(_) if is_first_free => first,
            Some((item, _)) => derived(&format!("lab-order|{item}")),
            None => continue,
        };
        is_first_free = false;
        let items = items.into_iter().map(|(item_id, lab_test_id)| OrderedTest {
            item_id: Some(item_id),
            lab_test_id,
            diagnosis_ids: Vec::new(),
            notes: None,
        });
        let order = PlaceLabOrder {
            id: Some(LabOrderId(id)),
            patient_id: visit.patient.into(),
            provider_id: Some(visit.provider),
            details: Details {
                consultation_id: visit.consultation.map(Into::into),
                priority: Priority::Normal,
                fasting: false,
                clinical_information: None,
                scheduled_for: None,
                notes: None,
            },
            items: items.collect(),
            unsolicited: true,
            confirm_not_duplicate: true,
        };
        writer.execute(order, Some(at)).await?;
        for it in tests.iter_mut() {
            it.order = Some(LabOrderId(id));
        }
    }
    Ok(())
}

/// Records a result.
async fn record(
    writer: &Writer<'_>,
    occasion: Occasion,
    lab_order_id: LabOrderId,
    told: &Told<'_>,
    components: Vec<ComponentValue>,
) -> Result<(), Stop> {
    let performed_by = writer.referred::<User>(told.performer).await?.map(|(id, _)| id.into());
    let command = RecordLabResult {
        id: Some(LabResultId(told.id)),
        lab_order_id,
        item_id: item_of(told),
        specimen_id: None,
        status: if told.is_final { Release::Final } else { Release::Preliminary },
        components,
        performed_by,
        performed_at: Some(occasion.at),
        method: None,
        notes: told.notes.clone(),
        confirm_delta: true,
    };
    writer.execute(command, Some(occasion.at)).await
}
