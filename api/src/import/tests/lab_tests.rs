//! Importing a catalogue of laboratory tests.

use hims_domain::lab_test::LabTest;

use super::*;

const CATALOGUE: &str = include_str!("../../../../catalogue/lab-tests.json");

impl Hospital {
    async fn import_tests(&self, content: impl AsRef<[u8]>) -> LabTests {
        import_lab_tests(&self.executor, &self.file("tests.json", content), &Silent).await.unwrap()
    }
}

fn test(code: &str, changes: &Value) -> Value {
    let component = json!({"code": code, "name": "Sodium", "value_type": "numeric", "unit": "mmol/L"});
    but(json!({"code": code, "name": "Sodium", "components": [component]}), changes.clone())
}

#[tokio::test]
async fn the_catalogue_of_the_repository_is_imported_once() {
    let hospital = Hospital::empty().await;
    let first = hospital.import_tests(CATALOGUE).await;
    assert_eq!((first.defined, first.already_there, first.problems), (52, 0, vec![]));
    let again = hospital.import_tests(CATALOGUE).await;
    assert_eq!((again.defined, again.already_there, again.problems), (0, 52, vec![]));
    let tests = hospital.all::<LabTest>().await;
    let components = tests.iter().flat_map(|it| &it.definition.components);
    let ranges: Vec<_> = components.flat_map(|it| &it.ranges).collect();
    assert!(ranges.len() > 100 && ranges.iter().all(|it| it.is_example), "{} ranges", ranges.len());
}

#[tokio::test]
async fn a_test_that_is_wrong_is_named_by_its_line_and_the_others_are_imported() {
    let hospital = Hospital::empty().await;
    let range = json!({"sex": "any", "age_from_days": 0, "low": 1});
    let overlapping = json!({"components": [{"code": "3-1", "name": "Sodium", "value_type": "numeric",
                                             "ranges": [range, range]}]});
    let tests = [
        test("1-1", &json!({})),
        test("2-1", &json!({"specimen_typ": "SER"})),
        test("3-1", &overlapping),
        test("sodium", &json!({})),
        test("4-1", &json!({})),
    ];
    let lines: Vec<_> = tests.iter().map(Value::to_string).collect();
    let result = hospital.import_tests(format!("[{}]", lines.join(",\n"))).await;
    assert_eq!((result.defined, result.already_there), (2, 0));
    let expected = [("line 2", "/specimen_typ"), ("line 3", "/components/0/ranges/1"), ("line 4", "/code")];
    assert_eq!(result.problems.len(), expected.len(), "{:?}", result.problems);
    for (problem, (line, pointer)) in result.problems.iter().zip(expected) {
        assert!(problem.contains("tests.json") && problem.contains(line) && problem.contains(pointer), "{problem}");
    }
}

#[tokio::test]
async fn a_test_that_the_laboratory_changed_stays_as_it_is() {
    let hospital = Hospital::empty().await;
    hospital.import_tests(json!([test("1-1", &json!({}))]).to_string()).await;
    let renamed = json!([test("1-1", &json!({"name": "Sodium in blood"}))]).to_string();
    assert_eq!(hospital.import_tests(renamed.clone()).await.already_there, 1);
    // Another test of the laboratory has the code.
    let other = json!([test("1-1", &json!({"id": Uuid::from_u128(7)}))]).to_string();
    assert_eq!(hospital.import_tests(other).await.already_there, 1);
    assert_eq!(hospital.all::<LabTest>().await[0].definition.name.as_str(), "Sodium");
}

#[tokio::test]
async fn a_file_that_is_no_catalogue_is_named() {
    let hospital = Hospital::empty().await;
    for (content, told) in [("{\n\"tests\": [\n}", "line 3: not JSON"), ("{}", "not a list of tests"), ("", "empty")] {
        let result = hospital.import_tests(content).await;
        assert_eq!(result.problems.len(), 1);
        assert!(result.problems[0].contains(told), "{:?}", result.problems);
    }
    let missing = hospital.folder.path().join("missing.json");
    let result = import_lab_tests(&hospital.executor, &missing, &Silent).await.unwrap();
    assert!(result.problems[0].contains("cannot be read"), "{:?}", result.problems);
}
