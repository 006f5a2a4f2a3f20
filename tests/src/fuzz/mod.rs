//! Whatever strangers write is read without a panic and without an end of memory or time: spoilt events, files to
//! import, bodies of commands, cursors, and identities for row-level security. The inputs are made from good ones, the
//! corpus: the golden files, the folder `tests/corpus`, and the schemas of commands. They follow from `FUZZ_SEED`;
//! `FUZZ_TIMES` multiplies their number.

mod events;
mod identities;
mod imports;
mod requests;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hims_commands::role::DefineRole;
use hims_commands::{Caller, Executor, Request, system_roles, upcasters};
use hims_event_store::{MasterKey, MemoryEventStore};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Gives inputs to a check, which must not panic. Prints the smallest input with which it does.
fn check<T: Debug>(number: u32, inputs: &impl Strategy<Value = T>, check: impl Fn(T)) {
    let setting = |name: &str, or: u32| std::env::var(name).map_or(or, |it| it.parse().expect("a number"));
    let (seed, times) = (setting("FUZZ_SEED", 13), setting("FUZZ_TIMES", 1));
    let seed: Vec<_> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let config =
        Config { cases: number * times, max_shrink_iters: 500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(inputs, |input| {
        check(input);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// A folder of the corpus.
fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

/// The files of a folder: name and bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder of the corpus").map(|it| it.expect("a file").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<_> = entries.map(|it| (name(&it), std::fs::read(&it).expect("the file is read"))).collect();
    files.sort();
    files
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A hospital in memory that has the roles with which every hospital begins, and nothing else.
async fn hospital() -> Arc<Executor> {
    let store = MemoryEventStore::new(MasterKey::generate().expect("a key"), upcasters());
    let executor = Executor::new(Arc::new(store), hims_api::surroundings());
    for (id, definition) in system_roles() {
        let role = DefineRole { id: Some(id), definition };
        executor.execute(role, Request::of(Caller::system("test"))).await.expect("a role");
    }
    Arc::new(executor)
}
