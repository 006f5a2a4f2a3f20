//! System roles are offered the permission words of a new release once.

use hims_api::{Purpose, Settings};
use hims_commands::role::ChangeRolePermissions;
use hims_commands::{Caller, Request, role_id, system_roles};
use hims_domain::permission::Read;
use hims_domain::role::{Definition, Event, Permissions, Role};
use hims_event_store::{Append, NewEvent, StreamAppend, Wanted};
use serde_json::json;
use sqlx::ConnectOptions as _;

use super::fixture::key_file;
use crate::support::{database, scratch};

/// The role of nurses as an older release defined it, without the word `staff` among those of `read`.
fn of_an_older_release() -> Definition {
    let (_, mut definition) =
        system_roles().into_iter().find(|(id, _)| *id == role_id("nurse")).expect("a role of nurses");
    assert!(definition.permissions.read.remove(Read::Staff.as_str()), "nurses read staff");
    definition
}

async fn nurse(hospital: &hims_api::Hospital) -> Permissions {
    let role = hospital.executor.load::<Role>(role_id("nurse").0, true).await.expect("the log answers");
    role.state.expect("the role of nurses exists").definition.permissions.clone()
}

async fn offers(hospital: &hims_api::Hospital) -> usize {
    let event_type = Some("role.words_offered".to_owned());
    let wanted = Wanted { event_type, limit: 100, ..Wanted::default() };
    hospital.store.search(&wanted).await.expect("the log answers").len()
}

#[tokio::test]
async fn a_release_offers_its_new_words_once() {
    let (database, folder) = (database().await, scratch("roles"));
    let settings = Settings {
        database_url: Some(database.options.to_url_lossy().into()),
        master_key_file: Some(key_file(&folder)),
        ..Settings::default()
    };
    let hospital = hims_api::Hospital::open(&settings, Purpose::Work).await.expect("the hospital opens");
    let defined = Event::Defined { definition: of_an_older_release(), is_system_role: true };
    let event = NewEvent::try_new("role", &defined).expect("an event");
    let stream = StreamAppend::begin("role", role_id("nurse").0, [event]);
    hospital.store.append(Append::stream(stream)).await.expect("the event is recorded");
    // The first start of this release offers the word; the second start offers nothing.
    for _ in 0..2 {
        hospital.define_roles().await.expect("the roles are there");
        assert!(nurse(&hospital).await.read.contains(Read::Staff.as_str()));
        assert_eq!(offers(&hospital).await, 1);
    }
    // A word that an administrator takes away does not come back.
    let read = of_an_older_release().permissions.read;
    let permissions = serde_json::from_value(json!({ "read": read })).expect("changes of permissions");
    let take_away = ChangeRolePermissions { role_id: role_id("nurse"), permissions };
    hospital
        .executor
        .execute(take_away, Request::of(Caller::system("test")))
        .await
        .expect("the permissions are changed");
    hospital.define_roles().await.expect("the roles are there");
    assert!(!nurse(&hospital).await.read.contains(Read::Staff.as_str()));
    assert_eq!(offers(&hospital).await, 1);
    hospital.close().await;
}
