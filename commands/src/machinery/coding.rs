use hims_domain::values::Text;
use hims_domain::values::coding::read_code;

use crate::Refused;

/// A code of a code system as it is kept, from the fields `code_system` and `code` of a request.
///
/// # Errors
/// When only one of the two is given, or the code does not have the form of the system's codes.
pub(crate) fn coded(system: Option<&Text<100>>, code: Option<Text<20>>) -> Result<Option<Text<20>>, Refused> {
    match (system, code) {
        (None, None) => Ok(None),
        (Some(system), Some(code)) => read_at(system.as_str(), &code, "/code").map(Some),
        (Some(_), None) => Err(Refused::field("invalid-fields", "/code", "give the code too, or leave the system out")),
        (None, Some(_)) => {
            let message = "give the system of the code too, as a URI such as http://snomed.info/sct";
            Err(Refused::field("invalid-fields", "/code_system", message))
        }
    }
}

/// A code as it is kept, from the field of a request that holds codes of one system only.
///
/// # Errors
/// When the code does not have the form of the system's codes.
pub(crate) fn read_at(system: &str, code: &Text<20>, pointer: &str) -> Result<Text<20>, Refused> {
    let read = read_code(system, code.as_str()).map_err(|rule| Refused::field("malformed-code", pointer, rule))?;
    Ok(Text(read))
}
