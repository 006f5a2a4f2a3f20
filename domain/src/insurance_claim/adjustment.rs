//! Why a payer pays less than was billed: the adjustments of remittance advices (X12 835 `CAS`).

use rust_decimal::Decimal;

use crate::values::{Money, Text};
use crate::{described, terms};

terms! {
    /// Who bears an amount that the payer does not pay (claim adjustment group code, X12 CAS01).
    pub enum Group {
        /// A contractual obligation: the hospital bears the amount, and must not ask the patient for it.
        ContractualObligation = "CO",
        /// The responsibility of the patient, such as a deductible, a coinsurance or a copayment.
        PatientResponsibility = "PR",
        /// Another adjustment; with the reason 23, what other payers have paid or adjusted.
        Other = "OA",
        /// A reduction by the payer that no contract provides for.
        PayerInitiated = "PI",
    }
}

/// The reason (CARC) for which another payer's payments and adjustments are given in an adjustment of the group `OA`.
pub const PRIOR_PAYERS: &str = "23";

described! {
    /// An amount of a line that the payer does not pay, and why not (X12 CAS).
    pub struct Adjustment {
        /// Who bears the amount (X12 CAS01). Other groups of an adjudication are recorded as `OA`.
        pub group: Group,
        /// The reason, as a claim adjustment reason code (CARC) such as `45`; only an import may lack it.
        pub reason: Option<Text<5>>,
        /// The amount that the payer does not pay.
        pub amount: Money,
        /// What the payer remarks, as remittance advice remark codes (RARC) such as `N130`; none if left out.
        #[serde(default)]
        pub remarks: Vec<Text<10>>,
    }
}

impl Adjustment {
    /// Whether the adjustment lowers what is owed for the line: CO and PI, and OA for any reason but what other payers
    /// have paid. What the patient bears is still owed.
    pub fn lowers_the_due(&self) -> bool {
        match self.group {
            Group::ContractualObligation | Group::PayerInitiated => true,
            Group::Other => self.reason.as_ref().is_none_or(|it| it.as_str() != PRIOR_PAYERS),
            Group::PatientResponsibility => false,
        }
    }

    /// The group and the reason in the usual notation, such as `CO-45`; only the group if there is no reason.
    pub fn code(&self) -> Text<20> {
        let reason = self.reason.as_ref().map(|it| format!("-{}", it.as_str())).unwrap_or_default();
        Text(format!("{}{reason}", self.group))
    }
}

/// The sum of the adjustments that lower what is owed.
pub fn lowering(adjustments: &[Adjustment]) -> Decimal {
    adjustments.iter().filter(|it| it.lowers_the_due()).map(|it| it.amount.number()).sum()
}

/// The sum of the adjustments that the patient bears.
pub fn patients(adjustments: &[Adjustment]) -> Decimal {
    let is_patients = |it: &&Adjustment| it.group == Group::PatientResponsibility;
    adjustments.iter().filter(is_patients).map(|it| it.amount.number()).sum()
}

/// Whether a text has the form of a claim adjustment reason code (CARC): one to three digits without a leading zero, or
/// a letter and one to three digits. Codes are in upper case.
pub fn is_reason(code: &str) -> bool {
    let digits = code.strip_prefix(|it: char| it.is_ascii_uppercase()).unwrap_or(code);
    let begins_with_zero = digits.len() == code.len() && digits.starts_with('0');
    (1..=3).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit()) && !begins_with_zero
}

/// Whether a text has the form of a remittance advice remark code (RARC): `M`, `MA` or `N`, and one to four digits.
/// Codes are in upper case.
pub fn is_remark(code: &str) -> bool {
    let digits = ["MA", "M", "N"].iter().find_map(|prefix| code.strip_prefix(prefix)).unwrap_or_default();
    (1..=4).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use rust_decimal::dec;

    use super::*;

    fn of(group: Group, reason: Option<&str>) -> Adjustment {
        Adjustment { group, reason: reason.map(Text::from), amount: dec!(10).into(), remarks: Vec::new() }
    }

    #[test]
    fn what_the_patient_or_another_payer_bears_does_not_lower_the_due() {
        for (group, reason, lowers) in [
            (Group::ContractualObligation, Some("45"), true),
            (Group::PayerInitiated, Some("23"), true),
            (Group::Other, Some("94"), true),
            (Group::Other, None, true),
            (Group::Other, Some("23"), false),
            (Group::PatientResponsibility, Some("1"), false),
        ] {
            assert_eq!(of(group, reason).lowers_the_due(), lowers, "{group} {reason:?}");
        }
    }

    #[test]
    fn an_adjustment_is_called_by_group_and_reason() {
        assert_eq!(of(Group::ContractualObligation, Some("50")).code().as_str(), "CO-50");
        assert_eq!(of(Group::PatientResponsibility, None).code().as_str(), "PR");
    }

    #[test]
    fn reasons_and_remarks_have_their_form() {
        for (code, is_one) in [
            ("1", true),
            ("45", true),
            ("253", true),
            ("A1", true),
            ("B16", true),
            ("P12", true),
            ("045", false),
            ("1000", false),
            ("b16", false),
            ("CO", false),
            ("", false),
            ("A", false),
        ] {
            assert_eq!(is_reason(code), is_one, "{code}");
        }
        for (code, is_one) in [
            ("M51", true),
            ("MA130", true),
            ("N519", true),
            ("N", false),
            ("X1", false),
            ("n519", false),
            ("MA", false),
            ("N12345", false),
        ] {
            assert_eq!(is_remark(code), is_one, "{code}");
        }
    }
}
