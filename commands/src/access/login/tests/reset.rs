use hims_domain::password_reset::{Event as ResetEvent, PasswordReset};

use super::*;
use crate::AskForReset;
use crate::password_reset::StartPasswordReset;

impl Door {
    /// Asks for a reset and returns the token that the e-mail would hold.
    async fn asks_for_reset(&self) -> String {
        let asked = AskForReset { email: "rosa@example.org".into() };
        self.login.ask_for_reset(&asked, (None, None)).await.unwrap();
        self.token_of_reset().await
    }

    /// The token that the e-mail of the last request would hold.
    async fn token_of_reset(&self) -> String {
        let ResetEvent::Requested { request_id, .. } = self.world.last_event::<ResetEvent>().await else {
            panic!("not requested")
        };
        reset_token(self.world.store().vault(), DOCTOR, request_id)
    }

    async fn choose(&self, token: &str, new_password: &str) -> Result<(), &'static str> {
        let chosen = ChosenPassword { token: Password::new(token), new_password: NewPassword::new(new_password) };
        match self.login.complete_reset(chosen, (None, None)).await {
            Ok(()) => Ok(()),
            Err(Failure::Refused(refused)) => Err(refused.code),
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[tokio::test]
async fn the_link_sets_a_password_once_and_ends_all_sessions() {
    let door = Door::new().await;
    let session = door.log_in().await;
    let token = door.asks_for_reset().await;
    assert!(door.is_open(&session).await && door.try_password(PASSWORD).await.is_ok(), "nothing has changed yet");
    door.choose(&token, NEW_PASSWORD).await.unwrap();
    assert!(!door.is_open(&session).await);
    assert_eq!(door.ended().await, EndReason::PasswordChange);
    assert!(door.try_password(PASSWORD).await.is_err());
    let session = door.log_in_with(NEW_PASSWORD).await;
    assert!(!door.who(&session).await.unwrap().must_change_password);
    assert_eq!(door.choose(&token, "another horse battery").await, Err("reset-over"));
}

#[tokio::test]
async fn a_link_is_over_after_half_an_hour_after_another_link_and_after_another_password() {
    let door = Door::new().await;
    let first = door.asks_for_reset().await;
    door.world.after(minutes(29));
    let second = door.asks_for_reset().await;
    assert_eq!(door.choose(&first, NEW_PASSWORD).await, Err("reset-over"));
    door.world.after(minutes(30));
    assert_eq!(door.choose(&second, NEW_PASSWORD).await, Err("reset-over"));
    door.world.done(StartPasswordReset { user_id: DOCTOR }).await;
    let third = door.token_of_reset().await;
    door.world.done(ResetPassword { user_id: DOCTOR, new_password: NewPassword::new(NEW_PASSWORD) }).await;
    assert_eq!(door.choose(&third, NEW_PASSWORD).await, Err("reset-over"));
    assert!(door.world.state::<PasswordReset>(PasswordReset::stream_of(DOCTOR)).await.open.is_none());
}

#[tokio::test]
async fn nobody_makes_up_a_link_and_a_weak_password_uses_none_up() {
    let door = Door::new().await;
    let token = door.asks_for_reset().await;
    let other = hex(&door.world.store().vault().blind("other", b""));
    let (named, _) = token.rsplit_once('.').unwrap();
    for made_up in ["a.b.c", &format!("{named}.{other}"), &format!("{token}0"), &token[1..]] {
        assert_eq!(door.choose(made_up, NEW_PASSWORD).await, Err("reset-over"), "{made_up}");
    }
    for weak in ["password1234", "rosa.diaz.rosa"] {
        assert_eq!(door.choose(&token, weak).await, Err("invalid-fields"));
    }
    door.choose(&token, NEW_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_sets_the_password() {
    let door = Door::new().await;
    let token = door.asks_for_reset().await;
    let (one, other) = tokio::join!(door.choose(&token, NEW_PASSWORD), door.choose(&token, "another horse battery"));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}
