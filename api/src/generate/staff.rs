//! What the hospital has before the first patient comes: departments, rooms, roles, staff and catalogues. All of it is
//! made through commands, except for the units of products.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hims_commands::department::OpenDepartment;
use hims_commands::lab_test::DefineLabTest;
use hims_commands::medication::AddMedication;
use hims_commands::role::DefineRole;
use hims_commands::room::AddRoom;
use hims_commands::user::{ChangeUserDepartment, CreateUser};
use hims_commands::{Caller, Command, Request, role_id};
use hims_domain::lab_test::Definition;
use hims_domain::medication::{self, Medication};
use hims_domain::{Aggregate as _, LabTestId, derived};
use hims_event_store::{Append, AppendError, NewEvent, StoreError, StreamAppend};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::history::{GENERATOR, circumstances};
use super::people::{family_name, given_name};
use super::plan::{Kind, Plan, ZONE};
use super::words::{DEPARTMENTS, SUBSTANCES, TESTS};
use crate::demo::PASSWORD;
use crate::{Hospital, HospitalError};

/// How many commands are carried out at the same time.
const AT_ONCE: usize = 32;

/// The roles of the staff, with how many of ten users have each. The doctors come first.
const ROLES: [(&str, u64); 9] = [
    ("doctor", 1),
    ("nurse", 3),
    ("receptionist", 1),
    ("pharmacist", 1),
    ("lab_technician", 1),
    ("administrator", 0),
    ("physiotherapist", 1),
    ("dietitian", 1),
    ("billing_clerk", 1),
];

/// The roles beside those that every hospital has: name, displayed name, what the role may read.
const FURTHER_ROLES: [(&str, &str, &str); 3] = [
    ("physiotherapist", "Physiotherapist", "assigned_patients"),
    ("dietitian", "Dietitian", "assigned_patients"),
    ("billing_clerk", "Billing clerk", "all_patients"),
];

/// The tests of the catalogue that the program ships.
const CATALOGUE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../catalogue/lab-tests.json"));

#[derive(Deserialize)]
struct Catalogue {
    tests: Vec<Definition>,
}

/// The department of a doctor, by the numbers of both from 0.
pub(super) fn department_of_doctor(doctor: u64) -> u64 {
    doctor % DEPARTMENTS.len() as u64
}

/// The tests that are ordered, in the order of [`TESTS`].
///
/// # Errors
/// When the catalogue lacks one of the tests.
pub(super) fn tests() -> Result<Vec<(LabTestId, Definition)>, HospitalError> {
    let catalogue: Catalogue = serde_json::from_str(CATALOGUE).map_err(|error| malformed("lab-tests.json", &error))?;
    let test = |code: &str| {
        // A panel may have a component with the same code; the test is the one with the code of its own.
        let found = catalogue.tests.iter().find(|it| it.code.as_str() == code).cloned();
        found.map(|it| (derived("lab_test", &[code]).into(), it)).ok_or_else(|| malformed(code, &"no such test"))
    };
    TESTS.iter().map(|(code, ..)| test(code)).collect()
}

fn malformed(what: &str, error: &dyn std::fmt::Display) -> HospitalError {
    StoreError::Unavailable(format!("{what}, which the program ships, cannot be used: {error}")).into()
}

/// Makes everything that is there before the first patient. What an earlier run made stays as it is.
pub(super) async fn set_up(hospital: &Hospital, plan: &Plan) -> Result<(), HospitalError> {
    hospital.define_roles().await?;
    hospital.define_reports().await?;
    for (name, display_name, word) in FURTHER_ROLES {
        let body = json!({"id": role_id(name), "name": name, "display_name": display_name,
                          "permissions": {"read": [word]}});
        give::<DefineRole>(hospital, body).await?;
    }
    for (place, (code, name)) in (0..).zip(DEPARTMENTS.iter().chain(&[("PHA", "Pharmacy"), ("LAB", "Laboratory")])) {
        let id = plan.id(0, Kind::Department, place);
        give::<OpenDepartment>(hospital, json!({"id": id, "code": code, "name": name, "time_zone": ZONE.name()}))
            .await?;
    }
    let all = |count| stream::iter(0..count).map(Ok::<u64, HospitalError>);
    let rooms = all(plan.doctors()).try_for_each_concurrent(AT_ONCE, async |doctor| {
        let department = plan.id(0, Kind::Department, department_of_doctor(doctor));
        let body = json!({"id": plan.id(0, Kind::Room, doctor), "department_id": department,
                          "room_number": format!("{}", 100 + doctor), "room_type": "exam"});
        give::<AddRoom>(hospital, body).await
    });
    rooms.await?;
    all(plan.users).try_for_each_concurrent(AT_ONCE, async |user| add_user(hospital, plan, user).await).await?;
    for (id, definition) in tests()? {
        let mut body = serde_json::to_value(definition).map_err(|error| malformed("lab-tests.json", &error))?;
        body["id"] = json!(id);
        give::<DefineLabTest>(hospital, body).await?;
    }
    all(plan.medications)
        .try_for_each_concurrent(AT_ONCE, async |place| add_medication(hospital, plan, place).await)
        .await
}

/// Carries out a command, given as its request body. What an earlier run carried out stays as it is.
async fn give<C: Command>(hospital: &Hospital, body: Value) -> Result<(), HospitalError> {
    hospital.give::<C>(body, Request::of(Caller::system(GENERATOR))).await
}

/// The role of a user, by the user's number from 0, and whether the user is the first of the role.
fn role_of(plan: &Plan, user: u64) -> (&'static str, bool) {
    if user < plan.doctors() {
        return ("doctor", user == 0);
    }
    let others = || ROLES[1..].iter();
    let user = user - plan.doctors();
    // One user of each role, and then the users in the roles' shares.
    if let Some((role, _)) = others().nth(usize::try_from(user).unwrap_or(usize::MAX)) {
        return (role, true);
    }
    let mut turn = user % others().map(|it| it.1).sum::<u64>();
    for (role, share) in others() {
        if turn < *share {
            return (role, false);
        }
        turn -= share;
    }
    ("nurse", false)
}

async fn add_user(hospital: &Hospital, plan: &Plan, user: u64) -> Result<(), HospitalError> {
    let (role, is_first) = role_of(plan, user);
    let mut chance = plan.chance(u64::MAX - user);
    let is_female = chance.below(2) == 0;
    let login = if is_first { role.to_owned() } else { format!("{role}{user}") };
    let id = plan.id(0, Kind::User, user);
    let mut body = json!({
        "id": id, "email": format!("{login}@generated.example"), "first_name": given_name(&mut chance, is_female),
        "last_name": family_name(&mut chance), "role_id": role_id(role),
    });
    if is_first {
        body["password"] = json!(PASSWORD);
    }
    give::<CreateUser>(hospital, body).await?;
    let department = match role {
        "doctor" | "nurse" | "receptionist" => department_of_doctor(user),
        "pharmacist" => DEPARTMENTS.len() as u64,
        "lab_technician" => DEPARTMENTS.len() as u64 + 1,
        _ => return Ok(()),
    };
    let department = plan.id(0, Kind::Department, department);
    give::<ChangeUserDepartment>(hospital, json!({"user_id": id, "department_id": department})).await
}

/// Adds a product of the catalogue: a substance in a strength, by one of many makers.
async fn add_medication(hospital: &Hospital, plan: &Plan, place: u64) -> Result<(), HospitalError> {
    let count = SUBSTANCES.len() as u64;
    let (substance, class, route, form) = SUBSTANCES[usize::try_from(place % count).unwrap_or(0)];
    let (turn, strengths) = (place / count, [5, 10, 20, 40, 50, 100, 250, 500]);
    let strength = strengths[usize::try_from(turn % 8).unwrap_or(0)];
    let maker = turn / 8 + 1;
    let body = json!({
        "id": plan.id(0, Kind::Medication, place), "name": format!("{substance} {strength} mg {route} {form}, maker {maker}"),
        "generic_name": substance, "strength": format!("{strength} mg"), "form": form, "route": route,
        "drug_class": class,
    });
    give::<AddMedication>(hospital, body).await?;
    introduce_unit(hospital, plan.id(0, Kind::Medication, place), form).await
}

/// Records the unit in which the generated visits prescribe a product, as if the pharmacy had received the product in it.
async fn introduce_unit(hospital: &Hospital, medication: Uuid, unit: &str) -> Result<(), HospitalError> {
    let unavailable = |error: AppendError| match error {
        AppendError::Store(error) => error,
        error => StoreError::Unavailable(error.to_string()),
    };
    let introduced = medication::Event::UnitIntroduced { unit: unit.into() };
    let introduced = NewEvent::try_new(Medication::STREAM, &introduced).map_err(unavailable)?;
    let metadata = circumstances(medication, hospital.executor.now());
    let stream = StreamAppend::at(Medication::STREAM, medication, 1, [introduced]);
    match hospital.store.append(Append { metadata, ..Append::stream(stream) }).await {
        // The unit was introduced before the generator was interrupted.
        Ok(_) | Err(AppendError::Conflict { .. }) => Ok(()),
        Err(error) => Err(unavailable(error).into()),
    }
}
