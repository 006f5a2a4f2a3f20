//! What is done to the hospital while people work in it.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::Executor as _;

use super::house::House;
use super::load::Load;
use crate::hospital::{Paused, draw};
use crate::support::{STRANDINGS, Stranding};

/// A fault. Each ends when people have worked on for a while, except where nobody can.
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
    /// `kill -9` of the standby, which each commit waits for and which answers reads, and which is started again.
    KillStandby,
    /// The standby stands still and goes on.
    PauseStandby,
    /// The standby receives nothing more, something happens to the commits that wait for it, and it takes the place of
    /// the primary, which is cut off, comes back, and becomes the standby in the end.
    Promote(Stranding),
    /// `kill -9` of the Redis, which is started again, empty.
    KillRedis,
    /// The clock of the third node is off by so many seconds, and put right again.
    WrongClock(i64),
}

const ALL: [Fault; 15] = [
    Fault::KillNode(0),
    Fault::KillNode(1),
    Fault::StopNode(0),
    Fault::StopNode(1),
    Fault::PauseNode(0),
    Fault::PauseNode(1),
    Fault::CutSessions,
    Fault::PauseDatabase,
    Fault::KillDatabase,
    Fault::KillStandby,
    Fault::PauseStandby,
    Fault::KillRedis,
    Fault::WrongClock(20),
    Fault::WrongClock(35 * 86_400),
    Fault::WrongClock(-35 * 86_400),
];

/// How many operations end before the next fault, at least, and while a fault lasts.
const BETWEEN: u64 = 30;
const WITHIN: u64 = 40;

/// All faults, in an order that follows from the draws. The standby is promoted twice, in two of four ways.
pub(super) fn shuffled(state: &mut u64) -> Vec<Fault> {
    let mut faults = ALL.to_vec();
    let first = below(state, STRANDINGS.len());
    let other = (first + 1 + below(state, STRANDINGS.len() - 1)) % STRANDINGS.len();
    faults.extend([first, other].map(|it| Fault::Promote(STRANDINGS[it])));
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
                let mut superuser = house.databases.primary().superuser().await;
                let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                            where pid <> pg_backend_pid() and datname = 'hims'";
                superuser.execute(cut).await.expect("the sessions end");
            }
            Self::PauseDatabase => pause(house.databases.primary().server().pid(), state).await,
            Self::KillDatabase => house.databases.primary_mut().kill().await,
            Self::KillStandby => {
                house.databases.standby_mut().kill().await;
                tokio::time::sleep(Duration::from_millis(draw(state) % 2_500)).await;
            }
            Self::PauseStandby => pause(house.databases.standby().server().pid(), state).await,
            Self::Promote(fate) => {
                house.databases.strand(fate).await;
                house.databases.promote().await;
                load.go_on(WITHIN).await;
                house.databases.bring_back().await;
                load.go_on(WITHIN).await;
                house.databases.make_standby().await;
            }
            Self::KillRedis => {
                house.kill_redis();
                load.go_on(WITHIN).await;
            }
            Self::WrongClock(seconds) => {
                *house.ahead.lock().expect("a lock") = TimeDelta::seconds(seconds);
                load.go_on(WITHIN).await;
            }
        }
        house.heal().await;
        load.struck(self, began);
    }
}

/// Lets a server stand still for a moment. Nobody can record anything meanwhile, so there is nothing else to wait for.
async fn pause(server: u32, state: &mut u64) {
    let paused = Paused::new(server);
    tokio::time::sleep(Duration::from_millis(500 + draw(state) % 2_500)).await;
    drop(paused);
}
