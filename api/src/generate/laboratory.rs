//! Laboratory orders of five tests, and their results.

use chrono::TimeDelta;
use hims_domain::lab_order::{self, After, Details, LabOrder, NewItem, Placed, Priority, SpecimenCollected};
use hims_domain::lab_result::{self, ComponentResult, LabResult, Recorded, ResultStatus, ages, flag_of, limits_for};
use hims_domain::lab_test::Definition;
use hims_domain::values::{LabOrderNumber, Measured, SpecimenNumber};
use hims_domain::{Aggregate as _, LabOrderId, SpecimenId};
use hims_event_store::AppendError;
use rust_decimal::Decimal;

use super::history::History;
use super::plan::{Kind, ZONE};
use super::visits::Seen;
use super::words::TESTS;

impl History {
    /// An order of all tests, one specimen, and a final result of each test. The doctor has looked at every second
    /// result.
    pub(super) fn laboratory(&mut self, seen: &Seen) -> Result<(), AppendError> {
        let order_id = self.id(Kind::LabOrder, seen.number).into();
        let specimen_id = self.id(Kind::Specimen, seen.number).into();
        let order = self.order(seen, specimen_id);
        self.add::<LabOrder>(order_id, &order)?;
        for test in 0..TESTS.len() {
            self.result(seen, (order_id, specimen_id), test)?;
        }
        Ok(())
    }

    /// The place of a test of a visit among all of the patient.
    fn place(seen: &Seen, test: usize) -> u64 {
        seen.number * TESTS.len() as u64 + test as u64
    }

    fn order(&self, seen: &Seen, specimen_id: SpecimenId) -> Vec<lab_order::Event> {
        use lab_order::Event::{Placed as WasPlaced, SpecimenCollected as Collected, SpecimenReceived};
        let items = self.hospital.tests.iter().enumerate().map(|(nth, (lab_test_id, _))| NewItem {
            id: self.id(Kind::LabOrderItem, Self::place(seen, nth)).into(),
            lab_test_id: *lab_test_id,
            diagnosis_ids: Vec::new(),
            notes: None,
        });
        let placed = Placed {
            number: LabOrderNumber::issue(self.number(seen.number)),
            patient_id: self.patient_id,
            provider_id: seen.provider_id,
            details: Details {
                consultation_id: Some(seen.consultation_id),
                priority: Priority::Normal,
                fasting: false,
                clinical_information: None,
                scheduled_for: None,
                notes: None,
            },
            is_unsolicited: false,
            items: items.collect(),
        };
        let local = seen.until.with_timezone(&ZONE).naive_local();
        let collected = SpecimenCollected {
            specimen_id,
            number: SpecimenNumber::issue(self.number(seen.number)),
            patient_id: self.patient_id,
            item_ids: placed.items.iter().map(|it| it.id).collect(),
            specimen_type: "WB".into(),
            collected_at: seen.until,
            collection_date: local.date(),
            collection_time: local.time(),
            collected_by: Some(seen.provider_id),
            body_site: None,
            volume_ml: None,
            after: After::unknown(),
        };
        let resulted = placed.items.iter().enumerate().map(|(nth, item)| lab_order::Event::ItemResulted {
            item_id: item.id,
            lab_result_id: self.id(Kind::LabResult, Self::place(seen, nth)).into(),
            is_final: true,
            after: After::unknown(),
        });
        let steps = [Collected(Box::new(collected)), SpecimenReceived { specimen_id, after: After::unknown() }];
        let steps: Vec<_> = steps.into_iter().chain(resulted).collect();
        let mut events = vec![WasPlaced(Box::new(placed))];
        let mut order = LabOrder::evolve(None, &events[0]);
        for step in steps {
            let Some(before) = order else { break };
            let event = before.followed_up(step);
            order = LabOrder::evolve(Some(before), &event);
            events.push(event);
        }
        events
    }

    fn result(
        &mut self,
        seen: &Seen,
        (lab_order_id, specimen_id): (LabOrderId, SpecimenId),
        test: usize,
    ) -> Result<(), AppendError> {
        let (_, low, high) = TESTS[test];
        let value = Decimal::new(self.chance.from(low, high), 2);
        let (lab_test_id, definition) = &self.hospital.tests[test];
        let place = Self::place(seen, test);
        let recorded = Recorded {
            patient_id: self.patient_id,
            lab_order_id,
            item_id: self.id(Kind::LabOrderItem, place).into(),
            lab_test_id: *lab_test_id,
            test_code: definition.code.clone(),
            test_name: definition.name.clone(),
            specimen_id: Some(specimen_id),
            taken_at: seen.until,
            result_status: ResultStatus::Final,
            components: self.component(definition, value, seen).into_iter().collect(),
            performed_by: None,
            performed_at: seen.until + TimeDelta::hours(3),
            method: None,
            notes: None,
        };
        let mut events = vec![lab_result::Event::Recorded(Box::new(recorded))];
        if test.is_multiple_of(2) {
            events.push(lab_result::Event::Reviewed { reviewed_by: seen.provider_id, comment: None });
        }
        self.add::<LabResult>(self.id(Kind::LabResult, place), &events)
    }

    /// The value of a test that measures one thing, compared with what is normal for the patient.
    fn component(&self, definition: &Definition, value: Decimal, seen: &Seen) -> Option<ComponentResult> {
        let component = definition.components.first()?;
        let decimals = component.decimals.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
        let value = value.round_dp(decimals);
        let ages = ages(&self.demographics, seen.visit.date);
        let limits = ages.and_then(|ages| limits_for(&component.ranges, self.demographics.gender, &ages));
        Some(ComponentResult {
            code: component.code.clone(),
            name: component.name.clone(),
            value: Some(Measured::from(value)),
            comparator: None,
            text: None,
            value_code: None,
            unit: component.unit.clone(),
            limits,
            flag: limits.and_then(|it| flag_of(value, None, component, &it)),
            delta_percent: None,
        })
    }
}
