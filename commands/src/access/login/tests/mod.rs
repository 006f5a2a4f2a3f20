use chrono::TimeDelta;
use hims_domain::Aggregate;
use hims_domain::access::Event as AccessEvent;
use hims_domain::department::Department;
use hims_domain::permission::Create;
use hims_domain::role::Role;
use hims_domain::session::{EndReason, Event};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::*;
use crate::testing::now;
use crate::testing::samples::{DEPARTMENT, DOCTOR, ask, defined, opened, with};
use crate::testing::world::{World, metadata, refused};
use crate::user::{ChangePassword, ChangeUserProfile, ChangeUserRole, CreateUser, DeactivateUser, ResetPassword};
use crate::{NewPassword, role_id};

mod cache;
mod identity;
mod passkeys;
mod reset;
mod second_factor;
mod service;
mod tickets;

const PASSWORD: &str = "correct horse battery";
const NEW_PASSWORD: &str = "staple horse battery";
const LIMITS: SessionLimits = SessionLimits { idle: Duration::from_mins(30), absolute: Duration::from_hours(12) };

/// A hospital where Rosa Diaz, a doctor, can log in.
struct Door {
    world: World,
    login: Login,
}

impl Door {
    async fn new() -> Self {
        Self::of(json!({"password": PASSWORD})).await
    }

    async fn of(changes: Value) -> Self {
        let world = World::new();
        for name in ["doctor", "nurse", "administrator"] {
            world.has::<Role>(role_id(name), [defined(name)]).await;
        }
        world.has::<Department>(DEPARTMENT, [opened()]).await;
        let rosa = json!({
            "id": DOCTOR, "email": "rosa@example.org", "first_name": "Rosa", "last_name": "Diaz",
            "role_id": role_id("doctor"),
        });
        world.done(ask::<CreateUser>(with(rosa, changes))).await;
        let login = Login::new(Arc::clone(&world.executor), LIMITS);
        Self { world, login }
    }

    async fn log_in(&self) -> String {
        self.log_in_with(PASSWORD).await
    }

    async fn log_in_with(&self, password: &str) -> String {
        self.try_password(password).await.unwrap().token.expose_secret().to_owned()
    }

    async fn try_password(&self, password: &str) -> Result<LoggedIn, LoginFailure> {
        self.login.start("rosa@example.org", &Password::new(password), None, (None, None)).await
    }

    /// The caller to whom a token belongs, according to the log rather than to the cache.
    async fn who(&self, token: &str) -> Option<Caller> {
        self.login.forget_all();
        self.login.authenticate(token, (None, None)).await.unwrap()
    }

    async fn is_open(&self, token: &str) -> bool {
        self.who(token).await.is_some()
    }

    /// The reason that the last `session.ended` event gives.
    async fn ended(&self) -> EndReason {
        let ended = self.world.log().await.into_iter().rfind(|it| it.event_type == "session.ended").unwrap();
        match self.world.store().open(vec![ended]).await.unwrap()[0].decode().unwrap() {
            Event::Ended { reason } => reason,
            other => panic!("not ended: {other:?}"),
        }
    }
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

#[tokio::test]
async fn the_right_password_begins_a_session() {
    let door = Door::new().await;
    let origin = (Some("192.0.2.7".parse().unwrap()), Some("browser".to_owned()));
    let logged_in = door.login.start(" Rosa@Example.ORG ", &Password::new(PASSWORD), None, origin).await.unwrap();
    assert_eq!((logged_in.user_id, logged_in.email.as_str()), (DOCTOR, "rosa@example.org"));
    assert_eq!((logged_in.role.as_str(), logged_in.expires_at), ("doctor", now() + LIMITS.absolute));
    let event = door.world.last().await.recorded;
    assert_eq!(event.event_type, "session.started");
    let told = metadata(&event);
    assert_eq!((&told["actor"]["id"], &told["ip"]), (&json!(DOCTOR), &json!("192.0.2.7")));
    assert_eq!((&told["role"], &told["user_agent"]), (&json!("doctor"), &json!("browser")));
}

#[tokio::test]
async fn a_token_tells_who_asks_and_what_they_may_do() {
    let door = Door::of(json!({"password": PASSWORD, "additional_role_ids": [role_id("nurse")]})).await;
    let token = door.log_in().await;
    let caller = door.login.authenticate(&token, (None, Some("browser".to_owned()))).await.unwrap().unwrap();
    assert_eq!((caller.user_id(), caller.role.as_deref()), (Some(DOCTOR), Some("doctor")));
    assert!(!caller.is_system && caller.session_id.is_some() && caller.user_agent.as_deref() == Some("browser"));
    let of_each_role =
        [crate::Permission::Create(Create::Prescriptions), crate::Permission::Create(Create::PatientNotes)];
    assert!(of_each_role.into_iter().all(|it| caller.may(it)));
    assert!(!caller.may(crate::Permission::Create(Create::Users)));
}

#[tokio::test]
async fn the_day_is_that_of_the_callers_department() {
    let door = Door::of(json!({"password": PASSWORD, "department_id": DEPARTMENT})).await;
    let token = door.log_in().await;
    assert_eq!(door.who(&token).await.map(|it| it.time_zone), Some(chrono_tz::America::New_York));
    let anywhere = Door::new().await;
    let token = anywhere.log_in().await;
    assert_eq!(anywhere.who(&token).await.map(|it| it.time_zone), Some(chrono_tz::UTC));
}

#[tokio::test]
async fn a_token_is_stored_nowhere() {
    let door = Door::new().await;
    let token = door.log_in().await;
    assert_eq!(token.len(), 64);
    assert!(door.world.log().await.iter().all(|it| !it.data.contains(&token) && !it.metadata.contains(&token)));
}

#[tokio::test]
async fn what_is_no_token_is_nobodys() {
    let door = Door::new().await;
    let token = door.log_in().await;
    for other in ["", "token", &token[1..], &token.to_uppercase()] {
        assert!(!door.is_open(other).await, "{other}");
    }
}

#[tokio::test]
async fn a_failed_login_is_recorded_and_tells_nothing() {
    let door = Door::new().await;
    for (email, password, user_id, told) in [
        ("rosa@example.org", "wrong horse battery", Some(DOCTOR), "wrong-password"),
        ("nobody@example.org", PASSWORD, None, "unknown-user"),
        ("no address", PASSWORD, None, "unknown-user"),
    ] {
        let failed = door.login.start(email, &Password::new(password), None, (None, None)).await;
        assert!(matches!(failed, Err(LoginFailure::Wrong)));
        let event = AccessEvent::LoginFailed { command: "start-session".to_owned(), user_id, code: told.to_owned() };
        assert_eq!(door.world.last_event::<AccessEvent>().await, event);
    }
}

#[tokio::test]
async fn who_is_inactive_cannot_log_in() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.done(DeactivateUser { user_id: DOCTOR }).await;
    assert!(!door.is_open(&token).await);
    assert!(matches!(door.try_password(PASSWORD).await, Err(LoginFailure::Wrong)));
    let event = AccessEvent::LoginFailed {
        command: "start-session".to_owned(),
        user_id: Some(DOCTOR),
        code: "inactive-user".to_owned(),
    };
    assert_eq!(door.world.last_event::<AccessEvent>().await, event);
}

#[tokio::test]
async fn who_has_no_password_cannot_log_in() {
    let door = Door::of(json!({})).await;
    assert!(matches!(door.try_password(PASSWORD).await, Err(LoginFailure::Wrong)));
    assert_eq!(door.world.count("session.started").await, 0);
}

#[tokio::test]
async fn an_unused_session_ends() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(30));
    assert!(!door.is_open(&token).await);
    assert_eq!(door.ended().await, EndReason::Idle);
}

#[tokio::test]
async fn a_session_that_is_used_lasts() {
    let door = Door::new().await;
    let token = door.log_in().await;
    for _ in 0..3 {
        door.world.after(minutes(20));
        assert!(door.is_open(&token).await);
    }
    assert_eq!(door.world.count("session.renewed").await, 3);
}

#[tokio::test]
async fn who_only_waits_for_news_does_not_use_the_session() {
    let door = Door::new().await;
    let token = door.log_in().await;
    let is_still = async |minutes_later| {
        door.world.after(minutes(minutes_later));
        door.login.forget_all();
        door.login.is_still(&token_hash(&token), (None, None)).await.unwrap().is_some()
    };
    assert!(is_still(20).await);
    assert_eq!(door.world.count("session.renewed").await, 0);
    assert!(!is_still(10).await);
}

#[tokio::test]
async fn a_session_is_not_renewed_at_every_use() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(7));
    assert!(door.is_open(&token).await);
    assert_eq!(door.world.count("session.renewed").await, 0);
    door.world.after(minutes(1));
    assert!(door.is_open(&token).await);
    assert_eq!(door.world.count("session.renewed").await, 1);
}

#[tokio::test]
async fn a_session_lasts_though_nothing_can_be_written() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.store().shutdown().await;
    door.world.after(minutes(20));
    assert!(door.is_open(&token).await);
    door.world.after(minutes(11));
    assert!(!door.is_open(&token).await);
}

#[tokio::test]
async fn no_session_outlasts_the_day() {
    let door = Door::new().await;
    let token = door.log_in().await;
    for _ in 0..35 {
        door.world.after(minutes(20));
        assert!(door.is_open(&token).await);
    }
    door.world.after(minutes(20));
    assert!(!door.is_open(&token).await);
    assert_eq!(door.ended().await, EndReason::Expired);
}

#[tokio::test]
async fn a_session_that_ran_out_ends_once() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(30));
    assert!(!door.is_open(&token).await && !door.is_open(&token).await);
    assert_eq!(door.world.count("session.ended").await, 1);
}

#[tokio::test]
async fn the_next_login_ends_what_ran_out() {
    let door = Door::new().await;
    door.log_in().await;
    door.world.after(minutes(31));
    let token = door.log_in().await;
    assert_eq!(door.ended().await, EndReason::Idle);
    assert!(door.is_open(&token).await);
}

#[tokio::test]
async fn who_logs_out_is_out_at_once() {
    let door = Door::new().await;
    let (token, other) = (door.log_in().await, door.log_in().await);
    let caller = door.who(&token).await.unwrap();
    door.login.end(&token_hash(&token), caller).await.unwrap();
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_none());
    assert_eq!(door.ended().await, EndReason::Logout);
    assert!(door.is_open(&other).await);
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let door = Door::new().await;
    let (token, other) = (door.log_in().await, door.log_in().await);
    let command = ChangePassword {
        user_id: DOCTOR,
        current_password: Password::new(PASSWORD),
        new_password: NewPassword::new(NEW_PASSWORD),
    };
    let caller = door.who(&token).await.unwrap();
    door.world.executor.execute(command, Request::of(caller)).await.unwrap();
    assert!(door.is_open(&token).await && !door.is_open(&other).await);
    assert_eq!(door.ended().await, EndReason::PasswordChange);
    assert!(door.try_password(PASSWORD).await.is_err() && door.try_password(NEW_PASSWORD).await.is_ok());
}

#[tokio::test]
async fn only_who_knows_the_password_changes_it() {
    let door = Door::new().await;
    let caller = door.who(&door.log_in().await).await.unwrap();
    let command = ChangePassword {
        user_id: DOCTOR,
        current_password: Password::new("wrong horse battery"),
        new_password: NewPassword::new(NEW_PASSWORD),
    };
    let refusal = refused(door.world.executor.execute(command, Request::of(caller)).await);
    assert_eq!(refusal.code, "wrong-password");
    assert!(door.try_password(PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_reset_password_lets_in_only_to_change_it() {
    let door = Door::new().await;
    let before = door.log_in().await;
    door.world.done(ResetPassword { user_id: DOCTOR, new_password: NewPassword::new(NEW_PASSWORD) }).await;
    assert!(!door.is_open(&before).await);
    let token = door.log_in_with(NEW_PASSWORD).await;
    let caller = door.who(&token).await.unwrap();
    let profile = ask::<ChangeUserProfile>(json!({"user_id": DOCTOR, "last_name": "Luna"}));
    let refusal = refused(door.world.executor.execute(profile, Request::of(caller.clone())).await);
    assert_eq!(refusal.code, "password-change-required");
    let command = ChangePassword {
        user_id: DOCTOR,
        current_password: Password::new(NEW_PASSWORD),
        new_password: NewPassword::new(PASSWORD),
    };
    door.world.executor.execute(command, Request::of(caller)).await.unwrap();
    assert!(!door.who(&token).await.unwrap().must_change_password);
}

#[tokio::test]
async fn a_password_that_must_be_changed_keeps_no_session_from_being_renewed_or_ending() {
    let door = Door::new().await;
    door.world.done(ResetPassword { user_id: DOCTOR, new_password: NewPassword::new(NEW_PASSWORD) }).await;
    let [token, other] = [door.log_in_with(NEW_PASSWORD).await, door.log_in_with(NEW_PASSWORD).await];
    door.world.after(minutes(20));
    let caller = door.who(&token).await.unwrap();
    door.login.end(&token_hash(&token), caller).await.unwrap();
    door.world.after(minutes(20));
    assert!(!door.is_open(&token).await && !door.is_open(&other).await);
    assert_eq!(door.ended().await, EndReason::Idle);
}

#[tokio::test]
async fn other_roles_count_from_then_on() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.done(ask::<ChangeUserRole>(json!({"user_id": DOCTOR, "role_id": role_id("administrator")}))).await;
    let caller = door.who(&token).await.unwrap();
    assert_eq!(caller.role.as_deref(), Some("administrator"));
    assert!(caller.may(crate::Permission::Create(Create::Users)));
    assert!(!caller.may(crate::Permission::Create(Create::Prescriptions)));
}

#[tokio::test]
async fn the_hash_of_a_token_is_sealed_with_the_key_of_the_user() {
    let door = Door::new().await;
    let token = door.log_in().await;
    let session = door.world.last().await.recorded;
    assert_eq!(session.stream_type, Session::STREAM);
    assert_eq!(metadata(&session)["subject"], json!({"type": "user", "id": DOCTOR}));
    assert!(!session.data.contains(&token_hash(&token)), "{}", session.data);
}
