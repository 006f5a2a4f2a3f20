use hims_domain::permission::{Create, Read};
use hims_domain::role::Permissions;

use super::*;
use crate::user::{ChangeServiceAccountScopes, CreateServiceAccount, EndClientSecret};
use crate::{ClientCredentials, ClientSecret, NewSecret, Permission};

const PROGRAM: UserId = UserId(Uuid::from_u128(0x5e));

impl Door {
    /// A hospital with a program, which has a part of the permissions of a doctor.
    async fn with_a_program() -> Self {
        let door = Self::new().await;
        let body = json!({"id": PROGRAM, "name": "Laboratory interface", "email": "lab@example.org",
                          "role_id": role_id("doctor"),
                          "scopes": {"read": ["clinical_records", "staff"], "create": ["vital_signs"]}});
        door.world.done(ask::<CreateServiceAccount>(body)).await;
        door
    }

    async fn adds_secret(&self, overlap_hours: i32) -> ClientSecret {
        let asked = NewSecret { expires_in_days: None, overlap_hours: Some(overlap_hours) };
        self.login.add_client_secret(PROGRAM, &asked, Caller::system("test")).await.unwrap()
    }

    /// The token of the program, if the secret is good.
    async fn tries(&self, client_id: UserId, secret: &str, scopes: Option<&str>) -> Option<String> {
        let scopes = scopes.map(|it| Permissions::parse(it).unwrap());
        let given = ClientCredentials { client_id, secret: Password::new(secret), scopes };
        match self.login.start_service(given, (None, None)).await {
            Ok(started) => Some(started.token.expose_secret().to_owned()),
            Err(LoginFailure::Wrong) => None,
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[tokio::test]
async fn a_secret_opens_a_session_of_minutes_whose_actor_is_the_program() {
    let door = Door::with_a_program().await;
    let secret = door.adds_secret(0).await.secret.expose_secret().to_owned();
    let token = door.tries(PROGRAM, &secret, None).await.unwrap();
    assert_eq!(metadata(&door.world.last().await.recorded)["actor"]["id"], json!(PROGRAM));
    assert!(door.world.log().await.iter().all(|it| !it.data.contains(&secret) && !it.data.contains(&token)));
    let caller = door.who(&token).await.unwrap();
    assert_eq!(caller.user_id(), Some(PROGRAM));
    assert!(caller.reads(Read::ClinicalRecords) && caller.may(Permission::Create(Create::VitalSigns)));
    assert!(!caller.reads(Read::AllPatients) && !caller.may(Permission::Create(Create::Prescriptions)));
    let before = door.world.log().await.len();
    door.world.after(minutes(14));
    assert!(door.is_open(&token).await);
    assert_eq!(door.world.log().await.len(), before, "the session is not renewed");
    door.world.after(minutes(1));
    assert!(!door.is_open(&token).await);
}

#[tokio::test]
async fn scopes_of_a_token_and_of_the_account_only_narrow() {
    let door = Door::with_a_program().await;
    let secret = door.adds_secret(0).await.secret.expose_secret().to_owned();
    let narrow = door.tries(PROGRAM, &secret, Some("read:staff create:prescriptions")).await.unwrap();
    let caller = door.who(&narrow).await.unwrap();
    assert_eq!(*caller.permissions, Permissions::parse("read:staff").unwrap());
    let token = door.tries(PROGRAM, &secret, None).await.unwrap();
    let scopes = Permissions::parse("create:vital_signs").unwrap();
    let changed = json!({"user_id": PROGRAM, "scopes": {"read": []}});
    door.world.done(ask::<ChangeServiceAccountScopes>(changed)).await;
    assert_eq!(*door.who(&token).await.unwrap().permissions, scopes);
    assert!(door.who(&narrow).await.unwrap().permissions.is_empty());
}

#[tokio::test]
async fn a_new_secret_leaves_the_former_one_good_for_a_while() {
    let door = Door::with_a_program().await;
    let first = door.adds_secret(0).await.secret.expose_secret().to_owned();
    let second = door.adds_secret(2).await;
    let opens = async |secret: &str| door.tries(PROGRAM, secret, None).await.is_some();
    assert!(opens(&first).await && opens(second.secret.expose_secret()).await);
    door.world.after(TimeDelta::hours(2));
    assert!(!opens(&first).await && opens(second.secret.expose_secret()).await);
    let third = door.adds_secret(0).await;
    assert!(!opens(second.secret.expose_secret()).await && opens(third.secret.expose_secret()).await);
    let token = door.tries(PROGRAM, third.secret.expose_secret(), None).await.unwrap();
    door.world.done(EndClientSecret { user_id: PROGRAM, secret_id: third.secret_id }).await;
    assert!(!opens(third.secret.expose_secret()).await && !door.is_open(&token).await);
    let fourth = door.adds_secret(0).await;
    door.world.after(TimeDelta::days(365));
    assert!(!opens(fourth.secret.expose_secret()).await);
}

#[tokio::test]
async fn a_wrong_secret_is_recorded_and_says_nothing_of_the_account() {
    let door = Door::with_a_program().await;
    let secret = door.adds_secret(0).await.secret.expose_secret().to_owned();
    door.world.done(DeactivateUser { user_id: PROGRAM }).await;
    for (client_id, secret, known) in [
        (PROGRAM, secret.as_str(), Some(PROGRAM)),
        (DOCTOR, "wrong", Some(DOCTOR)),
        (UserId(Uuid::from_u128(0xdead)), "wrong", None),
    ] {
        assert_eq!(door.tries(client_id, secret, None).await, None);
        let event = AccessEvent::LoginFailed {
            command: "start-service-session".to_owned(),
            user_id: known,
            code: "wrong-secret".to_owned(),
        };
        assert_eq!(door.world.last_event::<AccessEvent>().await, event);
    }
}

#[tokio::test]
async fn a_program_that_never_uses_a_token_twice_is_told_so() {
    let door = Door::with_a_program().await;
    let secret = door.adds_secret(0).await.secret.expose_secret().to_owned();
    for _ in 0..100 {
        assert!(door.tries(PROGRAM, &secret, None).await.is_some());
    }
    let given = ClientCredentials { client_id: PROGRAM, secret: Password::new(&secret), scopes: None };
    let Err(LoginFailure::Failure(Failure::Refused(refused))) = door.login.start_service(given, (None, None)).await
    else {
        panic!("not refused")
    };
    assert_eq!(refused.code, "too-many-sessions");
    door.world.after(minutes(15));
    assert!(door.tries(PROGRAM, &secret, None).await.is_some());
}

#[tokio::test]
async fn numbers_of_days_and_hours_have_bounds() {
    let door = Door::with_a_program().await;
    for (days, hours, field) in [
        (Some(0), None, "/expires_in_days"),
        (Some(366), None, "/expires_in_days"),
        (None, Some(-1), "/overlap_hours"),
        (None, Some(721), "/overlap_hours"),
    ] {
        let asked = NewSecret { expires_in_days: days, overlap_hours: hours };
        let Err(Failure::Refused(refused)) =
            door.login.add_client_secret(PROGRAM, &asked, Caller::system("test")).await
        else {
            panic!("not refused")
        };
        assert_eq!(refused.errors[0].pointer, field);
    }
}
