//! The insurance claims of the demo: one that was paid, with a claim on the second payer; one that was denied; and one
//! that the payer has accepted.

use hims_commands::Command;
use hims_commands::billing_record::{AddBillingItem, IssueInvoice, OpenBillingRecord};
use hims_commands::insurance_claim::{
    AcceptInsuranceClaim, CreateInsuranceClaim, RecordClaimPayment, SubmitInsuranceClaim,
};
use hims_domain::insurance_claim::{InsuranceClaim, Status};
use hims_domain::values::coding::CPT;
use serde_json::{Value, json};
use uuid::Uuid;

use super::insurance::POLICY;
use super::{PATIENT, id};
use crate::{Hospital, HospitalError};

const RECORD: u16 = 0x48;
const ITEM: u16 = 0x49;
const CLAIM: u16 = 0x4A;
const CLAIM_PAYMENT: u16 = 0x4B;

/// The invoices: number of the patient, code of the service, service in words, price.
const INVOICES: [(u128, &str, &str, &str); 3] = [
    (3, "99214", "Visit of 30 minutes", "120.00"),
    (5, "90686", "Influenza vaccination", "85.00"),
    (1, "99213", "Visit of 20 minutes", "77.49"),
];

/// The claims: number of the invoice, number of the policy.
const CLAIMS: [(u128, u128); 3] = [(1, 2), (2, 4), (3, 1)];

/// The number of the claim on the second payer of the first invoice, and of its policy.
const SECOND: (u128, u128) = (4, 3);

impl Hospital {
    /// Issues invoices and makes claims for them, which payers pay, deny or only accept.
    pub(super) async fn claims(&self) -> Result<(), HospitalError> {
        for (number, (patient, code, description, price)) in (1..).zip(INVOICES) {
            self.invoice(number, patient, json!({"code": code, "description": description, "unit_price": price}))
                .await?;
        }
        for (number, (record, policy)) in (1..).zip(CLAIMS) {
            self.sent(number, record, policy).await?;
        }
        let paid = json!([{"line": 1, "paid": "76.80", "adjustments": [
            {"group": "CO", "reason": "45", "amount": "24.00"}, {"group": "PR", "reason": "2", "amount": "19.20"}]}]);
        self.adjudicated(1, "1", paid).await?;
        let denied = json!([{"line": 1, "paid": "0", "adjustments": [
            {"group": "CO", "reason": "197", "amount": "85.00", "remarks": ["N130"]}]}]);
        self.adjudicated(2, "4", denied).await?;
        self.sent(SECOND.0, 1, SECOND.1).await
    }

    /// Opens a billing record with one line, and issues the invoice.
    async fn invoice(&self, number: u128, patient: u128, line: Value) -> Result<(), HospitalError> {
        let record = id(RECORD, number);
        self.demo::<OpenBillingRecord>(json!({"id": record, "patient_id": id(PATIENT, patient)})).await?;
        let mut item = line;
        item["billing_record_id"] = json!(record);
        item["item_id"] = json!(id(ITEM, number));
        item["service_date"] = json!(self.executor.now().date_naive());
        item["code_system"] = json!(CPT);
        item["quantity"] = json!("1");
        self.demo::<AddBillingItem>(item).await?;
        self.demo::<IssueInvoice>(json!({"billing_record_id": record})).await
    }

    /// Makes a claim and sends it, and the payer accepts it.
    async fn sent(&self, number: u128, record: u128, policy: u128) -> Result<(), HospitalError> {
        let claim = id(CLAIM, number);
        self.demo::<CreateInsuranceClaim>(json!({
            "id": claim, "billing_record_id": id(RECORD, record), "insurance_policy_id": id(POLICY, policy),
            "claim_type": "professional",
        }))
        .await?;
        self.in_status::<SubmitInsuranceClaim>(claim, Status::Draft, json!({})).await?;
        let accepted = json!({"payer_claim_number": format!("ICN-{number:06}")});
        self.in_status::<AcceptInsuranceClaim>(claim, Status::Submitted, accepted).await
    }

    async fn adjudicated(&self, number: u128, code: &str, lines: Value) -> Result<(), HospitalError> {
        let decided = json!({
            "payment_id": id(CLAIM_PAYMENT, number), "trace_number": format!("TRN-{number:06}"),
            "payment_method": if code == "4" { "NON" } else { "ACH" },
            "payment_date": self.executor.now().date_naive(), "claim_status_code": code, "lines": lines,
        });
        self.in_status::<RecordClaimPayment>(id(CLAIM, number), Status::Accepted, decided).await
    }

    /// Carries out a command on a claim that has a status. A claim of another status has got further in an earlier run.
    async fn in_status<C: Command>(&self, claim: Uuid, status: Status, mut body: Value) -> Result<(), HospitalError> {
        let state = self.executor.load::<InsuranceClaim>(claim, true).await?.state;
        if state.is_none_or(|it| it.status != status) {
            return Ok(());
        }
        body["insurance_claim_id"] = json!(claim);
        self.demo::<C>(body).await
    }
}
