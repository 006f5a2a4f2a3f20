//! Attempts to use a passkey: for how long they are good, and for whom.

use hims_domain::{PasskeyId, Personal};

use super::*;
use crate::Passkeys;
use crate::session::UsedPasskey;

impl Door {
    /// The same door, at which passkeys open too.
    fn with_passkeys(self) -> Self {
        let passkeys = Passkeys::of_pages("https://hims.example.org/login", "Hill");
        let login = Login::new(Arc::clone(&self.world.executor), LIMITS).with_passkeys(passkeys);
        Self { login, ..self }
    }

    async fn begin(&self, email: &str) -> Challenge {
        let asked = AskForChallenge { email: email.into() };
        self.login.by_passkey().unwrap().ask(&asked).await.unwrap()
    }

    /// Ends a login with something that no browser made.
    async fn complete(&self, email: &str, attempt: &str) -> LoginFailure {
        let given = SignedLogin { email: email.into(), attempt: attempt.into(), credential: ask(json!({})) };
        self.login.by_passkey().unwrap().start(&given, (None, None)).await.unwrap_err()
    }
}

#[tokio::test]
async fn an_attempt_is_good_for_five_minutes_for_the_address_for_which_it_began() {
    let door = Door::new().await.with_passkeys();
    let attempt = door.begin("Rosa@Example.org ").await.attempt;
    let other = door.begin("ivan@example.org").await.attempt;
    // An attempt that is good goes on to the signature, also for an address that nobody has.
    for (email, attempt) in [("rosa@example.org", &attempt), ("ivan@example.org", &other)] {
        let failure = door.complete(email, attempt).await;
        assert!(matches!(failure, LoginFailure::WrongPasskey), "{failure:?}");
    }
    let longer = attempt.replacen('.', ".9", 1);
    for (email, attempt) in
        [("ivan@example.org", attempt.as_str()), ("rosa@example.org", &longer), ("rosa@example.org", "")]
    {
        let failure = door.complete(email, attempt).await;
        assert!(matches!(failure, LoginFailure::AttemptOver), "{attempt}: {failure:?}");
    }
    door.world.after(minutes(5) - TimeDelta::milliseconds(1));
    assert!(matches!(door.complete("rosa@example.org", &attempt).await, LoginFailure::WrongPasskey));
    door.world.after(TimeDelta::milliseconds(1));
    assert!(matches!(door.complete("rosa@example.org", &attempt).await, LoginFailure::AttemptOver));
}

#[tokio::test]
async fn every_node_knows_an_attempt_and_each_attempt_has_a_challenge_of_its_own() {
    let door = Door::new().await.with_passkeys();
    let [one, other] = [door.begin("rosa@example.org").await, door.begin("rosa@example.org").await];
    assert_ne!((&one.attempt, &one.options["challenge"]), (&other.attempt, &other.options["challenge"]));
    assert_ne!(one.options["challenge"], other.options["challenge"]);
    let passkeys = Passkeys::of_pages("https://hims.example.org", "Hill");
    let elsewhere = Login::new(Arc::new(door.world.another_node()), LIMITS).with_passkeys(passkeys);
    let there = Door { login: elsewhere, world: door.world };
    assert!(matches!(there.complete("rosa@example.org", &one.attempt).await, LoginFailure::WrongPasskey));
}

#[tokio::test]
async fn who_signs_with_a_passkey_that_changes_before_the_session_begins_has_failed_to_log_in() {
    let door = Door::new().await.with_passkeys();
    let user = door.world.state::<User>(DOCTOR).await;
    let compared_with = Personal::Known("as it was when the signature was checked".to_owned());
    let used = UsedPasskey { passkey_id: PasskeyId(Uuid::from_u128(7)), compared_with, credential: None };
    let passkeys = door.login.by_passkey().unwrap();
    let begun = passkeys.begin_session((DOCTOR, &user), used, at_login((None, None))).await;
    let Err(LoginFailure::Failure(failure)) = begun else { panic!("{begun:?}") };
    assert_eq!(refused(Err(failure)).code, "user-changed");
    let (command, code) = ("start-passkey-session".to_owned(), "user-changed".to_owned());
    let failed = AccessEvent::LoginFailed { command, user_id: Some(DOCTOR), code };
    assert_eq!(door.world.last_event::<AccessEvent>().await, failed);
}

#[tokio::test]
async fn without_pages_that_may_use_them_there_are_no_passkeys() {
    assert!(Door::new().await.login.by_passkey().is_none());
}
