use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A text folded for comparison: in lower case and without accents, whatever its Unicode normal form is.
fn folded(text: &str) -> String {
    text.nfd().filter(|it| !is_combining_mark(*it)).collect::<String>().to_lowercase()
}

/// The words of a text, folded for comparison: runs of letters and digits, without what stands between them.
pub fn words(text: &str) -> Vec<String> {
    folded(text).split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Whether a text holds the words of another text, one directly after the other.
pub fn holds_words(text: &str, part: &str) -> bool {
    let (text, part) = (words(text), words(part));
    !part.is_empty() && text.windows(part.len()).any(|it| *it == *part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_accents_and_punctuation() {
        assert_eq!(words("Pénicilline-V, (500 mg)"), ["penicilline", "v", "500", "mg"]);
        assert_eq!(words("Pe\u{301}nicilline"), words("PÉNICILLINE"));
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
