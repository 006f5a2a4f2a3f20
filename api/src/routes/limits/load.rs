//! What a node refuses first when it has more to do than it can: reads, which anybody can repeat. Commands are refused
//! when the queue of appends is full, and log-ins are never refused here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web;
use actix_web::{Error, ResponseError as _};

use super::{Limits, limited};
use crate::Settings;
use crate::problem::Problem;

/// How many reads and commands a node is working on.
pub(crate) struct Load {
    reads: Arc<AtomicUsize>,
    most_reads: usize,
    commands: Arc<AtomicUsize>,
    /// From how many commands on there are no reads.
    busy: usize,
}

/// A request that a node is working on, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UnderWay {
    /// Counts a request; also how many there were before.
    fn begin(count: &Arc<AtomicUsize>) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(count)), before)
    }
}

impl Load {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            reads: Arc::default(),
            most_reads: settings.reads_at_once,
            commands: Arc::default(),
            busy: settings.queue.div_ceil(2),
        }
    }

    /// Begins a read, unless the node works on too many, or on half as many commands as may wait to be written.
    fn read(&self) -> Result<UnderWay, Problem> {
        let (under_way, before) = UnderWay::begin(&self.reads);
        if before < self.most_reads && self.commands.load(Ordering::Relaxed) < self.busy {
            return Ok(under_way);
        }
        limited("reads");
        Err(Problem::unavailable("overloaded", "this server has too much to do, so it refuses reads; try again"))
    }

    /// Begins a command whose request has arrived as a whole.
    pub(crate) fn command(&self) -> UnderWay {
        UnderWay::begin(&self.commands).0
    }
}

/// Refuses reads of a node that has too much to do. Not the questions whether the node is well and who the caller is.
pub(crate) async fn shed(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    let is_shed = is_read && request.path().strip_prefix("/api/v1/").is_some_and(|it| !it.starts_with("sessions"));
    let begun = request.app_data::<web::Data<Limits>>().filter(|_| is_shed).map(|it| it.load.read());
    let _under_way = match begun.transpose() {
        Ok(under_way) => under_way,
        Err(problem) => return Ok(request.into_response(problem.error_response())),
    };
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(reads_at_once: usize, queue: usize) -> Load {
        Load::new(&Settings { queue, reads_at_once, ..Settings::default() })
    }

    #[test]
    fn so_many_reads_are_under_way_and_no_more() {
        let load = load(2, 100);
        let [first, second] = [load.read(), load.read()];
        assert!(first.is_ok() && second.is_ok());
        for _ in 0..3 {
            assert!(load.read().is_err());
        }
        drop(first);
        assert!(load.read().is_ok());
    }

    #[test]
    fn reads_are_refused_while_many_commands_are_under_way() {
        let load = load(10, 32);
        let mut commands = Vec::new();
        for nth in 0..30 {
            assert_eq!(load.read().is_ok(), nth < 16, "{nth} commands are under way");
            commands.push(load.command());
        }
        commands.truncate(15);
        assert!(load.read().is_ok());
    }
}
