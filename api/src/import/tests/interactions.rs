//! The thesaurus of drug interactions: the numbers of the real files, and what happens to bad ones.

use std::collections::BTreeMap;
use std::path::Path;

use hims_domain::interaction_profile::{InteractionProfile, Pair, Severity, in_order, profile_of};
use hims_domain::interaction_source::{InteractionSource, sources};
use hims_domain::values::Text;

use super::*;

/// The folder with the thesaurus of October 2020. The folder lies beside the repository, not in it.
fn folder() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = above.map(|it| it.join("shared/data/drug-interactions"));
    folders.find(|it| it.is_dir()).expect("put the thesaurus into ../shared/data/drug-interactions: this test reads it")
}

async fn imported(hospital: &Hospital, folder: &Path) -> InteractionSummary {
    import_interactions(&hospital.executor, folder, &Silent).await.unwrap()
}

/// The interaction of two ingredients.
async fn pair(hospital: &Hospital, one: &str, other: &str) -> Option<Pair> {
    let (one, other) = (Text::from(one), Text::from(other));
    let (ingredient, other) = in_order(&one, &other);
    let id = profile_of("ANSM", ingredient);
    let profile = hospital.executor.load::<InteractionProfile>(id.0, true).await.unwrap().state?;
    profile.content.as_ref()?.pairs.get(other).cloned()
}

#[tokio::test]
async fn the_thesaurus_leads_to_the_pairs_that_were_counted_from_the_files() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, &folder()).await;
    assert!(summary.is_complete(), "{summary}");
    let rules = (summary.rules, summary.distinct_rules, summary.conditional_rules, summary.without_pair);
    assert_eq!(rules, (3_139, 1_584, 124, 466));
    assert_eq!((summary.substances, summary.classes), (1_081, 191));
    assert_eq!((summary.mappings, summary.without_ingredient), (1_309, 198));
    let pairs = BTreeMap::from([
        (Severity::Contraindicated, 9_042),
        (Severity::Major, 4_572),
        (Severity::Moderate, 7_458),
        (Severity::Minor, 12_100),
    ]);
    assert_eq!((summary.pairs.values().sum::<u64>(), summary.ingredients), (33_172, 906));
    assert_eq!(summary.pairs, pairs);
    assert_eq!((summary.unknown.len(), summary.unknown.values().sum::<u64>()), (7, 66));
    // One profile for each ingredient that is the smaller one of a pair, and the record that the source was loaded.
    assert_eq!(summary.events, 853);
    for (one, other, expected) in [
        ("11289", "7258", Some((Severity::Major, false))),
        ("11289", "1191", Some((Severity::Contraindicated, true))),
        ("11170", "36567", Some((Severity::Moderate, false))),
        ("11170", "3407", Some((Severity::Moderate, false))),
        ("4603", "6918", None),
    ] {
        let found = pair(&hospital, one, other).await.map(|it| (it.severity, it.is_conditional));
        assert_eq!(found, expected, "{one} and {other}");
    }
    let again = imported(&hospital, &folder()).await;
    assert_eq!(again.events, 0, "a second run adds nothing");
}

#[tokio::test]
async fn what_is_said_of_a_pair_lists_each_level_with_its_condition() {
    let hospital = Hospital::empty().await;
    imported(&hospital, &folder()).await;
    let aspirin = profile_of("ANSM", &"11289".into());
    let state = hospital.executor.load::<InteractionProfile>(aspirin.0, true).await.unwrap().state.unwrap();
    let content = state.content.clone().unwrap();
    let pair = &content.pairs[&Text::<20>::from("1191")];
    let advice = &content.texts[pair.advice[0]];
    let management = &advice.management.as_ref().unwrap().0;
    assert_eq!(management.lines().count(), 3, "{management}");
    assert!(management.starts_with("CONTRE-INDICATION: "), "{management}");
    assert!(!advice.mechanism.as_ref().unwrap().0.contains('\n'), "line breaks of printed pages are gone");
    let longest = content.pairs.values().map(|it| it.advice.len()).max();
    assert!(longest <= Some(4), "{longest:?} texts");
}

const RULES: &str = r#"[
  {"main_drug": "WARFARINE", "plus_drug": "anti - inflammatoires",
   "severity_levels": [{"level": "Association DECONSEILLEE", "info": ""}], "interaction_mechanism": "Saignement."},
  {"main_drug": "ANTI-INFLAMMATOIRES", "plus_drug": "WARFARINE",
   "severity_levels": [{"level": "Association DECONSEILLEE", "info": ""}], "interaction_mechanism": "Saignement."},
  {"main_drug": "WARFARINE", "plus_drug": "PAMPLEMOUSSE",
   "severity_levels": [{"level": "A prendre en compte", "info": ""}], "interaction_mechanism": ""}
]"#;
const SUBSTANCES: &str = r#"[
  {"substance": "warfarine", "drug_classes": []},
  {"substance": "naproxène", "drug_classes": ["anti-inflammatoires"]},
  {"substance": "ibuprofène", "drug_classes": ["anti-inflammatoires"]}
]"#;
const MAPPINGS: &str = "substance\tRxNorm\nwarfarine\t11289\nnaproxène\t7258\nibuprofène\t5640\nalcool\tNA\n";

/// A folder with a small thesaurus.
fn small(hospital: &Hospital, name: &str, rules: &str, substances: &str, mappings: &str) -> PathBuf {
    let folder = hospital.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    for (file, text) in
        [("ansm_2026_01.json", rules), ("ansm_substances.json", substances), ("ansm_rxnorm_mappings.tsv", mappings)]
    {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

fn problems(summary: &InteractionSummary) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    summary.broken.iter().map(|it| format!("{}: {}", name(&it.path), it.problem)).collect()
}

#[tokio::test]
async fn names_are_compared_folded_and_mirror_images_are_one() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, &small(&hospital, "good", RULES, SUBSTANCES, MAPPINGS)).await;
    assert!(summary.is_complete(), "{summary}");
    assert_eq!((summary.rules, summary.distinct_rules, summary.without_pair), (3, 2, 1));
    assert_eq!(summary.pairs, BTreeMap::from([(Severity::Major, 2)]));
    assert_eq!(summary.unknown, BTreeMap::from([("PAMPLEMOUSSE".to_owned(), 1)]));
    assert_eq!(pair(&hospital, "7258", "11289").await.map(|it| it.rule_count), Some(1));
}

#[tokio::test]
async fn a_bad_record_is_named_by_its_line_and_the_rest_goes_on() {
    let hospital = Hospital::empty().await;
    let rules =
        RULES.replace("\"A prendre en compte\"", "\"Un peu\"").replacen("\"WARFARINE\", \"plus", "5, \"plus", 1);
    let substances = SUBSTANCES.replace("{\"substance\": \"ibuprofène\", ", "{");
    let mappings = MAPPINGS.replace("5640", "N02").replace("alcool\tNA", "alcool");
    let summary = imported(&hospital, &small(&hospital, "bad", &rules, &substances, &mappings)).await;
    assert!(!summary.is_complete());
    let expected = [
        "ansm_2026_01.json: line 2: a record without the fields that it must have, or with others' values",
        "ansm_substances.json: line 4: a record without the fields that it must have, or with others' values",
        "ansm_2026_01.json: line 6: a rule with a level that is none of the four",
        "ansm_rxnorm_mappings.tsv: line 4: neither an RxCUI of 1 to 8 digits nor NA in the second column",
        "ansm_rxnorm_mappings.tsv: line 5: not two columns, a substance and an RxCUI, with a tab between them",
    ];
    assert_eq!(problems(&summary), expected);
    // The mirror image of the first rule still leads to the pair.
    assert_eq!(pair(&hospital, "7258", "11289").await.map(|it| it.severity), Some(Severity::Major));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_lets_nothing_in() {
    let hospital = Hospital::empty().await;
    for (name, rules, substances, expected) in [
        ("cut", &RULES[..300], SUBSTANCES, "ansm_2026_01.json: line 5: no JSON array, or broken off"),
        ("object", RULES, "{}", "ansm_substances.json: line 1: no JSON array, or broken off"),
    ] {
        let summary = imported(&hospital, &small(&hospital, name, rules, substances, MAPPINGS)).await;
        assert_eq!((problems(&summary), summary.events), (vec![expected.to_owned()], 0), "{name}");
    }
    let folder = small(&hospital, "missing", RULES, SUBSTANCES, MAPPINGS);
    std::fs::remove_file(folder.join("ansm_2026_01.json")).unwrap();
    std::fs::write(folder.join("ansm_rxnorm_mappings.tsv"), b"substance\tRxNorm\n\xff\t1\n").unwrap();
    let summary = imported(&hospital, &folder).await;
    let expected =
        ["missing: a folder without a file of rules, ansm_YYYY_MM.json", "ansm_rxnorm_mappings.tsv: line 2: not UTF-8"];
    assert_eq!((problems(&summary), summary.is_complete()), (expected.map(str::to_owned).to_vec(), false));
    assert!(hospital.executor.load::<InteractionSource>(sources().0, true).await.unwrap().state.is_none());
}

#[tokio::test]
async fn a_newer_thesaurus_empties_what_it_does_not_know_any_more() {
    let hospital = Hospital::empty().await;
    imported(&hospital, &small(&hospital, "older", RULES, SUBSTANCES, MAPPINGS)).await;
    let mappings = MAPPINGS.replace("naproxène\t7258", "naproxène\tNA").replace("11289", "99");
    let folder = small(&hospital, "newer", RULES, SUBSTANCES, &mappings);
    std::fs::rename(folder.join("ansm_2026_01.json"), folder.join("ansm_2026_02.json")).unwrap();
    imported(&hospital, &folder).await;
    assert_eq!(pair(&hospital, "7258", "11289").await, None);
    assert_eq!(pair(&hospital, "5640", "99").await.map(|it| it.severity), Some(Severity::Major));
    let sources = hospital.executor.load::<InteractionSource>(sources().0, true).await.unwrap().state.unwrap();
    let loaded = &sources.loaded[&Text::<50>::from("ANSM")];
    assert_eq!((loaded.version.as_str(), loaded.pairs), ("2026-02", 1));
}
