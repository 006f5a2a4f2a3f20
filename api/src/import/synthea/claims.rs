//! `claims.csv` and `claims_transactions.csv`: what was charged, what payers were asked for it, and who paid.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use hims_domain::Described as _;
use hims_domain::billing_record::{Method, PaymentKind};
use hims_domain::values::Money;
use rust_decimal::Decimal;
use serde::Deserialize;
use uuid::Uuid;

use super::super::summary::Place;
use super::files::{Folder, Problem, Row};
use super::values::given;

/// A row of the claims, as it stands in the file.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct ClaimRow {
    #[serde(rename = "Id")]
    id: Uuid,
    patientid: Uuid,
    primarypatientinsuranceid: String,
    secondarypatientinsuranceid: String,
    appointmentid: Uuid,
    servicedate: DateTime<Utc>,
    status1: String,
    healthcareclaimtypeid1: String,
    outstanding1: Option<Decimal>,
    outstanding2: Option<Decimal>,
    outstandingp: Option<Decimal>,
}

impl Row for ClaimRow {
    const FILE: &'static str = "claims";
}

/// The name of the file with the claims, under which the summary counts them.
pub(super) const CLAIMS: &str = ClaimRow::FILE;

/// A claim. What was charged and paid stands in its transactions.
pub(super) struct Claim {
    pub(super) id: Uuid,
    /// The row of the claim.
    pub(super) place: Place,
    pub(super) patient: Uuid,
    /// The payers who were asked; a second one only beside a first one.
    pub(super) payers: [Option<Uuid>; 2],
    pub(super) encounter: Uuid,
    pub(super) service_date: DateTime<Utc>,
    /// Whether the payers have decided.
    pub(super) is_decided: bool,
    /// Whether the claim is one of an institution, and not of a professional.
    pub(super) is_institutional: bool,
    /// What is owed and not paid, as the claim itself says.
    pub(super) outstanding: Decimal,
}

/// The payer that a column names; `0` stands for nobody.
fn payer(column: &str) -> Result<Option<Uuid>, Problem> {
    match given(column) {
        None | Some("0") => Ok(None),
        Some(id) => id.parse().map(Some).map_err(|_| "the id of a payer is no UUID"),
    }
}

impl ClaimRow {
    fn read(&self, place: &Place) -> Result<Claim, Problem> {
        let payers = [payer(&self.primarypatientinsuranceid)?, payer(&self.secondarypatientinsuranceid)?];
        if matches!(payers, [None, Some(_)]) {
            return Err("SECONDARYPATIENTINSURANCEID is given without a primary one");
        }
        let is_decided = match self.status1.trim() {
            "CLOSED" => true,
            "BILLED" => false,
            _ => return Err("STATUS1 is none of CLOSED and BILLED"),
        };
        let is_institutional = match self.healthcareclaimtypeid1.trim() {
            "1" => false,
            "2" => true,
            _ => return Err("HEALTHCARECLAIMTYPEID1 is none of 1 and 2"),
        };
        Ok(Claim {
            id: self.id,
            place: place.clone(),
            patient: self.patientid,
            payers,
            encounter: self.appointmentid,
            service_date: self.servicedate,
            is_decided,
            is_institutional,
            outstanding: [self.outstanding1, self.outstanding2, self.outstandingp].into_iter().flatten().sum(),
        })
    }
}

/// A row of the transactions, as it stands in the file. The values are read once it is known to which claim the row
/// belongs, so that a claim with a row that cannot be read is known.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct TransactionRow {
    id: String,
    claimid: Uuid,
    chargeid: String,
    #[serde(rename = "TYPE")]
    kind: String,
    amount: String,
    method: String,
    fromdate: String,
    todate: String,
    procedurecode: String,
    notes: String,
    transfertype: String,
    payments: String,
}

impl Row for TransactionRow {
    const FILE: &'static str = "claims_transactions";
}

/// The name of the file with the transactions, under which the summary counts them.
pub(super) const TRANSACTIONS: &str = TransactionRow::FILE;

/// Who paid, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Payer {
    /// The payer of the claim to whom the line belongs at that time.
    Insurance,
    Patient(PaymentKind, Method),
}

/// What a transaction does.
pub(super) enum What {
    Charge(Decimal),
    Payment(Payer, Decimal),
    /// What is left goes to the second payer or to the patient.
    Transfer {
        is_to_second_payer: bool,
    },
    /// The other half of a transfer, which says nothing more.
    TransferOut,
}

/// A transaction of a claim. The transactions that follow a charge belong to it.
pub(super) struct Transaction {
    pub(super) id: Uuid,
    number: i64,
    pub(super) what: What,
    pub(super) from: DateTime<Utc>,
    /// `None` for an unknown end, which the files write as the beginning of the year 1970.
    pub(super) to: Option<DateTime<Utc>>,
    pub(super) code: String,
    pub(super) words: String,
}

/// An amount of a column, which is given.
fn amount(column: &str) -> Result<Decimal, Problem> {
    let amount: Option<Decimal> = column.trim().parse().ok();
    amount.filter(|it| Money::from(*it).is_valid()).ok_or("an amount is not one of 0 to 99999999.99 with two decimals")
}

impl TransactionRow {
    fn what(&self) -> Result<What, Problem> {
        match self.kind.trim() {
            "CHARGE" => Ok(What::Charge(amount(&self.amount)?)),
            "PAYMENT" => {
                let payer = match self.method.trim() {
                    "ECHECK" => Payer::Insurance,
                    "COPAY" => Payer::Patient(PaymentKind::Copay, Method::Other),
                    "CASH" => Payer::Patient(PaymentKind::Payment, Method::Cash),
                    "CHECK" => Payer::Patient(PaymentKind::Payment, Method::Check),
                    "CC" => Payer::Patient(PaymentKind::Payment, Method::Card),
                    _ => return Err("METHOD is none of CASH, CC, CHECK, COPAY and ECHECK"),
                };
                Ok(What::Payment(payer, amount(&self.payments)?))
            }
            "TRANSFERIN" => Ok(What::Transfer { is_to_second_payer: self.transfertype.trim() == "2" }),
            "TRANSFEROUT" => Ok(What::TransferOut),
            _ => Err("TYPE is none of CHARGE, PAYMENT, TRANSFERIN and TRANSFEROUT"),
        }
    }

    fn read(self) -> Result<Transaction, Problem> {
        let time = |column: &str| DateTime::parse_from_rfc3339(column.trim()).ok().map(|it| it.to_utc());
        let to = time(&self.todate).ok_or("the value of TODATE is no time")?;
        Ok(Transaction {
            id: self.id.trim().parse().map_err(|_| "the value of ID is no UUID")?,
            number: self.chargeid.trim().parse().map_err(|_| "the value of CHARGEID is no number")?,
            what: self.what()?,
            from: time(&self.fromdate).ok_or("the value of FROMDATE is no time")?,
            to: Some(to).filter(|it| *it != DateTime::UNIX_EPOCH),
            code: self.procedurecode.trim().to_owned(),
            words: self.notes.trim().to_owned(),
        })
    }
}

/// The claims with their transactions.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) of_patients: BTreeMap<Uuid, Vec<Claim>>,
    /// The transactions of each claim, in their order.
    pub(super) transactions: HashMap<Uuid, Vec<Transaction>>,
    /// The claims of which a transaction cannot be read, so that their sums are not known.
    pub(super) spoilt: HashSet<Uuid>,
}

/// Reads the claims, and then their transactions, which stand in any order.
pub(super) async fn read(folder: &mut Folder<'_>) -> Claims {
    let (mut claims, mut known) = (Claims::default(), HashSet::new());
    folder
        .each(|row: ClaimRow, at| {
            let claim = row.read(at)?;
            if !known.insert(claim.id) {
                return Err("another claim before has the same Id");
            }
            claims.of_patients.entry(claim.patient).or_default().push(claim);
            Ok(())
        })
        .await;
    let (transactions, spoilt) = (&mut claims.transactions, &mut claims.spoilt);
    folder
        .each(|row: TransactionRow, _| {
            let claim = row.claimid;
            if !known.contains(&claim) {
                return Err("CLAIMID is no claim of claims.csv that can be read");
            }
            match row.read() {
                Ok(read) => transactions.entry(claim).or_default().push(read),
                Err(problem) => {
                    spoilt.insert(claim);
                    return Err(problem);
                }
            }
            Ok(())
        })
        .await;
    for of_patient in claims.of_patients.values_mut() {
        of_patient.sort_by_key(|it| (it.service_date, it.id));
    }
    for of_claim in claims.transactions.values_mut() {
        of_claim.sort_by_key(|it| (it.number, it.id));
    }
    claims
}
