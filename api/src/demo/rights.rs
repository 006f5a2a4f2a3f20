//! What the demo's patients may ask for beside their care: a request to amend a record, and a disclosure of which there
//! is an account.

use chrono::TimeDelta;
use hims_commands::amendment_request::RequestAmendment;
use hims_commands::disclosure::RecordDisclosure;
use serde_json::json;

use super::charts::HISTORY;
use super::{PATIENT, id};
use crate::{Hospital, HospitalError};

const REQUEST: u16 = 0x72;
const DISCLOSURE: u16 = 0x73;

impl Hospital {
    /// Patient 4 wants an entry of the medical history amended, and a result of patient 3 went to an authority.
    pub(super) async fn rights(&self) -> Result<(), HospitalError> {
        self.demo::<RequestAmendment>(json!({
            "id": id(REQUEST, 1), "patient_id": id(PATIENT, 4), "table_name": "medical_history",
            "row_id": id(HISTORY, 3), "wrong": "My appendix was taken out in 1971, not in 1961.",
            "wanted": "Appendectomy in 1971; I can bring the letter of the hospital.",
        }))
        .await?;
        self.demo::<RecordDisclosure>(json!({
            "id": id(DISCLOSURE, 1), "patient_id": id(PATIENT, 3), "purpose": "public_health",
            "disclosed_at": self.executor.now() - TimeDelta::days(20), "recipient_name": "Department of Health",
            "recipient_address": "1 Harbour Street, New York", "description": "A positive test for measles",
            "statement": "Measles are notifiable",
        }))
        .await
    }
}
