use std::net::IpAddr;
use std::time::{Duration, Instant};

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
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// The hash of an e-mail address, whether or not a user has the address.
type Login = [u8; 32];

/// Slows down the guessing of passwords.
///
/// Wrong passwords are counted for each network that they come from. After too many, the network has to pause, each
/// time for longer. A login that was right from a network before is counted by itself there, so that others in the same
/// network cannot make its user pause. Wrong passwords from elsewhere are also counted for the login: attempts for this
/// login from elsewhere then wait a little before the password is compared, but none is refused. So a stranger can
/// neither lock a user out nor guess fast from many networks at once.
pub(crate) struct Guesses {
    networks: Delays<Network>,
    logins: Delays<Login>,
    at_home: Delays<(Login, Network)>,
    users: Delays<Uuid>,
    homes: Cache<(Login, Network), ()>,
}

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

    /// Begins a login. Counts as wrong until the login is [right](Guess::was_right) or [forgiven](Guess::forgive).
    pub(crate) async fn begin(&self, email: &str, address: Option<IpAddr>) -> Result<Guess<'_>, Problem> {
        let login: Login = Sha256::digest(email.trim().to_lowercase().as_bytes()).into();
        let Some(network) = address.map(Network::of) else { return Ok(Guess { place: None, attempts: Vec::new() }) };
        let (place, now) = (Some((self, login, network)), Instant::now());
        if self.homes.contains_key(&(login, network)) {
            let attempt = self.at_home.begin((login, network), now).map_err(too_many)?;
            return Ok(Guess { place, attempts: vec![attempt] });
        }
        let from_network = self.networks.begin(network, now).map_err(too_many)?;
        let for_login = self.logins.count(login, now);
        let wait = for_login.pause;
        let guess = Guess { place, attempts: vec![from_network, for_login] };
        tokio::time::sleep(wait).await;
        Ok(guess)
    }

    /// Begins an attempt of a user who is logged in and gives the current password again.
    pub(crate) fn begin_for(&self, user: Uuid) -> Result<Guess<'_>, Problem> {
        let attempt = self.users.begin(user, Instant::now()).map_err(too_many)?;
        Ok(Guess { place: None, attempts: vec![attempt] })
    }
}

fn too_many(pause: Duration) -> Problem {
    limited("passwords");
    let detail = "too many attempts with a wrong password; wait as long as Retry-After says";
    Problem::too_many(pause, detail)
}

/// An attempt that counts as wrong until it is right or forgiven.
pub(crate) struct Guess<'a> {
    place: Option<(&'a Guesses, Login, Network)>,
    attempts: Vec<Attempt>,
}

impl Guess<'_> {
    /// The password was right: the network is a place from where this user logs in.
    pub(crate) fn was_right(self) {
        if let Some((guesses, login, network)) = self.place {
            guesses.homes.insert((login, network), ());
            guesses.at_home.clear(&(login, network));
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
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn guess_wrong(guesses: &Guesses, email: &str, from: &str) -> bool {
        guesses.begin(email, Some(address(from))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_locks_nobody_out() {
        let guesses = Guesses::new(3);
        guesses.begin("rosa@example.org", Some(address("192.0.2.1"))).await.expect("nothing was wrong").was_right();
        for _ in 0..3 {
            assert!(guess_wrong(&guesses, "rosa@example.org", "203.0.113.9").await);
        }
        assert!(!guess_wrong(&guesses, "rosa@example.org", "203.0.113.9").await);
        assert!(!guess_wrong(&guesses, "ivan@example.org", "203.0.113.9").await, "the network pauses");
        // Rosa logs in from where she always does without a wait, and from elsewhere after a short one.
        let asked = tokio::time::Instant::now();
        guesses.begin("Rosa@example.org ", Some(address("192.0.2.1"))).await.expect("she is at home").was_right();
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
        guesses.begin("rosa@example.org", Some(address("192.0.2.1"))).await.expect("nothing was wrong").was_right();
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

    #[test]
    fn a_user_who_gives_the_current_password_again_pauses_alone() {
        let guesses = Guesses::new(2);
        let (rosa, ivan) = (Uuid::from_u128(1), Uuid::from_u128(2));
        guesses.begin_for(rosa).expect("nothing was wrong").forgive();
        for _ in 0..2 {
            assert!(guesses.begin_for(rosa).is_ok());
        }
        assert!(guesses.begin_for(rosa).is_err() && guesses.begin_for(ivan).is_ok());
    }
}
