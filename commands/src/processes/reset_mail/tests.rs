//! E-mails of resets on a log in memory, to a messenger that does what the test says.

use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_domain::role::Role;
use tokio::sync::watch;

use super::*;
use crate::testing::samples::{DOCTOR, ask, defined};
use crate::testing::world::World;
use crate::user::CreateUser;
use crate::{AskForReset, Login, Message, Processes, SessionLimits, role_id};

/// A messenger that answers one thing after the other, and in the end takes everything.
struct Post {
    answers: Mutex<Vec<Undelivered>>,
    given: Mutex<Vec<ResetMail>>,
}

impl Messenger for Post {
    fn send<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        async { Ok(()) }.boxed()
    }

    fn send_reset<'a>(&'a self, mail: &'a ResetMail) -> BoxFuture<'a, Result<(), Undelivered>> {
        self.given.lock().unwrap().push(mail.clone());
        let answer = self.answers.lock().unwrap().pop();
        async move { answer.map_or(Ok(()), Err) }.boxed()
    }
}

/// A hospital whose mail server answers these things, the last one first, and a login of which somebody forgot the
/// password.
async fn hospital(answers: impl Into<Vec<Undelivered>>) -> (World, Arc<Post>, Processes, Login) {
    let world = World::new();
    world.has::<Role>(role_id("doctor"), [defined("doctor")]).await;
    let rosa = json!({"id": DOCTOR, "email": "rosa@example.org", "last_name": "Diaz", "role_id": role_id("doctor"),
                      "password": "correct horse battery"});
    // Hashing the password may have to wait for that of another test, in which time a paused clock would run to the
    // deadline of the command.
    tokio::time::resume();
    world.done(ask::<CreateUser>(rosa)).await;
    tokio::time::pause();
    let post = Arc::new(Post { answers: Mutex::new(answers.into()), given: Mutex::default() });
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
    let messenger: Arc<dyn Messenger> = post.clone();
    let processes = processes.start(ResetMails::new(Arc::clone(&world.executor), messenger));
    let hours = std::time::Duration::from_hours(1);
    let login = Login::new(Arc::clone(&world.executor), SessionLimits { idle: hours, absolute: hours });
    world.settled("reset-mails").await;
    (world, post, processes, login)
}

fn asked(email: &str) -> AskForReset {
    AskForReset { email: email.into() }
}

/// The types of the events after the first ones, which made the hospital.
async fn happened(world: &World) -> Vec<String> {
    world.log().await.into_iter().map(|it| it.event_type).skip(2).collect()
}

#[tokio::test(start_paused = true)]
async fn whether_somebody_has_the_address_changes_neither_number_nor_kind_of_the_events() {
    for (email, mails) in [(" Rosa@example.org", 1), ("nobody@example.org", 0), ("no address", 0)] {
        let (world, post, processes, login) = hospital([]).await;
        login.ask_for_reset(&asked(email), (None, None)).await.unwrap();
        world.settled("reset-mails").await;
        assert_eq!(happened(&world).await, ["password_reset.requested", "password_reset.settled"], "{email}");
        let given = post.given.lock().unwrap().clone();
        assert_eq!(given.len(), mails, "{email}");
        let log: String = world.log().await.into_iter().map(|it| it.data + &it.metadata).collect();
        let told = given.iter().map(|it| it.token.as_str()).chain(["nobody@", "no address"]);
        told.for_each(|it| assert!(!log.contains(it), "{it} is in the log"));
        assert!(given.iter().all(|it| it.address == "rosa@example.org" && !format!("{it:?}").contains(&it.token)));
        processes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_email_that_is_not_taken_is_sent_again_with_the_same_link_until_it_would_be_too_late() {
    let later = || Undelivered::Later("451 try again".to_owned());
    for (fails, outcome) in [(2, Outcome::Sent), (9, Outcome::GaveUp)] {
        let answers: Vec<_> = std::iter::repeat_with(later).take(fails).collect();
        let (world, post, processes, login) = hospital(answers).await;
        login.ask_for_reset(&asked("rosa@example.org"), (None, None)).await.unwrap();
        for minutes in WAITS {
            world.settled("reset-mails").await;
            world.after(TimeDelta::minutes(minutes));
        }
        world.settled("reset-mails").await;
        let Event::Settled { outcome: settled, .. } = world.last_event::<Event>().await else { panic!("not settled") };
        assert_eq!(settled, outcome);
        let given = post.given.lock().unwrap().clone();
        assert_eq!(given.len(), fails.min(WAITS.len()) + 1);
        assert!(given.iter().all(|it| *it == given[0]), "all tries are one e-mail");
        processes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_mail_server_the_link_cannot_be_used() {
    let (world, _, processes, login) = hospital([Undelivered::NotSetUp]).await;
    login.ask_for_reset(&asked("rosa@example.org"), (None, None)).await.unwrap();
    world.settled("reset-mails").await;
    let state = world.state::<PasswordReset>(PasswordReset::stream_of(DOCTOR)).await;
    assert!(state.open.is_none() && state.unsettled.is_empty());
    processes.stop().await;
}
