//! Sessions in the cache of a node.

use super::*;

#[tokio::test]
async fn a_request_beside_an_open_event_stream_uses_the_session() {
    let door = Door::new().await;
    let token = door.log_in().await;
    door.world.after(minutes(20));
    // The event stream looks the session up first, so the session is in the cache when the request comes.
    door.login.forget();
    assert!(door.login.is_still(&token, (None, None)).await.unwrap().is_some());
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_some());
    assert_eq!(door.world.count("session.renewed").await, 1);
    door.world.after(minutes(20));
    assert!(door.is_open(&token).await);
}

#[tokio::test]
async fn after_a_change_of_the_password_the_next_request_works_at_once() {
    let door = Door::new().await;
    door.world.done(ResetPassword { user_id: DOCTOR, new_password: NewPassword::new(NEW_PASSWORD) }).await;
    let token = door.try_password(NEW_PASSWORD).await.unwrap().token;
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

#[tokio::test]
async fn what_was_looked_up_before_a_change_is_not_remembered_after_it() {
    let door = Door::new().await;
    let token = door.log_in().await;
    let generation = door.login.generation.load(Ordering::SeqCst);
    let known = door.login.look_up(&token_hash(&token), Use::Waiting).await.unwrap().unwrap();
    door.login.forget();
    door.login.remember(token_hash(&token), &known, generation).await;
    assert!(door.login.known.get(&token_hash(&token)).await.is_none());
}

#[tokio::test]
async fn an_unused_session_ends_even_while_it_is_remembered() {
    let door = Door::new().await;
    let token = door.log_in().await;
    assert!(door.is_open(&token).await);
    door.world.after(minutes(30));
    assert!(door.login.authenticate(&token, (None, None)).await.unwrap().is_none());
}
