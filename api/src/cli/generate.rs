//! `hims generate`: a made-up hospital of any size.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::ProgressBar;

use super::{Failure, bar, say};
use crate::Settings;
use crate::generate::{self, Progress};

/// How the progress of a part is shown.
const SHOWN: &str = "{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left";

/// Reads a scale.
pub(super) fn scale(text: &str) -> Result<f64, &'static str> {
    let scale = text.parse().ok().filter(|it| (0.0002..=10.0).contains(it));
    scale.ok_or("give a number from 0.0002, which makes 20 patients, to 10, which makes a million")
}

/// Shows one bar for each part of the work.
#[derive(Default)]
struct Bars(Mutex<Option<ProgressBar>>);

impl Progress for Bars {
    fn begin(&self, what: &'static str, steps: u64) {
        let next = bar(Some(steps), SHOWN);
        next.set_message(what);
        if let Some(before) = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(next) {
            before.finish();
        }
    }

    fn at(&self, steps: u64) {
        if let Some(bar) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.set_position(steps);
        }
    }
}

/// Generates a hospital, and tells how much was recorded.
pub(super) async fn generate(settings: &Settings, scale: f64, seed: u64) -> Result<ExitCode, Failure> {
    let (bars, begun) = (Arc::new(Bars::default()), Instant::now());
    let generated = generate::generate(settings, scale, seed, bars.as_ref()).await?;
    if let Some(bar) = &*bars.0.lock().unwrap_or_else(PoisonError::into_inner) {
        bar.finish();
    }
    let (patients, events, position) = (generated.patients, generated.events, generated.position);
    let seconds = begun.elapsed().as_secs();
    say(format_args!("{patients} patients; {events} events recorded up to position {position}, in {seconds} s"))?;
    say("log in as doctor@generated.example, or nurse, receptionist, pharmacist, lab_technician or administrator")?;
    Ok(ExitCode::SUCCESS)
}
