//! Codes of code systems (FHIR `Coding`), which are checked for their form: no list of codes is shipped.

/// The International Classification of Diseases, 10th revision, clinical modification.
pub const ICD_10_CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
/// SNOMED CT.
pub const SNOMED_CT: &str = "http://snomed.info/sct";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// RxNorm.
pub const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// Vaccines administered.
pub const CVX: &str = "http://hl7.org/fhir/sid/cvx";
/// Current Procedural Terminology.
pub const CPT: &str = "http://www.ama-assn.org/go/cpt";
/// The Healthcare Common Procedure Coding System.
pub const HCPCS: &str = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets";
/// National Drug Codes.
pub const NDC: &str = "http://hl7.org/fhir/sid/ndc";

/// The kinds of consultations of this hospital, as codes of what is charged for.
pub const CONSULTATION_TYPES: &str = "urn:hims:consultation-type";
/// The kinds of treatments of this hospital, for treatments without a code.
pub const TREATMENT_TYPES: &str = "urn:hims:treatment-type";
/// The medication catalogue of this hospital, for products without an RxNorm code: the beginning of the product's id.
pub const CATALOGUE: &str = "urn:hims:medication";
/// The articles of this hospital, by their stock-keeping unit, or the beginning of their id if that is too long.
pub const ARTICLES: &str = "urn:hims:article";

/// Reads a code of a code system, in the form in which the code is kept. A code of an unknown system is kept as it is.
///
/// # Errors
/// What the codes of the system look like, when the code does not.
pub fn read_code(system: &str, code: &str) -> Result<String, &'static str> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let as_it_is = |is_one: bool, rule| if is_one { Ok(code.to_owned()) } else { Err(rule) };
    match system {
        ICD_10_CM => read_icd_10_cm(code),
        SNOMED_CT => {
            as_it_is(is_digits(code) && (6..=18).contains(&code.len()), "give a SNOMED CT id of 6 to 18 digits")
        }
        LOINC => {
            let is_one = code.split_once('-').is_some_and(|(number, check)| {
                is_digits(number) && number.len() <= 7 && is_digits(check) && check.len() == 1
            });
            as_it_is(is_one, "give a LOINC code such as 8867-4")
        }
        RXNORM => as_it_is(is_digits(code) && code.len() <= 8, "give an RxNorm concept (RXCUI) of 1 to 8 digits"),
        CVX => as_it_is(is_digits(code) && code.len() <= 3, "give a CVX code of 1 to 3 digits"),
        CPT | HCPCS => {
            let is_one = code.len() == 5 && code.bytes().all(|it| it.is_ascii_alphanumeric());
            as_it_is(is_one, "give a code of 5 letters and digits").map(|it| it.to_ascii_uppercase())
        }
        NDC => as_it_is(is_digits(code) && code.len() == 11, "give a National Drug Code of 11 digits"),
        _ => Ok(code.to_owned()),
    }
}

/// Reads a code of ICD-10-CM: in upper case, with the dot after the third character.
fn read_icd_10_cm(code: &str) -> Result<String, &'static str> {
    const RULE: &str = "give an ICD-10-CM code such as E11.9";
    let code = code.to_ascii_uppercase();
    if !code.is_ascii() {
        return Err(RULE);
    }
    let (category, rest) = match code.split_once('.') {
        Some((_, "")) => return Err(RULE),
        Some(parts) => parts,
        None => code.split_at(code.len().min(3)),
    };
    let is_category = matches!(category.as_bytes(), [letter, digit, last]
        if letter.is_ascii_uppercase() && digit.is_ascii_digit() && last.is_ascii_alphanumeric());
    let is_rest = rest.len() <= 4 && rest.bytes().all(|it| it.is_ascii_alphanumeric());
    match (is_category && is_rest, rest) {
        (false, _) => Err(RULE),
        (true, "") => Ok(category.to_owned()),
        (true, rest) => Ok(format!("{category}.{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_icd_10_cm_gets_its_dot_and_upper_case() {
        for (given, kept) in [
            ("e119", "E11.9"),
            ("E11.9", "E11.9"),
            ("U07.1", "U07.1"),
            ("C7A.00", "C7A.00"),
            ("Z3A.20", "Z3A.20"),
            ("s72001a", "S72.001A"),
            ("S72.001A", "S72.001A"),
            ("i10", "I10"),
        ] {
            assert_eq!(read_code(ICD_10_CM, given).as_deref(), Ok(kept), "{given}");
        }
        for given in ["", "E", "E1", "11.9", "E11.", "E1.19", "E11.90000", "EE1.9", "E11-9", "É11.9", "E11.9.1"] {
            assert!(read_code(ICD_10_CM, given).is_err(), "{given}");
        }
    }

    #[test]
    fn the_codes_of_each_system_have_their_form() {
        for (system, good, bad) in [
            (
                SNOMED_CT,
                &["266919005", "449868002", "160903007", "999999"][..],
                &["12345", "1234567890123456789", "A6"][..],
            ),
            (LOINC, &["72166-2", "1-8", "1234567-8"], &["72166", "12345678-1", "72166-22", "-2", "72166-X"]),
            (RXNORM, &["1", "12345678"], &["", "123456789", "N1"]),
            (CVX, &["140", "08"], &["1400", "x"]),
            (CPT, &["99213", "0001U"], &["9921", "992133", "99 13"]),
            (HCPCS, &["G0008"], &["G008"]),
            (NDC, &["00002322730"], &["0002-3227-30", "2322730"]),
            ("urn:oid:1.2.3", &["anything goes"], &[]),
        ] {
            for code in good {
                assert_eq!(read_code(system, code).as_deref(), Ok(*code), "{system} {code}");
            }
            for code in bad {
                assert!(read_code(system, code).is_err(), "{system} {code}");
            }
        }
        assert_eq!(read_code(CPT, "0001u").as_deref(), Ok("0001U"));
    }
}
