use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, say};
use crate::hospital::patiently;
use crate::wire::Tls;
use crate::{Hospital, HospitalError, Purpose, Settings, server};

pub(super) async fn serve(settings: Settings, demo: bool) -> Result<ExitCode, Failure> {
    // A port that is in use already, and a certificate that cannot be used, are reported before anything is created.
    Tls::of(&settings)?;
    drop(
        std::net::TcpListener::bind(settings.bind)
            .map_err(|error| format!("cannot listen on {}: {error}", settings.bind))?,
    );
    let hospital = Hospital::open(&settings, Purpose::Serve).await?;
    if let Some((email, password)) = patiently(async || set_up(&hospital, &settings, demo).await).await? {
        say(format_args!("The first administrator: {email}, password {password} (to be changed at the first login)"))?;
    }
    let database_ended = hospital.database_ended();
    let listening = server::listen(&settings, hospital)?;
    // Whoever reads where the server listens can stop it in good order.
    let asked_to_stop = asked_to_stop()?;
    // The server serves even if nobody can read where it listens.
    let _ = say(format_args!("AROCORD-HIMS listens on {0} (try it: {0}/docs/)", listening.url()));
    let stop = listening.stop();
    let stopping = tokio::spawn(async move {
        let is_asked = tokio::select! {
            () = asked_to_stop => true,
            () = database_ended => false,
        };
        tracing::info!("stopping: soon new requests are refused, and appends that wait are written");
        stop.await;
        is_asked
    });
    listening.serve().await?;
    if stopping.await? {
        return Ok(ExitCode::SUCCESS);
    }
    let log = settings.data_dir.join("postgres.log");
    Err(format!("PostgreSQL ended, see {}; start the server again: nothing that was answered is lost", log.display())
        .into())
}

/// Records what every hospital begins with, as far as it is missing. Returns the address and the password of an
/// administrator whose password was made up.
async fn set_up(
    hospital: &Hospital,
    settings: &Settings,
    demo: bool,
) -> Result<Option<(String, String)>, HospitalError> {
    if demo {
        hospital.fill_with_demo().await?;
    } else {
        hospital.define_roles().await?;
        hospital.define_reports().await?;
    }
    hospital.executor.record_whether_reads_are_recorded(settings.record_reads).await?;
    hospital.warn_of_unknown_roles(settings).await?;
    // Comes last: a password that was made up is told once.
    if demo { Ok(None) } else { hospital.make_administrator(settings).await }
}

/// Listens from now on for Ctrl-C and for SIGTERM, which a service manager sends; what is returned ends with the first.
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
