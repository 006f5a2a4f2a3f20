//! The money of both sets of Synthea, to the cent.

use std::collections::BTreeMap;

use hims_domain::billing_record::{BillingRecord, Status as RecordStatus};
use hims_domain::insurance_claim::{InsuranceClaim, Status};
use rust_decimal::{Decimal, dec};

use super::synthea_csv::imported;
use super::*;

/// The sums of all billing records.
#[derive(Debug, PartialEq, Eq, Default)]
struct Sums {
    records: BTreeMap<RecordStatus, usize>,
    lines: usize,
    free_lines: usize,
    total: Decimal,
    paid: Decimal,
    credit: Decimal,
    records_with_credit: usize,
    insurance_due: Decimal,
    patient_due: Decimal,
}

/// Sums up all billing records. The sums of each are those of its lines, and of what payers and the patient paid.
async fn sums(hospital: &Hospital) -> Sums {
    let mut of_payers: BTreeMap<Uuid, Decimal> = BTreeMap::new();
    for claim in hospital.all::<InsuranceClaim>().await {
        let paid: Decimal = claim.payments.iter().map(|it| it.paid.number()).sum();
        *of_payers.entry(claim.billing_record_id.0).or_default() += paid;
    }
    let mut sums = Sums::default();
    for id in hospital.streams::<BillingRecord>().await {
        let record: BillingRecord = hospital.state(&id.to_string()).await;
        let standing = record.standing;
        assert_eq!(record.lines.iter().map(|it| it.charge.gross).sum::<Decimal>(), standing.total_amount, "{id}");
        let came = of_payers.remove(&id).unwrap_or_default() + record.from_patient;
        assert_eq!((came, record.money), (standing.paid_amount + standing.credit_amount, came), "{id}");
        *sums.records.entry(record.status()).or_default() += 1;
        sums.lines += record.lines.len();
        sums.free_lines += record.lines.iter().filter(|it| it.charge.gross.is_zero()).count();
        sums.total += standing.total_amount;
        sums.paid += standing.paid_amount;
        sums.credit += standing.credit_amount;
        sums.records_with_credit += usize::from(!standing.credit_amount.is_zero());
        sums.insurance_due += standing.insurance_due;
        sums.patient_due += standing.patient_due();
    }
    sums
}

/// How many claims there are of each priority and status.
fn by_status(claims: &[InsuranceClaim]) -> BTreeMap<(i32, Status), usize> {
    let mut counts = BTreeMap::new();
    for claim in claims {
        *counts.entry((claim.priority, claim.status)).or_default() += 1;
    }
    counts
}

/// How many adjudications there are, how many with money, and what was paid.
type Paid = (usize, usize, Decimal);
/// The number of claims with each adjustment code, and the sum of the amounts.
type Adjusted = BTreeMap<String, (usize, Decimal)>;
/// Changes a row of the export, or leaves it out.
type Change = Box<dyn Fn(u8, String) -> Option<String>>;

/// The adjudications of the claims of a priority: how many, how many with money, and what was paid; and the sum of the
/// adjustments of each code, each with the number of claims that have it. Every line that was decided balances.
fn decided(claims: &[InsuranceClaim], priority: i32) -> (Paid, Adjusted) {
    let (mut paid, mut adjusted) = ((0, 0, Decimal::ZERO), BTreeMap::<String, (usize, Decimal)>::new());
    for claim in claims.iter().filter(|it| it.priority == priority) {
        for payment in &claim.payments {
            paid.0 += 1;
            paid.1 += usize::from(!payment.paid.number().is_zero());
            paid.2 += payment.paid.number();
        }
        let mut of_claim: BTreeMap<String, Decimal> = BTreeMap::new();
        for line in claim.lines.iter().filter(|it| it.adjudicated.is_some()) {
            let said = line.adjudicated.as_ref().unwrap();
            let mut left = line.line.charge.number() - said.paid.number();
            for adjustment in &said.adjustments {
                left -= adjustment.amount.number();
                *of_claim.entry(adjustment.code().0).or_default() += adjustment.amount.number();
            }
            assert!(left.is_zero(), "every line balances");
        }
        for (code, amount) in of_claim {
            let sum = adjusted.entry(code).or_default();
            *sum = (sum.0 + 1, sum.1 + amount);
        }
    }
    (paid, adjusted)
}

/// What patients paid, by kind and method.
async fn by_method(hospital: &Hospital) -> BTreeMap<(String, String), (usize, Decimal)> {
    let mut sums: BTreeMap<_, (usize, Decimal)> = BTreeMap::new();
    for event in hospital.events().await.iter().filter(|it| it.event_type == "billing_record.payment_recorded") {
        let stored: Value = serde_json::from_str(&event.data).unwrap();
        let text = |field: &str| stored[field].as_str().unwrap().to_owned();
        let sum = sums.entry((text("kind"), text("method"))).or_default();
        *sum = (sum.0 + 1, sum.1 + text("amount").parse::<Decimal>().unwrap());
    }
    sums
}

#[tokio::test]
async fn the_money_of_the_bundles_is_that_of_the_files() {
    let hospital = Hospital::empty().await;
    hospital.import(&[synthea::folder()]).await;
    let expected = Sums {
        records: [(RecordStatus::PartiallyPaid, 120), (RecordStatus::Billed, 157)].into(),
        lines: 486,
        free_lines: 0,
        total: dec!(491_344.41),
        paid: dec!(359_215.62),
        credit: dec!(0.00),
        records_with_credit: 0,
        insurance_due: dec!(42_325.00),
        patient_due: dec!(89_803.79),
    };
    assert_eq!(sums(&hospital).await, expected);
    let claims = hospital.all::<InsuranceClaim>().await;
    let expected = [(Status::Submitted, 60), (Status::Accepted, 97), (Status::PartiallyPaid, 120)];
    assert_eq!(by_status(&claims), expected.map(|(status, count)| ((1, status), count)).into());
    let adjusted = BTreeMap::from([("PR-2".to_owned(), (120, dec!(89_803.79)))]);
    assert_eq!(decided(&claims, 1), ((120, 120, dec!(359_215.62)), adjusted));
    let mut of_type: BTreeMap<_, Decimal> = BTreeMap::new();
    for claim in &claims {
        let billed: Decimal = claim.lines.iter().map(|it| it.line.charge.number()).sum();
        *of_type.entry(claim.claim_type.to_string()).or_default() += billed;
    }
    let expected = [("institutional", dec!(476_044.41)), ("pharmacy", dec!(15_300.00))];
    assert_eq!(of_type, expected.map(|(kind, sum)| (kind.to_owned(), sum)).into());
    assert!(by_method(&hospital).await.is_empty());
}

#[tokio::test]
async fn the_money_of_the_rows_is_that_of_the_files() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, &synthea_csv::folder()).await;
    assert_eq!(
        (summary.of("claims").imported, summary.of("claims_transactions").imported),
        (1_267, 5_228),
        "{summary}"
    );
    let expected = Sums {
        records: [(RecordStatus::Paid, 1_267)].into(),
        lines: 1_545,
        free_lines: 127,
        total: dec!(1_092_402.73),
        paid: dec!(1_092_402.73),
        credit: dec!(11_101.22),
        records_with_credit: 190,
        insurance_due: dec!(0.00),
        patient_due: dec!(0.00),
    };
    assert_eq!(sums(&hospital).await, expected);
    let records = hospital.all::<BillingRecord>().await;
    assert_eq!(records.iter().filter(|it| it.standing.total_amount.is_zero()).count(), 49);
    assert_eq!(records.iter().filter(|it| it.claims.is_empty()).count(), 216, "patients who pay themselves");
    let credits = || records.iter().map(|it| it.standing.credit_amount).filter(|it| !it.is_zero());
    assert_eq!((credits().min(), credits().max()), (Some(dec!(0.01)), Some(dec!(74.99))));

    let claims = hospital.all::<InsuranceClaim>().await;
    let expected = [((1, Status::Submitted), 2), ((1, Status::Paid), 1_049), ((2, Status::Paid), 19)];
    assert_eq!(by_status(&claims), expected.into());
    let adjusted = BTreeMap::from([("PR".to_owned(), (1_005, dec!(574_300.81)))]);
    assert_eq!(decided(&claims, 1), ((1_049, 154, dec!(14_950.30)), adjusted));
    let (paid, adjusted) = decided(&claims, 2);
    assert_eq!(paid, (19, 10, dec!(523.28)));
    let sums: Vec<_> = adjusted.iter().map(|(code, (_, sum))| (code.as_str(), *sum)).collect();
    assert_eq!(sums, [("OA-23", dec!(2_093.13)), ("PR", dec!(240.14))]);

    let of_patients = by_method(&hospital).await;
    let sums: Vec<_> =
        of_patients.iter().map(|((kind, method), (_, sum))| (kind.as_str(), method.as_str(), *sum)).collect();
    let expected = [
        ("copay", "other", dec!(28_540.00)),
        ("payment", "card", dec!(294_697.91)),
        ("payment", "cash", dec!(308_144.14)),
        ("payment", "check", dec!(456_648.32)),
    ];
    assert_eq!(sums, expected);
    assert_eq!(of_patients.values().map(|(count, _)| count).sum::<usize>(), 1_659);

    let head = hospital.executor.store().current_head().await.unwrap();
    let again = imported(&hospital, &synthea_csv::folder()).await;
    assert_eq!((hospital.executor.store().current_head().await.unwrap(), again.events), (head, 0));
    assert_eq!((again.of("claims").already_there, again.of("claims_transactions").already_there), (1_267, 5_228));
}

/// The rows of a small export: a patient whom two payers insure, with one visit.
const ROWS: [(&str, &str, &str); 7] = [
    (
        "patients",
        "Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,FIRST,LAST,MARITAL,RACE,ETHNICITY,GENDER,ADDRESS,CITY,STATE,ZIP",
        "00000000-0000-4000-8000-0000000000a1,1967-05-21,,,,,Jane,Doe,,white,nonhispanic,F,Street 1,Boston,MA,02155",
    ),
    ("organizations", "Id,NAME,PHONE", "00000000-0000-4000-8000-0000000000a2,Ward,5551234567"),
    (
        "providers",
        "Id,ORGANIZATION,NAME",
        "00000000-0000-4000-8000-0000000000a3,00000000-0000-4000-8000-0000000000a2,Greg House",
    ),
    (
        "encounters",
        "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,ENCOUNTERCLASS,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION",
        "00000000-0000-4000-8000-0000000000a4,2020-03-02T15:00:00Z,2020-03-02T15:30:00Z,\
         00000000-0000-4000-8000-0000000000a1,00000000-0000-4000-8000-0000000000a2,\
         00000000-0000-4000-8000-0000000000a3,ambulatory,185345009,Encounter for symptom,,",
    ),
    (
        "payers",
        "Id,NAME,ADDRESS,CITY,STATE_HEADQUARTERED,ZIP,PHONE",
        "00000000-0000-4000-8000-0000000000b1,First,,,,,\n00000000-0000-4000-8000-0000000000b2,Second,,,,,",
    ),
    (
        "payer_transitions",
        "PATIENT,MEMBERID,START_YEAR,END_YEAR,PAYER,SECONDARY_PAYER,OWNERSHIP,OWNERNAME",
        "00000000-0000-4000-8000-0000000000a1,M1,2019-01-01T15:00:00Z,2021-01-01T15:00:00Z,\
         00000000-0000-4000-8000-0000000000b1,00000000-0000-4000-8000-0000000000b2,Self,",
    ),
    (
        "claims",
        "Id,PATIENTID,PRIMARYPATIENTINSURANCEID,SECONDARYPATIENTINSURANCEID,APPOINTMENTID,SERVICEDATE,STATUS1,\
         HEALTHCARECLAIMTYPEID1,OUTSTANDING1,OUTSTANDING2,OUTSTANDINGP",
        "00000000-0000-4000-8000-0000000000c1,00000000-0000-4000-8000-0000000000a1,\
         00000000-0000-4000-8000-0000000000b1,00000000-0000-4000-8000-0000000000b2,\
         00000000-0000-4000-8000-0000000000a4,2020-03-02T15:00:00Z,CLOSED,1,0,0,0",
    ),
];

/// The transactions of the visit: number, type, amount, method, kind of transfer, payment. Of 80.00, the first payer
/// pays 50.00 and the second one 20.00; the patient pays 15.00 and so 5.00 too much.
const TRANSACTIONS: [(u8, &str, &str, &str, &str, &str); 6] = [
    (0, "CHARGE", "80.00", "", "1", ""),
    (1, "PAYMENT", "", "COPAY", "", "15.00"),
    (2, "PAYMENT", "", "ECHECK", "", "50.00"),
    (3, "TRANSFEROUT", "", "", "", ""),
    (4, "TRANSFERIN", "30.00", "", "2", ""),
    (5, "PAYMENT", "", "ECHECK", "", "20.00"),
];

/// Writes the export into the folder of a hospital, with the transactions changed.
fn export(hospital: &Hospital, change: impl Fn(u8, String) -> Option<String>) {
    for (name, header, rows) in ROWS {
        hospital.file(&format!("{name}.csv"), format!("{header}\n{rows}\n"));
    }
    let mut text =
        "ID,CLAIMID,CHARGEID,TYPE,AMOUNT,METHOD,FROMDATE,TODATE,PROCEDURECODE,NOTES,TRANSFERTYPE,PAYMENTS\n".to_owned();
    for (number, kind, amount, method, transfer, payment) in TRANSACTIONS {
        let row = format!(
            "00000000-0000-4000-8000-0000000000d{number},00000000-0000-4000-8000-0000000000c1,{number},{kind},{amount},\
             {method},2020-03-02T15:00:00Z,1970-01-01T00:00:00Z,185345009,Encounter for symptom,{transfer},{payment}"
        );
        text.extend(change(number, row).map(|row| format!("{row}\n")));
    }
    hospital.file("claims_transactions.csv", text);
}

#[tokio::test]
async fn two_payers_and_the_patient_pay_for_one_visit() {
    let hospital = Hospital::empty().await;
    export(&hospital, |_, row| Some(row));
    let summary = imported(&hospital, hospital.folder.path()).await;
    assert_eq!((summary.of("claims").imported, summary.of("claims_transactions").imported), (1, 6), "{summary}");
    let record: BillingRecord = hospital.only().await;
    assert_eq!((record.status(), record.standing.paid_amount), (RecordStatus::Paid, dec!(80.00)));
    assert_eq!((record.standing.credit_amount, record.standing.adjustment_amount), (dec!(5.00), dec!(0.00)));
    let claims = hospital.all::<InsuranceClaim>().await;
    assert_eq!(by_status(&claims), [((1, Status::Paid), 1), ((2, Status::Paid), 1)].into());
    let first = BTreeMap::from([("PR".to_owned(), (1, dec!(30.00)))]);
    assert_eq!(decided(&claims, 1), ((1, 1, dec!(50.00)), first));
    let second = [("OA-23", dec!(50.00)), ("PR", dec!(10.00))].map(|(code, sum)| (code.to_owned(), (1, sum)));
    assert_eq!(decided(&claims, 2), ((1, 1, dec!(20.00)), second.into()));
    let prior = &claims.iter().find(|it| it.priority == 2).unwrap().lines[0].line.prior;
    assert_eq!(prior.iter().map(|it| it.paid.number()).collect::<Vec<_>>(), [dec!(50.00)]);
}

#[tokio::test]
async fn a_claim_with_a_broken_row_is_named_and_nothing_of_it_is_entered() {
    let hospital = Hospital::empty().await;
    let bad = |number: u8, from: &'static str, to: &'static str| {
        move |it: u8, row: String| Some(if it == number { row.replace(from, to) } else { row })
    };
    let faults: [(Change, Reason, Option<&str>); 6] = [
        (Box::new(bad(2, "ECHECK", "BARTER")), Reason::BadTransaction, Some("line 4: METHOD is none of")),
        (Box::new(bad(0, "80.00", "80.001")), Reason::BadTransaction, Some("line 2: an amount")),
        (Box::new(bad(0, "80.00", "90.00")), Reason::OutOfBalance, None),
        (Box::new(|it, row| (it != 1).then_some(row)), Reason::OutOfBalance, None),
        (Box::new(|it, row| (it != 0).then_some(row)), Reason::OutOfBalance, None),
        (Box::new(bad(4, "185345009", "430193006")), Reason::OutOfBalance, None),
    ];
    for (change, reason, told) in faults {
        export(&hospital, change);
        let summary = imported(&hospital, hospital.folder.path()).await;
        let counts = summary.of("claims");
        let place = Place { path: hospital.folder.path().join("claims.csv").into(), line: 2, column: 1 };
        assert_eq!(counts.skipped, BTreeMap::from([(reason, 1)]), "{summary}");
        assert_eq!(counts.places, BTreeMap::from([(reason, BTreeSet::from([place]))]), "{summary}");
        assert!(summary.to_string().contains("claims.csv, line 2\n"), "{summary}");
        assert_eq!(summary.is_complete(), told.is_none());
        assert!(told.is_none_or(|it| summary.to_string().contains(it)), "{summary}");
        assert!(hospital.all::<BillingRecord>().await.is_empty());
        assert!(hospital.all::<InsuranceClaim>().await.is_empty());
    }
    // Once the row is right, a further run enters the claim.
    export(&hospital, |_, row| Some(row));
    assert_eq!(imported(&hospital, hospital.folder.path()).await.of("claims").imported, 1);
}
