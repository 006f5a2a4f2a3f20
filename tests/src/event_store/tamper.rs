
#[tokio::test]
async fn an_end_that_was_rewritten_with_fitting_hashes_is_found_by_what_is_noted_beside_the_log() {
    let change = r#"update log.events set data = '{"amount":1000}' where position = 5"#;
    let broken = broken_by(&[change, REHASH]).await;
    assert!(matches!(broken, Broken::Hash(5)), "{broken}");
}
