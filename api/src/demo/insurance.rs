//! The payers of the demo, and the policies of its patients.

use chrono::Days;
use hims_commands::insurance_policy::{AddInsurancePolicy, VerifyInsurancePolicy};
use hims_commands::payer::AddPayer;
use serde_json::json;

use super::{PATIENT, id};
use crate::{Hospital, HospitalError};

const PAYER: u16 = 0x20;
pub(super) const POLICY: u16 = 0x21;

/// The payers: code, name, id in electronic claims, kind of insurance in claims, days in which claims are taken.
const PAYERS: [(&str, &str, &str, &str, i32); 3] = [
    ("MEDICARE", "Medicare", "00831", "MB", 365),
    ("AETNA", "Aetna", "60054", "CI", 90),
    ("CIGNA", "Cigna Health", "62308", "CI", 90),
];

/// The policies: number of the patient, number of the payer, priority, plan, relationship to the subscriber, whether
/// somebody has verified the policy.
const POLICIES: [(u128, u128, i32, &str, &str, bool); 5] = [
    (1, 2, 1, "Open Access", "self", true),
    (3, 1, 1, "Part B", "self", true),
    (3, 3, 2, "Supplement", "self", true),
    (5, 3, 1, "Family", "child", true),
    (7, 2, 1, "Student", "self", false),
];

impl Hospital {
    pub(super) async fn insurance(&self) -> Result<(), HospitalError> {
        for (number, (code, name, electronic, indicator, days)) in (1..).zip(PAYERS) {
            self.demo::<AddPayer>(json!({
                "id": id(PAYER, number), "code": code, "name": name, "electronic_payer_id": electronic,
                "claim_filing_indicator": indicator, "timely_filing_days": days, "phone": "+18005550123",
            }))
            .await?;
        }
        let begins = self.executor.now().date_naive() - Days::new(200);
        for (number, (patient, payer, priority, plan, relationship, is_verified)) in (1..).zip(POLICIES) {
            let is_own = relationship == "self";
            self.demo::<AddInsurancePolicy>(json!({
                "id": id(POLICY, number), "patient_id": id(PATIENT, patient), "payer_id": id(PAYER, payer),
                "member_id": format!("W{:09}", number * 1_001), "plan_name": plan, "priority": priority,
                "relationship_to_subscriber": relationship, "effective_from": begins, "copay_amount": "25.00",
                "subscriber_name": (!is_own).then_some("Chidi Nwosu"),
                "subscriber_birth_date": (!is_own).then_some("1988-04-02"), "coinsurance_percent": "20",
            }))
            .await?;
            if is_verified {
                let verified = json!({"insurance_policy_id": id(POLICY, number), "method": "card"});
                self.demo::<VerifyInsurancePolicy>(verified).await?;
            }
        }
        Ok(())
    }
}
