use std::collections::BTreeSet;

use hims_domain::user::Event as UserEvent;
use totp_rs::{Builder, Secret};

use super::*;
use crate::access::one_time::MOST_WRONG_CODES;
use crate::user::RemoveSecondFactor;

/// A user with a second factor, and what the user was told of it.
struct Secured {
    door: Door,
    secret: String,
    recovery_codes: Vec<String>,
}

impl Secured {
    /// Rosa enrols and confirms a second factor. Five minutes later no code was used for a while.
    async fn new() -> Self {
        let door = Door::new().await;
        let caller = door.who(&door.log_in().await).await.unwrap();
        let enrolment = Enrolment { current_password: Password::new(PASSWORD) };
        let secret = door.login.enrol(enrolment, caller.clone()).await.unwrap().secret.expose_secret().to_owned();
        let first = FirstCode { code: code_of(&secret, door.world.executor.now()) };
        let recovery_codes = door.login.confirm(first, caller).await.unwrap();
        door.world.after(minutes(5));
        Self { door, secret, recovery_codes }
    }

    async fn try_code(&self, code: Option<&OneTimeCode>) -> Result<LoggedIn, LoginFailure> {
        self.door.login.start("rosa@example.org", &Password::new(PASSWORD), code, (None, None)).await
    }

    /// The code of now.
    fn code(&self) -> OneTimeCode {
        code_of(&self.secret, self.door.world.executor.now())
    }
}

fn code_of(secret: &str, now: DateTime<Utc>) -> OneTimeCode {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    OneTimeCode::new(&totp.generate(u64::try_from(now.timestamp()).unwrap()).to_string())
}

#[tokio::test]
async fn the_code_is_asked_for_only_after_the_right_password() {
    let secured = Secured::new().await;
    assert!(matches!(secured.door.try_password("wrong horse battery").await, Err(LoginFailure::Wrong)));
    let events = secured.door.world.log().await.len();
    assert!(matches!(secured.try_code(None).await, Err(LoginFailure::CodeNeeded)));
    assert_eq!(secured.door.world.log().await.len(), events, "who only learns that a code is needed has not failed");
    let (password, code) = (Password::new("wrong horse battery"), secured.code());
    let wrong = secured.door.login.start("rosa@example.org", &password, Some(&code), (None, None));
    assert!(matches!(wrong.await, Err(LoginFailure::Wrong)));
    let token = secured.try_code(Some(&secured.code())).await.unwrap().token.expose_secret().to_owned();
    assert!(secured.door.is_open(&token).await);
}

#[tokio::test]
async fn a_code_is_good_once_also_at_another_node() {
    let secured = Secured::new().await;
    let other = Login::new(Arc::new(secured.door.world.another_node()), LIMITS);
    let code = secured.code();
    let password = Password::new(PASSWORD);
    let elsewhere = other.start("rosa@example.org", &password, Some(&code), (None, None));
    let (here, there) = tokio::join!(secured.try_code(Some(&code)), elsewhere);
    assert_eq!([&here, &there].iter().filter(|it| it.is_ok()).count(), 1, "{here:?} {there:?}");
    let refused = [here, there].into_iter().find_map(Result::err).unwrap();
    assert!(matches!(refused, LoginFailure::WrongCode), "{refused:?}");
    assert!(matches!(secured.try_code(Some(&code)).await, Err(LoginFailure::WrongCode)));
    secured.door.world.after(minutes(1));
    assert!(secured.try_code(Some(&secured.code())).await.is_ok());
}

#[tokio::test]
async fn each_recovery_code_is_good_once() {
    let secured = Secured::new().await;
    let distinct: BTreeSet<_> = secured.recovery_codes.iter().collect();
    assert_eq!(distinct.len(), 10);
    for (nth, code) in secured.recovery_codes.iter().map(|it| OneTimeCode::new(it)).enumerate() {
        assert!(secured.try_code(Some(&code)).await.is_ok(), "{nth}");
        assert!(matches!(secured.try_code(Some(&code)).await, Err(LoginFailure::WrongCode)), "{nth}");
    }
}

#[tokio::test]
async fn too_many_wrong_codes_leave_only_the_recovery_codes() {
    let secured = Secured::new().await;
    let wrong = OneTimeCode::new("nothing");
    for _ in 0..MOST_WRONG_CODES {
        assert!(matches!(secured.try_code(Some(&wrong)).await, Err(LoginFailure::WrongCode)));
    }
    let refused = UserEvent::CodeRefused { wrong_codes: MOST_WRONG_CODES };
    assert_eq!(secured.door.world.last_event::<UserEvent>().await, refused);
    assert!(matches!(secured.try_code(Some(&secured.code())).await, Err(LoginFailure::CodesLocked)));
    let recovery = OneTimeCode::new(&secured.recovery_codes[3]);
    assert!(secured.try_code(Some(&recovery)).await.is_ok());
    assert!(secured.try_code(Some(&secured.code())).await.is_ok());
}

#[tokio::test]
async fn neither_the_secret_nor_a_recovery_code_is_in_the_log() {
    let secured = Secured::new().await;
    for told in secured.recovery_codes.iter().chain([&secured.secret]) {
        let log = secured.door.world.log().await;
        assert!(log.iter().all(|it| !it.data.contains(told.as_str()) && !it.metadata.contains(told.as_str())));
    }
}

#[tokio::test]
async fn whoever_has_a_role_that_demands_a_second_factor_can_do_nothing_but_enrol() {
    let Door { world, login } = Door::new().await;
    let demanded = SecondFactors { roles: BTreeSet::from(["doctor".to_owned()]), ..SecondFactors::default() };
    let door = Door { login: login.with_second_factors(demanded), world };
    let token = door.log_in().await;
    let caller = door.who(&token).await.unwrap();
    let profile = || ask::<ChangeUserProfile>(json!({"user_id": DOCTOR, "last_name": "Luna"}));
    let refusal = refused(door.world.executor.execute(profile(), Request::of(caller.clone())).await);
    assert_eq!(refusal.code, "second-factor-required");
    // The session is renewed and ended all the same.
    door.world.after(minutes(20));
    assert!(door.is_open(&token).await);
    assert_eq!(door.world.count("session.renewed").await, 1);
    let enrolment = Enrolment { current_password: Password::new(PASSWORD) };
    let secret = door.login.enrol(enrolment, caller.clone()).await.unwrap().secret.expose_secret().to_owned();
    assert!(door.who(&token).await.unwrap().must_enrol_second_factor, "the second factor is not confirmed");
    let first = FirstCode { code: code_of(&secret, door.world.executor.now()) };
    door.login.confirm(first, caller).await.unwrap();
    let caller = door.who(&token).await.unwrap();
    door.world.executor.execute(profile(), Request::of(caller.clone())).await.unwrap();
    // Without the second factor the user has to enrol again.
    let removal = ask::<RemoveSecondFactor>(json!({"user_id": DOCTOR, "reason": "lost the telephone"}));
    door.world.done(removal).await;
    assert!(!door.is_open(&token).await);
    let token = door.log_in().await;
    assert!(door.who(&token).await.unwrap().must_enrol_second_factor);
    door.login.end(&token, door.who(&token).await.unwrap()).await.unwrap();
}
