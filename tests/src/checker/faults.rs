//! What is done to the hospital while people work in it.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::{ConnectOptions as _, Executor as _};

use super::house::House;
use super::load::Load;
use crate::hospital::{Paused, draw};

/// A fault. Each ends when people have worked on for a while, except where nobody can. A change of the primary is one
/// more, once the hospital of the checker has a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9` of the node at this place, which is started again.
    KillNode(usize),
    /// A node is asked to stop (`SIGTERM`), and started again.
    StopNode(usize),
    /// A node stands still (`SIGSTOP`) and goes on.
    PauseNode(usize),
    /// Every session with the database is ended by an administrator.
    CutSessions,
    /// The database and all its sessions stand still and go on.
    PauseDatabase,
    /// `kill -9` of the database, which is started again.
    KillDatabase,
    /// The clock of the third node is off by so many seconds, and put right again.
    WrongClock(i64),
}

const ALL: [Fault; 12] = [
    Fault::KillNode(0),
    Fault::KillNode(1),
    Fault::StopNode(0),
    Fault::StopNode(1),
    Fault::PauseNode(0),
    Fault::PauseNode(1),
    Fault::CutSessions,
    Fault::PauseDatabase,
    Fault::KillDatabase,
    Fault::WrongClock(20),
    Fault::WrongClock(35 * 86_400),
    Fault::WrongClock(-35 * 86_400),
];

/// How many operations end before the next fault, at least, and while a fault lasts.
const BETWEEN: u64 = 30;
const WITHIN: u64 = 40;

/// All faults, in an order that follows from the draws.
pub(super) fn shuffled(state: &mut u64) -> Vec<Fault> {
    let mut faults = ALL.to_vec();
    for nth in (1..faults.len()).rev() {
        faults.swap(nth, below(state, nth + 1));
    }
    faults
}

fn below(state: &mut u64, bound: usize) -> usize {
    usize::try_from(draw(state)).unwrap_or(0) % bound
}

impl Fault {
    /// Whether it ends the process of the first node, whose memory is watched.
    pub(super) fn ends_the_first(self) -> bool {
        matches!(self, Self::KillNode(0) | Self::StopNode(0))
    }

    /// Waits until people have worked for a while, strikes, and returns when everything runs again.
    pub(super) async fn strike(self, house: &mut House, load: &Load, state: &mut u64) {
        load.go_on(BETWEEN + draw(state) % BETWEEN).await;
        let began = load.now();
        match self {
            Self::KillNode(place) => house.end(place, "KILL").await,
            Self::StopNode(place) => house.end(place, "TERM").await,
            Self::PauseNode(place) => {
                let node = house.nodes[place].as_ref().expect("a node");
                node.signal("STOP");
                load.go_on(WITHIN).await;
                node.signal("CONT");
            }
            Self::CutSessions => {
                let options = house.database.as_ref().expect("a database").superuser_options();
                let mut superuser = options.connect().await.expect("a superuser's connection");
                let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                            where pid <> pg_backend_pid() and datname = 'hims'";
                superuser.execute(cut).await.expect("the sessions end");
            }
            Self::PauseDatabase => {
                let paused = Paused::new(house.database.as_ref().expect("a database").pid());
                // Nobody can work, so there is nothing else to wait for.
                tokio::time::sleep(Duration::from_millis(500 + draw(state) % 2_500)).await;
                drop(paused);
            }
            Self::KillDatabase => house.kill_database().await,
            Self::WrongClock(seconds) => {
                *house.ahead.lock().expect("a lock") = TimeDelta::seconds(seconds);
                load.go_on(WITHIN).await;
            }
        }
        house.heal().await;
        load.struck(self, began);
    }
}
