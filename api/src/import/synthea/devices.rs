//! `devices.csv` -> treatments with a device. A FHIR device says neither when nor in which encounter the patient got
//! the device.

use chrono::{DateTime, Utc};
use futures::FutureExt;
use hims_domain::Personal;
use hims_domain::treatment::{Status, TreatmentType};
use hims_domain::values::Text;
use hims_domain::values::coding::SNOMED_CT;
use serde::Deserialize;
use uuid::Uuid;

use super::super::kept::Kept;
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::run::{ImportError, single};
use super::super::summary::{Fate, Place, Summary};
use super::super::treatment::{Told, What, record};
use super::super::writer::{Stop, Writer};
use super::export::Export;
use super::files::{Folder, Row};
use super::values::given;

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Device {
    start: DateTime<Utc>,
    stop: Option<DateTime<Utc>>,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
    udi: String,
}

impl Row for Device {
    const FILE: &'static str = "devices";
}

/// A row of the file, with the id of the treatment that it becomes.
struct Listed {
    id: Uuid,
    place: Place,
    row: Device,
}

/// The devices.
pub(super) struct Devices(Vec<Listed>);

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) -> Devices {
    let mut devices = Vec::new();
    folder
        .each(|row: Device, at| {
            if row.stop.is_some_and(|it| it < row.start) {
                return Err("STOP lies before START");
            }
            given(&row.description).ok_or("DESCRIPTION is empty")?;
            let id = export.id(Device::FILE, &[&row.encounter, &row.code, &row.start, &row.udi]);
            devices.push(Listed { id, place: at.clone(), row });
            Ok(())
        })
        .await;
    Devices(devices)
}

/// Records that the patients got the devices.
pub(super) async fn write(
    writer: &Writer<'_>,
    devices: &Devices,
    (summary, progress): (&mut Summary, &dyn Progress),
) -> Result<(), ImportError> {
    let steps = devices.0.iter().map(|it| single(vec![it.place.clone()], import(writer, it.id, &it.row).boxed()));
    writer.take(Device::FILE, Box::new(steps), (summary, progress)).await
}

async fn import(writer: &Writer<'_>, id: Uuid, row: &Device) -> Result<Fate, Stop> {
    let mut kept = Kept::default();
    let code: Option<Text<20>> = kept.text("CODE", given(&row.code));
    if row.stop.is_some() {
        kept.leave_out("STOP");
    }
    let description: Option<Personal<Text<500>>> = kept.personal("DESCRIPTION", given(&row.description));
    let told = Told {
        id,
        patient: Some(row.patient),
        encounter: Some(row.encounter),
        what: What {
            treatment_type: TreatmentType::Device,
            coding: code.map(|it| (SNOMED_CT.into(), it)),
            description: description.ok_or(Reason::NoName)?,
            body_site: None,
            device_udi: kept.text("UDI", given(&row.udi)),
            care_plan: None,
        },
        performer: None,
        diagnosis: None,
        // The device was put in place; how long it stayed there is left out.
        status: Status::Completed,
        why: None,
        outcome: None,
        start: Some(row.start),
        end: Some(row.start),
    };
    record(writer, told, true, kept).await
}
