use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Folds the name of a substance or of a class, so that the spellings of the three files become equal: without accents,
/// `œ` as `oe`, one kind of apostrophe, no spaces round hyphens, otherwise single spaces, in upper case.
pub(super) fn folded(name: &str) -> String {
    let letters: String = name.nfd().filter(|it| !is_combining_mark(*it)).collect();
    let letters = letters.replace('œ', "oe").replace('Œ', "OE").replace('’', "'");
    let spaced = letters.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<_> = spaced.split('-').map(str::trim).collect();
    parts.join("-").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_one_name_are_equal() {
        for (spelling, expected) in [
            ("bêta-bloquants (sauf esmolol)", "BETA-BLOQUANTS (SAUF ESMOLOL)"),
            ("Bêta - bloquants  (sauf\n esmolol)", "BETA-BLOQUANTS (SAUF ESMOLOL)"),
            ("médicaments à l’origine d'un œdème", "MEDICAMENTS A L'ORIGINE D'UN OEDEME"),
            (" Œstrogènes ", "OESTROGENES"),
            ("e\u{301}tanol", "ETANOL"),
        ] {
            assert_eq!(folded(spelling), expected, "{spelling}");
        }
    }
}
