use std::process::ExitCode;
use std::str::FromStr;

use clap::Subcommand;
use hims_projections::Standing;
use hims_projections::migrations::{self, Loss};
use hims_projections::presence::Alone;
use sqlx::PgPool;

use super::{Failure, say};
use crate::database::Database;
use crate::{Purpose, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum Direction {
    /// Apply the missing migrations
    Up,
    /// Take back the last migrations, while no server and no other program works with the database
    Down {
        /// How many migrations to take back, or `all`
        #[arg(default_value = "1")]
        steps: Steps,
        /// Also take back the migrations that keep the log, which deletes every event for good
        #[arg(long)]
        delete_all_events: bool,
    },
    /// List the migrations
    Status,
}

/// How many migrations are taken back; `None` for all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps(Option<usize>);

impl FromStr for Steps {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(None)),
            number => number.parse().map(|it| Self(Some(it))).map_err(|_| "give a number of migrations, or all"),
        }
    }
}

pub(super) async fn migrate(settings: &Settings, direction: Direction) -> Result<ExitCode, Failure> {
    // Only `up` may create a database where there is none.
    let purpose = if matches!(direction, Direction::Up) { Purpose::Work } else { Purpose::Inspect };
    let database = Database::open(settings, purpose).await?;
    let pool = database.migrator();
    let done = go(&pool, direction).await;
    pool.close().await;
    database.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn go(pool: &PgPool, direction: Direction) -> Result<(), Failure> {
    match direction {
        Direction::Up => migrations::up(pool).await?,
        Direction::Down { steps, delete_all_events } => {
            let loss = if delete_all_events { Loss::AllEvents } else { Loss::NoEvent };
            let alone = Alone::claim(pool).await?;
            let done = migrations::down(pool, steps.0, loss).await;
            alone.end().await;
            done?;
        }
        Direction::Status => {}
    }
    for migration in migrations::status(pool).await? {
        let applied =
            migration.applied_at.map_or_else(|| "pending".to_owned(), |it| format!("applied {}", it.to_rfc3339()));
        say(format_args!("{:04} {:<20} {applied}", migration.version, migration.description))?;
    }
    if matches!(direction, Direction::Up) && migrations::standing(pool).await? == Standing::Due {
        say(
            "The read tables have the form of another release. They go on answering until a server or `hims rebuild` \
             has made new ones.",
        )?;
    }
    Ok(())
}
