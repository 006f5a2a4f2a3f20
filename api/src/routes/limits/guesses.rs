use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::delays::{Attempt, Delays};
use super::{Network, limited};
use crate::problem::Problem;

/// The pause after the first wrong password that is too many, and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
/// How long an attempt from elsewhere waits at first, and at most, after too many wrong passwords for a login.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// For how long a network counts as a place from where a user logs in.
pub(crate) const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// The hash of an e-mail address, whether or not a user has the address.
type Login = [u8; 32];

/// Slows down the guessing of passwords.
///
/// Wrong passwords are counted for each network that they come from. After too many, the network has to pause, each
/// time for longer. When the pause is over, the turn belongs to the login that has failed least from there, so that
/// nobody who goes on guessing keeps a newcomer out. A login that was right from a network before is counted by itself
/// there, so that others in the same network cannot make its user pause. Wrong passwords from elsewhere are also
/// counted for the login: attempts for this login from elsewhere then wait a little before the password is compared,
/// but none is refused. So a stranger can neither lock a user out nor guess fast from many networks at once. Right
/// passwords are not counted: attempts at the same time wait for each other until it is known which of them are wrong.
pub(crate) struct Guesses {
    networks: Delays<Network>,
    logins: Delays<Login>,
    at_home: Delays<Home>,
    users: Delays<Uuid>,
    /// The places that this node has seen or looked up. The sessions tell of all others.
    homes: Cache<Home, ()>,
}

/// A login in a network from where its user logs in.
type Home = (Login, Network);

impl Guesses {
    /// Allows so many wrong passwords before the pauses begin.
    pub(super) fn new(free: u32) -> Self {
        let (first, longest) = PAUSES;
        Self {
            networks: Delays::new(free, first, longest),
            logins: Delays::new(free, WAITS.0, WAITS.1),
            at_home: Delays::new(free, first, longest),
            users: Delays::new(free, first, longest),
            homes: Cache::builder().max_capacity(100_000).time_to_live(KNOWN_FOR).build(),
        }
    }

    /// Begins a login. Counts as wrong unless the login is [right](Guess::was_right) or [forgiven](Guess::forgive).
    /// `has_logged_in_from` looks up whether the user has logged in from a network before. It is asked only for those
    /// who would have to pause or to wait.
    pub(crate) async fn begin(
        &self,
        email: &str,
        address: Option<IpAddr>,
        has_logged_in_from: impl AsyncFnOnce(Network) -> bool,
    ) -> Result<Guess<'_>, Problem> {
        let login: Login = Sha256::digest(email.trim().to_lowercase().as_bytes()).into();
        let Some(network) = address.map(Network::of) else { return Ok(Guess { place: None, attempts: Vec::new() }) };
        let home = (login, network);
        let place = Some((self, home));
        if !self.homes.contains_key(&home) {
            let from_network = self.networks.begin(network, Some(login)).await;
            let is_hindered = from_network.is_err() || !self.logins.pause(&login).is_zero();
            if !is_hindered || !has_logged_in_from(network).await {
                let from_network = from_network.map_err(too_many)?;
                let for_login = self.logins.begin_later(login).await;
                return Ok(Guess { place, attempts: vec![from_network, for_login] });
            }
            from_network.into_iter().for_each(Attempt::forgive);
            self.networks.give_up(&network, Some(login));
            self.homes.insert(home, ());
        }
        let attempt = self.at_home.begin(home, None).await.map_err(too_many)?;
        Ok(Guess { place, attempts: vec![attempt] })
    }

    /// Begins an attempt of a user who is logged in and gives the current password again.
    pub(crate) async fn begin_for(&self, user: Uuid) -> Result<Guess<'_>, Problem> {
        let attempt = self.users.begin(user, None).await.map_err(too_many)?;
        Ok(Guess { place: None, attempts: vec![attempt] })
    }
}

fn too_many(pause: Duration) -> Problem {
    limited("passwords");
    let detail = "too many attempts with a wrong password; wait as long as Retry-After says";
    Problem::too_many(pause, detail)
}

/// An attempt that counts as wrong unless it is right or forgiven.
pub(crate) struct Guess<'a> {
    place: Option<(&'a Guesses, Home)>,
    attempts: Vec<Attempt>,
}

impl Guess<'_> {
    /// The password was right: the network is a place from where this user logs in.
    pub(crate) fn was_right(self) {
        if let Some((guesses, home)) = self.place {
            guesses.homes.insert(home, ());
            guesses.at_home.clear(&home);
        }
        self.forgive();
    }

    /// No password was compared, so nothing was guessed.
    pub(crate) fn forgive(self) {
        self.attempts.into_iter().for_each(Attempt::forgive);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn guess_wrong(guesses: &Guesses, email: &str, from: &str) -> bool {
        guesses.begin(email, Some(address(from)), async |_| false).await.is_ok()
    }

    /// A login with the right password from a network that the log does not know.
    async fn log_in(guesses: &Guesses, email: &str, from: &str) {
        let guess = guesses.begin(email, Some(address(from)), async |_| false).await;
        guess.expect("nothing keeps the user out").was_right();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_locks_nobody_out() {
        let guesses = Guesses::new(3);
        log_in(&guesses, "rosa@example.org", "192.0.2.1").await;
        for _ in 0..3 {
            assert!(guess_wrong(&guesses, "rosa@example.org", "203.0.113.9").await);
        }
        assert!(!guess_wrong(&guesses, "rosa@example.org", "203.0.113.9").await);
        assert!(!guess_wrong(&guesses, "ivan@example.org", "203.0.113.9").await, "the network pauses");
        // Rosa logs in from where she always does without a wait, and from elsewhere after a short one.
        let asked = tokio::time::Instant::now();
        log_in(&guesses, "Rosa@example.org ", "192.0.2.1").await;
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert!(guess_wrong(&guesses, "rosa@example.org", "198.51.100.1").await);
        assert!(asked.elapsed() > Duration::ZERO && asked.elapsed() <= WAITS.1, "{:?}", asked.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_from_many_networks_wait_but_none_is_refused() {
        let guesses = Guesses::new(3);
        let began = tokio::time::Instant::now();
        for network in 0..30 {
            assert!(guess_wrong(&guesses, "rosa@example.org", &format!("198.51.{network}.1")).await);
        }
        assert!(began.elapsed() > Duration::from_mins(1), "{:?}", began.elapsed());
        let asked = tokio::time::Instant::now();
        assert!(guess_wrong(&guesses, "rosa@example.org", "198.51.100.1").await);
        assert!(asked.elapsed() <= WAITS.1 + Duration::from_millis(1), "{:?}", asked.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn others_in_the_same_network_make_nobody_pause_who_logged_in_there() {
        let guesses = Guesses::new(3);
        log_in(&guesses, "rosa@example.org", "192.0.2.1").await;
        for _ in 0..4 {
            guess_wrong(&guesses, "ivan@example.org", "192.0.2.1").await;
        }
        assert!(!guess_wrong(&guesses, "ivan@example.org", "192.0.2.1").await);
        for _ in 0..3 {
            assert!(guess_wrong(&guesses, "rosa@example.org", "192.0.2.1").await);
        }
        assert!(!guess_wrong(&guesses, "rosa@example.org", "192.0.2.1").await, "her own wrong passwords count");
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_counts_as_one() {
        let guesses = Guesses::new(3);
        for host in 1..4 {
            assert!(guess_wrong(&guesses, "rosa@example.org", &format!("2001:db8::{host}")).await);
        }
        assert!(!guess_wrong(&guesses, "rosa@example.org", "2001:db8::ffff:4").await);
        assert!(guess_wrong(&guesses, "rosa@example.org", "2001:db8:0:1::1").await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_logged_in_from_a_network_before_is_at_home_there_also_after_a_restart() {
        let guesses = Guesses::new(3);
        for _ in 0..4 {
            guess_wrong(&guesses, "ivan@example.org", "192.0.2.1").await;
        }
        assert!(!guess_wrong(&guesses, "rosa@example.org", "192.0.2.1").await);
        // The log knows that Rosa was here, and that she was elsewhere too.
        let asked = tokio::time::Instant::now();
        for from in ["192.0.2.1", "198.51.100.1"] {
            for _ in 0..4 {
                guess_wrong(&guesses, "rosa@example.org", "203.0.113.9").await;
            }
            let guess = guesses.begin("rosa@example.org", Some(address(from)), async |_| true).await;
            guess.expect("she is at home").was_right();
        }
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert!(guess_wrong(&guesses, "rosa@example.org", "192.0.2.1").await, "the node remembers what it looked up");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_looked_up_for_whom_nothing_hinders() {
        let guesses = Guesses::new(3);
        for _ in 0..3 {
            let asked = async |_| -> bool { panic!("nobody has to pause yet") };
            let guess = guesses.begin("rosa@example.org", Some(address("192.0.2.1")), asked).await;
            assert!(guess.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn right_passwords_at_the_same_time_are_all_compared() {
        let guesses = Guesses::new(20);
        let right = async |from: String| {
            let guess = guesses.begin("rosa@example.org", Some(address(&from)), async |_| false).await?;
            tokio::time::sleep(Duration::from_millis(75)).await;
            guess.was_right();
            Ok::<_, Problem>(())
        };
        let done = join_all((0..60).map(|_| right("192.0.2.1".to_owned()))).await;
        assert!(done.iter().all(Result::is_ok));
        let done = join_all((0..60).map(|number| right(format!("198.51.{number}.1")))).await;
        assert!(done.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_user_who_gives_the_current_password_again_pauses_alone() {
        let guesses = Guesses::new(2);
        let (rosa, ivan) = (Uuid::from_u128(1), Uuid::from_u128(2));
        guesses.begin_for(rosa).await.expect("nothing was wrong").forgive();
        for _ in 0..2 {
            assert!(guesses.begin_for(rosa).await.is_ok());
        }
        assert!(guesses.begin_for(rosa).await.is_err() && guesses.begin_for(ivan).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_for_one_pause_at_most_however_hard_others_guess() {
        let guesses = Guesses::new(3);
        // A stranger guesses for so long that each pause is the longest one.
        let guess = async || guess_wrong(&guesses, "ivan@example.org", "192.0.2.1").await;
        for _ in 0..600 {
            guess().await;
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let newcomer = async || {
            let guess = guesses.begin("rosa@example.org", Some(address("192.0.2.1")), async |_| false).await;
            guess.map(Guess::was_right).is_ok()
        };
        // The newcomer repeats the login when the server says so, and the stranger at every moment.
        let asked = tokio::time::Instant::now();
        while !newcomer().await {
            for _ in 0..50 {
                assert!(!guess().await, "after {:?}", asked.elapsed());
                tokio::time::advance(Duration::from_millis(20)).await;
            }
        }
        assert!(asked.elapsed() <= PAUSES.1 + Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}
