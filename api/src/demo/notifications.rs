//! What the demo's users are told, what they have read, and how they want to be told.

use hims_commands::notification::{MarkNotificationRead, SendNotification};
use hims_commands::notification_preferences::SetNotificationPreferences;
use serde_json::json;

use super::giving::by;
use super::{PATIENT, USER, id};
use crate::{Hospital, HospitalError};

const NOTIFICATION: u16 = 15;

/// The notifications within the program: kind of the recipient, its number, title, text.
const TOLD: [(&str, u16, u128, &str, &str); 3] = [
    ("user_id", USER, 3, "Fire drill on Thursday", "The drill begins at two in the afternoon; lifts are out of use."),
    ("user_id", USER, 2, "Fire drill on Thursday", "The drill begins at two in the afternoon; lifts are out of use."),
    ("patient_id", PATIENT, 1, "Welcome", "Here you find your visits, prescriptions and results."),
];

impl Hospital {
    /// Sends some notifications, one of which is read, and says how two people want to be notified.
    pub(super) async fn notifications(&self) -> Result<(), HospitalError> {
        for (number, (kind, of, whom, title, message)) in (1..).zip(TOLD) {
            self.demo::<SendNotification>(json!({
                "id": id(NOTIFICATION, number), "type": "system", "title": title, "message": message,
                "recipients": [{kind: id(of, whom), "channel": "in_app"}],
            }))
            .await?;
        }
        // The doctor has read of the fire drill.
        self.step::<MarkNotificationRead>(1, json!({"notification_id": id(NOTIFICATION, 2)}), by(2)).await?;
        self.demo::<SetNotificationPreferences>(json!({
            "user_id": id(USER, 3), "channels": {"low_stock": ["in_app"]}, "quiet_from": "20:00",
        }))
        .await?;
        self.demo::<SetNotificationPreferences>(json!({
            "patient_id": id(PATIENT, 8), "channels": {"appointment_reminder": ["sms"]}, "language": "pt",
        }))
        .await
    }
}
