//! The receiver of telemetry.

use super::Findings;
use crate::Settings;
use crate::outside::is_loopback;
use crate::telemetry::{ENDPOINT, endpoint, fault};

/// Whether the receiver takes telemetry, if the settings name one.
pub(super) async fn receiver(settings: &Settings, found: &mut Findings) {
    let url = match endpoint(settings) {
        Ok(Some(url)) => url,
        Ok(None) => return found.fine(format!("telemetry: none is sent ({ENDPOINT})")),
        Err(error) => return found.fault(format!("telemetry: {error}")),
    };
    if url.scheme() == "http" && !is_loopback(&url) {
        found.advice(format!("telemetry: it is sent without encryption: let {ENDPOINT} begin with https://"));
    }
    let settings = settings.clone();
    match tokio::task::spawn_blocking(move || fault(&settings, &url)).await {
        Ok(Ok(None)) => found.fine("telemetry: the receiver takes it"),
        Ok(Ok(Some(fault))) => found.fault(format!(
            "telemetry: the receiver of {ENDPOINT} does not take it ({fault}): start the receiver, or mend the setting"
        )),
        Ok(Err(error)) => found.fault(format!("telemetry: {error}")),
        Err(error) => found.fault(format!("telemetry: the receiver could not be looked at: {error}")),
    }
}
