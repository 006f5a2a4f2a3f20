use super::*;

fn promote() -> ChangeUserRole {
    ask(json!({"user_id": DOCTOR, "role_id": role_id("administrator")}))
}

fn proof(password: &str) -> Proof {
    Proof { password: Password::new(password), code: None }
}

#[tokio::test]
async fn a_login_proves_who_somebody_is_for_ten_minutes_and_so_does_the_password_again() {
    let door = Door::of(json!({"password": PASSWORD, "role_id": role_id("administrator")})).await;
    let token = door.log_in().await;
    let caller = door.who(&token).await.unwrap();
    let demote = || ask::<ChangeUserRole>(json!({"user_id": DOCTOR, "additional_role_ids": [role_id("nurse")]}));
    door.world.executor.execute(demote(), Request::of(caller.clone())).await.unwrap();
    door.world.after(minutes(10));
    let refusal = refused(door.world.executor.execute(promote(), Request::of(caller.clone())).await);
    assert_eq!(refusal.code, "confirm-identity");
    let wrong = door.login.confirm_identity(proof("wrong horse battery"), caller.clone()).await;
    assert!(matches!(wrong, Err(LoginFailure::Wrong)));
    let event = AccessEvent::LoginFailed {
        command: "confirm-identity".to_owned(),
        user_id: Some(DOCTOR),
        code: "wrong-password".to_owned(),
    };
    assert_eq!(door.world.last_event::<AccessEvent>().await, event);
    let until = door.login.confirm_identity(proof(PASSWORD), caller.clone()).await.unwrap();
    assert_eq!(until, door.world.executor.now() + minutes(10));
    door.world.after(minutes(9));
    door.world.executor.execute(promote(), Request::of(caller.clone())).await.unwrap();
    door.world.after(minutes(1));
    let refusal = refused(door.world.executor.execute(promote(), Request::of(caller)).await);
    assert_eq!(refusal.code, "confirm-identity");
}

#[tokio::test]
async fn parts_of_the_system_prove_nothing() {
    let door = Door::new().await;
    door.world.after(minutes(60));
    door.world.done(promote()).await;
}
