use unicode_normalization::char::is_combining_mark;

use super::folded;

/// The words of a text, folded for comparison: runs of letters and digits, without what stands between them.
pub fn words(text: &str) -> Vec<String> {
    // The text is cut before it is folded: `folded` drops apostrophes, which separate words here (`l'amoxicilline`).
    let runs = text.split(|it: char| !it.is_alphanumeric() && !is_combining_mark(it)).filter(|it| !it.is_empty());
    // A single character may be folded to several words: `½` to `1/2`.
    runs.flat_map(|run| {
        let folded = folded(run);
        let parts = folded.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

/// Whether words hold other words, one directly after the other.
pub fn holds(words: &[String], part: &[String]) -> bool {
    !part.is_empty() && words.windows(part.len()).any(|it| *it == *part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds_words(text: &str, part: &str) -> bool {
        holds(&words(text), &words(part))
    }

    #[test]
    fn words_are_compared_without_case_accents_and_punctuation() {
        assert_eq!(words("Pénicilline-V, (500 mg)"), ["penicilline", "v", "500", "mg"]);
        assert_eq!(words("Pe\u{301}nicilline"), words("PÉNICILLINE"));
        assert_eq!(
            words("Allergie à l'amoxicilline, l’aspirine"),
            ["allergie", "a", "l", "amoxicilline", "l", "aspirine"]
        );
        assert_eq!(words("½ \u{301} @ x@y"), ["1", "2", "x", "y"]);
    }

    #[test]
    fn the_spellings_of_one_substance_are_equal() {
        for (one, other) in [
            ("Östradiol", "Oestradiol"),
            ("O\u{308}stradiol", "OESTRADIOL"),
            ("Süßholz", "Suessholz"),
            ("SÜSSHOLZ", "süßholz"),
            ("Grøn te", "Gron te"),
            ("Grøn te", "Groen te"),
            ("Ægg", "Aegg"),
            ("Ål", "Aal"),
            ("Łubin", "Lubin"),
            ("Пенициллин", "ПЕНИЦИЛЛИН"),
        ] {
            assert_eq!(words(one), words(other), "{one}, {other}");
            assert!(holds_words(&format!("{one}-Gel 0,6 mg/g"), other), "{one}, {other}");
        }
        assert_ne!(words("Penicillin"), words("Penicillamin"));
    }

    #[test]
    fn only_whole_words_in_their_order_are_held() {
        let name = "Acetaminophen 300 MG / Codeine Phosphate 30 MG Oral Tablet";
        for part in ["codeine", "Codéine phosphate", "acetaminophen"] {
            assert!(holds_words(name, part), "{part}");
        }
        for part in ["codein", "phosphate codeine", "", " - ", "dihydrocodeine"] {
            assert!(!holds_words(name, part), "{part}");
        }
    }
}
