use hims_domain::permission::Read;
use proptest::prelude::*;
use proptest::sample::select;
use sqlx::PgPool;

use super::check;
use crate::hospital::Hospital;
use crate::support::changed;

/// The words with which a reader reads every patient.
const EVERY: [Read; 2] = [Read::AllData, Read::AllPatients];

/// How many patients a reader sees; `None` if PostgreSQL refuses the identity.
async fn seen(readers: &PgPool, who: &[String; 4]) -> Option<usize> {
    let mut transaction = readers.begin().await.expect("a transaction");
    let sql = "select set_config('hims.reads', $1, true), set_config('hims.user_id', $2, true),
                      set_config('hims.patient_id', $3, true), set_config('hims.department_id', $4, true)";
    let said = sqlx::query(sql).bind(&who[0]).bind(&who[1]).bind(&who[2]).bind(&who[3]);
    said.execute(&mut *transaction).await.expect("the settings are made");
    let count = sqlx::query_scalar("select count(*) from hims.patients").fetch_one(&mut *transaction).await;
    count.ok().map(|it: i64| usize::try_from(it).expect("a count"))
}

/// Row-level security reads who asks from texts. Whatever they say, nobody is taken for somebody who reads everything
/// without one of the words for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_identity_opens_nothing() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let all = crate::hospital::demo::RECORDS;
    let readers = hospital.database.pool_as("hims_reader");
    let words = "own_records,assigned_patients,all_patients,all_data,prescriptions".as_bytes().to_vec();
    let id = crate::hospital::demo::patient(1).into_bytes();
    let text = |from: Vec<u8>| changed(vec![from]).prop_map(|it| String::from_utf8_lossy(&it).replace('\0', " "));
    let one =
        prop_oneof![Just(String::from_utf8_lossy(&id).into_owned()), text(id.clone()), Just(String::new())].boxed();
    let granted = prop_oneof![text(words), select(EVERY.map(|it| it.as_str().to_owned()).to_vec())];
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let identities = (granted, one.clone(), one.clone(), one).prop_map(|it| [it.0, it.1, it.2, it.3]);
        check(600, &identities, |who| {
            let seen = runtime.block_on(seen(&readers, &who));
            let reads_all = who[0].split(',').any(|word| EVERY.iter().any(|it| it.as_str() == word));
            match seen {
                Some(seen) => assert!(seen < all || reads_all, "{seen} patients for {who:?}"),
                None => assert!(who[1..].iter().any(|it| uuid::Uuid::parse_str(it).is_err()), "{who:?} is refused"),
            }
        });
    });
}
