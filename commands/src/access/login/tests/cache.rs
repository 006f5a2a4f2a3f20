//! Sessions in the cache of a node.

use super::*;

#[tokio::test]
async fn a_request_beside_an_open_event_stream_uses_the_session() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(20));
    // The event stream looks the session up first, so the session is in the cache when the request comes.
    door.login.forget_all();
    assert!(door.login.is_still(&token_hash(&token), (None, None)).await.unwrap().is_some());
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_some());
    assert_eq!(door.world.count("session.renewed").await, 1);
    door.world.after(minutes(20));
    assert!(door.is_open(&token).await);
}

#[tokio::test]
async fn after_a_change_of_the_password_the_next_request_works_at_once() {
    let door = Door::new().await;
    door.world.done(ResetPassword { user_id: DOCTOR, new_password: NewPassword::new(NEW_PASSWORD) }).await;
    let token = door.log_in_with(NEW_PASSWORD).await;
    // Another node of the hospital, which has no news of the change either.
    let other = Login::new(Arc::clone(&door.world.executor), LIMITS);
    let mut asked = Vec::new();
    for login in [&door.login, &other] {
        asked.push(login.authenticate(&token, (None, None)).await.unwrap().unwrap());
    }
    assert!(asked.iter().all(|it| it.must_change_password));
    let command = ChangePassword {
        user_id: DOCTOR,
        current_password: Password::new(NEW_PASSWORD),
        new_password: NewPassword::new(PASSWORD),
    };
    door.world.executor.execute(command, Request::of(asked.remove(0))).await.unwrap();
    for login in [&door.login, &other] {
        assert!(!login.authenticate(&token, (None, None)).await.unwrap().unwrap().must_change_password);
    }
}

impl Door {
    /// Whether a session is in the cache and up to date.
    async fn remembers(&self, token: &str) -> bool {
        self.login.remembered(&token_hash(token)).await.is_some()
    }

    /// Puts a session into the cache without renewing it.
    async fn looks_at(&self, token: &str) {
        assert!(self.login.is_still(&token_hash(token), (None, None)).await.unwrap().is_some());
    }

    /// Tells the node of the events after a position, which changed sessions.
    async fn tells(&self, after: usize) {
        for event in &self.world.log().await[after..] {
            self.login.forget(event.stream_id);
        }
    }
}

#[tokio::test]
async fn what_was_looked_up_before_a_change_is_not_remembered_after_it() {
    let door = Door::new().await;
    let token = door.log_in().await;
    let known = door.login.look_up(&token_hash(&token), Use::Waiting).await.unwrap().unwrap();
    door.login.forget(known.caller.session_id.unwrap());
    door.login.remember(token_hash(&token), &known).await;
    assert!(!door.remembers(&token).await);
}

#[tokio::test]
async fn the_renewal_of_a_session_leaves_other_sessions_in_the_cache() {
    let door = Door::new().await;
    let (token, other) = (door.log_in().await, door.log_in().await);
    door.world.after(minutes(20));
    door.looks_at(&other).await;
    let before = door.world.log().await.len();
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_some());
    assert_eq!(door.world.count("session.renewed").await, 1);
    door.tells(before).await;
    assert!(!door.remembers(&token).await && door.remembers(&other).await);
}

#[tokio::test]
async fn a_session_is_forgotten_when_something_changes_that_it_rests_on() {
    let door = Door::of(json!({"password": PASSWORD, "department_id": DEPARTMENT})).await;
    let token = door.log_in().await;
    let session = door.who(&token).await.unwrap().session_id.unwrap();
    for changed in [session, DOCTOR.0, role_id("doctor").0, DEPARTMENT.0] {
        door.looks_at(&token).await;
        door.login.forget(changed);
        assert!(!door.remembers(&token).await, "{changed}");
    }
    door.looks_at(&token).await;
    door.login.forget(role_id("nurse").0);
    assert!(door.remembers(&token).await, "the user has another role");
    door.login.forget_all();
    assert!(!door.remembers(&token).await);
}

#[tokio::test]
async fn requests_that_come_together_renew_a_session_once() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(20));
    let asked = futures::future::join_all((0..20).map(|_| door.login.authenticate(&token, (None, None)))).await;
    assert!(asked.into_iter().all(|it| it.unwrap().is_some()));
    assert_eq!(door.world.count("session.renewed").await, 1);
}

#[tokio::test]
async fn an_unused_session_ends_even_while_it_is_remembered() {
    let door = Door::new().await;
    let token = door.log_in().await;
    assert!(door.is_open(&token).await);
    door.world.after(minutes(30));
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_none());
}
