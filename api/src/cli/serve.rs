use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, say};
use crate::wire::Tls;
use crate::{Hospital, Purpose, Settings, server};

pub(super) async fn serve(settings: Settings, demo: bool) -> Result<ExitCode, Failure> {
    // A port that is in use already, and a certificate that cannot be used, are reported before anything is created.
    Tls::of(&settings)?;
    drop(
        std::net::TcpListener::bind(settings.bind)
            .map_err(|error| format!("cannot listen on {}: {error}", settings.bind))?,
    );
    let hospital = Hospital::open(&settings, Purpose::Serve).await?;
    if demo {
        hospital.fill_with_demo().await?;
    } else {
        hospital.define_roles().await?;
        hospital.define_reports().await?;
        if let Some((email, password)) = hospital.make_administrator(&settings).await? {
            say(format_args!(
                "The first administrator: {email}, password {password} (to be changed at the first login)"
            ))?;
        }
    }
    hospital.executor.record_whether_reads_are_recorded(settings.record_reads).await?;
    hospital.warn_of_unknown_roles(&settings).await?;
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
