//! The making of reports on a log in memory, by a maker that does what the test says.

use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::{BoxFuture, pending, ready};
use hims_domain::report::report_of;
use hims_domain::report_execution::{Asked, Event, Status};
use hims_domain::role::{self, Definition, Permissions, Role};
use hims_event_store::StoreError;
use hims_testing::sample;
use uuid::Uuid;

use super::*;
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, created};
use crate::report_execution::CancelReportExecution;
use crate::testing::world::{World, user};
use crate::{Processes, role_id, system_roles};

/// What the maker does with a report.
#[derive(Debug, Clone)]
enum Does {
    Makes,
    Fails(NotMade),
    /// Begins, comes to a percentage, and does not end.
    Hangs(i32),
}

/// A maker that remembers for whom it made reports, and which files it deleted.
struct Maker {
    does: Mutex<Does>,
    made: Mutex<Vec<Caller>>,
    forgotten: Mutex<Vec<ReportExecutionId>>,
}

impl Maker {
    fn that(does: Does) -> Arc<Self> {
        Arc::new(Self { does: Mutex::new(does), made: Mutex::default(), forgotten: Mutex::default() })
    }
}

impl ReportMaker for Maker {
    fn make<'a>(&'a self, wanted: &'a ReportWanted) -> BoxFuture<'a, Result<ReportFile, NotMade>> {
        self.made.lock().unwrap().push(wanted.caller.clone());
        match self.does.lock().unwrap().clone() {
            Does::Makes => {
                let file = ReportFile { position: 7, row_count: 2, byte_count: 90, sha256: "ab".repeat(32) };
                ready(Ok(file)).boxed()
            }
            Does::Fails(why) => ready(Err(why)).boxed(),
            Does::Hangs(percent) => {
                wanted.has_come_to(percent);
                pending().boxed()
            }
        }
    }

    fn forget(&self, id: ReportExecutionId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.forgotten.lock().unwrap().push(id);
        ready(Ok(())).boxed()
    }
}

/// A hospital in which a doctor may have the report.
async fn hospital() -> World {
    let (_, definition) = system_roles().into_iter().find(|(id, _)| *id == role_id("doctor")).expect("a role");
    hospital_with(definition).await
}

/// A hospital in which doctors may do what a role says.
async fn hospital_with(definition: Definition) -> World {
    let world = World::new();
    world.has::<Role>(role_id("doctor"), [role::Event::Defined { definition, is_system_role: true }]).await;
    world.has::<User>(DOCTOR, [created()]).await;
    world.has::<Report>(report_of("daily-schedule"), [sample::<Report>("defined")]).await;
    world
}

fn node(world: &World, maker: &Arc<Maker>) -> Processes {
    let position = world.executor.store().head();
    let maker: Arc<dyn ReportMaker> = maker.clone();
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), position);
    processes.start(Reports::new(Arc::clone(&world.executor), maker))
}

const EXECUTION: ReportExecutionId = ReportExecutionId(Uuid::from_u128(0xa2));

fn queued_by(user_id: hims_domain::UserId) -> Event {
    let Event::Queued(asked) = sample::<ReportExecution>("queued") else { panic!("it is queued") };
    let report_id = report_of("daily-schedule");
    Event::Queued(Box::new(Asked { report_id, requested_by: user_id, ..*asked }))
}

/// The execution after the process has done what it could.
async fn run(world: &World, maker: &Arc<Maker>, event: Event) -> Arc<ReportExecution> {
    let processes = node(world, maker);
    world.settled("reports").await;
    world.has::<ReportExecution>(EXECUTION, [event]).await;
    world.settled("reports").await;
    processes.stop().await;
    world.state::<ReportExecution>(EXECUTION).await
}

#[tokio::test(start_paused = true)]
async fn a_report_is_made_as_the_one_who_asked_and_its_file_is_kept_for_thirty_days() {
    let (world, maker) = (hospital().await, Maker::that(Does::Makes));
    let execution = run(&world, &maker, queued_by(DOCTOR)).await;
    let made = execution.made.clone().expect("a file");
    assert_eq!((execution.status, made.as_of_position, made.row_count), (Status::Succeeded, 7, 2));
    let caller = maker.made.lock().unwrap().pop().expect("a caller");
    assert_eq!((caller.user_id(), caller.role.as_deref(), caller.is_system), (Some(DOCTOR), Some("doctor"), false));
    let processes = node(&world, &maker);
    world.after(TimeDelta::days(29));
    world.settled("reports").await;
    assert_eq!(*maker.forgotten.lock().unwrap(), []);
    world.after(TimeDelta::days(1));
    world.settled("reports").await;
    assert_eq!(*maker.forgotten.lock().unwrap(), [EXECUTION]);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_fails_when_whoever_asked_is_not_active_or_may_not_have_it() {
    let (world, maker) = (hospital().await, Maker::that(Does::Makes));
    let execution = run(&world, &maker, queued_by(OTHER_DOCTOR)).await;
    assert_eq!(execution.failure, Some(FailureReason::OwnerInactive));
    let (_, definition) = system_roles().into_iter().find(|(id, _)| *id == role_id("doctor")).expect("a role");
    let nothing = Definition { permissions: Permissions::default(), ..definition };
    let (world, maker) = (hospital_with(nothing).await, Maker::that(Does::Makes));
    let execution = run(&world, &maker, queued_by(DOCTOR)).await;
    assert_eq!((execution.failure, maker.made.lock().unwrap().len()), (Some(FailureReason::Forbidden), 0));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_made_fails_and_one_that_can_be_made_later_waits() {
    let too_large = Does::Fails(NotMade::For(FailureReason::TooLarge));
    let (world, maker) = (hospital().await, Maker::that(too_large));
    assert_eq!(run(&world, &maker, queued_by(DOCTOR)).await.failure, Some(FailureReason::TooLarge));
    let (world, maker) = (hospital().await, Maker::that(Does::Fails(NotMade::Later("a rebuild runs".to_owned()))));
    assert_eq!(run(&world, &maker, queued_by(DOCTOR)).await.status, Status::Running);
    *maker.does.lock().unwrap() = Does::Makes;
    let processes = node(&world, &maker);
    world.after(LATER);
    world.settled("reports").await;
    assert_eq!(world.state::<ReportExecution>(EXECUTION).await.status, Status::Succeeded);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_shows_its_progress_and_ends_when_it_is_cancelled() {
    let (world, maker) = (hospital().await, Maker::that(Does::Hangs(40)));
    let processes = node(&world, &maker);
    world.settled("reports").await;
    world.has::<ReportExecution>(EXECUTION, [queued_by(DOCTOR)]).await;
    while world.count("report_execution.progressed").await == 0 {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.state::<ReportExecution>(EXECUTION).await.progress, 40);
    let cancel = CancelReportExecution { report_execution_id: EXECUTION };
    world.executor.execute(cancel, Request::of(user(DOCTOR, "doctor"))).await.expect("cancelled");
    world.settled("reports").await;
    assert_eq!(*maker.forgotten.lock().unwrap(), [EXECUTION]);
    assert_eq!(world.state::<ReportExecution>(EXECUTION).await.status, Status::Cancelled);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_node_makes_a_report_that_a_stopped_node_had_begun() {
    let (world, maker) = (hospital().await, Maker::that(Does::Hangs(1)));
    let processes = node(&world, &maker);
    world.settled("reports").await;
    world.has::<ReportExecution>(EXECUTION, [queued_by(DOCTOR)]).await;
    while maker.made.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(100)).await;
    }
    processes.stop().await;
    *maker.does.lock().unwrap() = Does::Makes;
    let processes = node(&world, &maker);
    world.settled("reports").await;
    let state = world.state::<ReportExecution>(EXECUTION).await;
    assert_eq!((state.status, world.count("report_execution.started").await), (Status::Succeeded, 1));
    processes.stop().await;
}
