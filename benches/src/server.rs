//! The whole server in this process: a hospital with a doctor and patients, listening.

use std::net::SocketAddr;
use std::pin::Pin;
use std::thread::JoinHandle;

use hims_api::{Hospital, Purpose, Settings, server};
use hims_commands::patient::RegisterPatient;
use hims_commands::{Caller, Password, Request};
use hims_event_store::Position;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::Failure;
use crate::floor::new_id;

/// How many patients there are.
const PATIENTS: usize = 500;

/// A server that listens.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The bearer token of a doctor.
    pub(crate) token: String,
    pub(crate) patients: Vec<Uuid>,
    /// How far the read tables are.
    pub(crate) read_position: watch::Receiver<Position>,
    stop: Stop,
    thread: JoinHandle<()>,
}

/// Stops a server when it is awaited.
type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;
/// The bearer token of a doctor, and patients.
type Known = (String, Vec<Uuid>);
type Ready = (SocketAddr, String, Vec<Uuid>, watch::Receiver<Position>, Stop);

impl Server {
    /// Starts it on a runtime of its own, as `hims serve` does.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failure> {
        Self::run(settings, Purpose::Work, None).await
    }

    /// Starts another node on the database of a server, which has the doctor and the patients.
    pub(crate) async fn start_beside(settings: Settings, other: &Self) -> Result<Self, Failure> {
        Self::run(settings, Purpose::Serve, Some((other.token.clone(), other.patients.clone()))).await
    }

    async fn run(settings: Settings, purpose: Purpose, known: Option<Known>) -> Result<Self, Failure> {
        let (sender, ready) = oneshot::channel::<Result<Ready, String>>();
        let thread = std::thread::spawn(move || {
            let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(sender.send(Err(error.to_string()))),
            };
            runtime.block_on(async move {
                match open(&settings, purpose, known).await {
                    Err(error) => drop(sender.send(Err(error.to_string()))),
                    Ok((listening, ready)) => {
                        drop(sender.send(Ok(ready)));
                        if let Err(error) = listening.serve().await {
                            eprintln!("the server failed: {error}");
                        }
                    }
                }
            });
        });
        let (address, token, patients, read_position, stop) = ready.await??;
        Ok(Self { address, token, patients, read_position, stop, thread })
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        self.stop.await;
        // It has nothing to say.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

async fn open(
    settings: &Settings,
    purpose: Purpose,
    known: Option<Known>,
) -> Result<(server::Listening, Ready), Failure> {
    let hospital = Hospital::open(settings, purpose).await?;
    let (token, patients) = match known {
        Some(known) => known,
        None => fill(&hospital).await?,
    };
    let read_position = hospital.runner.as_ref().ok_or("nothing is projected")?.position.clone();
    let listening = server::listen(settings, hospital)?;
    let ready: Ready = (listening.address, token, patients, read_position, Box::pin(listening.stop()));
    Ok((listening, ready))
}

/// Makes a doctor, who is answered as a bearer token, and patients.
async fn fill(hospital: &Hospital) -> Result<Known, Failure> {
    hospital.fill_with_demo().await?;
    let mut patients = Vec::with_capacity(PATIENTS);
    for nth in 0..PATIENTS {
        let id = new_id();
        let command: RegisterPatient = serde_json::from_value(json!({
            "id": id, "first_name": format!("Given{nth}"), "last_name": format!("Family{nth}"),
            "date_of_birth": "1970-01-01", "gender": "female", "confirm_not_duplicate": true,
        }))?;
        hospital.executor.execute(command, Request::of(Caller::system("bench"))).await?;
        patients.push(id);
    }
    let password = Password::new("demo-hims-2026");
    let session = hospital.login.start("doctor@demo.hims", &password, None, (None, None)).await?;
    Ok((session.token.expose_secret().to_owned(), patients))
}
