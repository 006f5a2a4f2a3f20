//! Whom to tell of a weakness (RFC 9116).

use std::str::FromStr;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{SecondsFormat, TimeDelta};
use serde::Deserialize;

use crate::Hospital;
use crate::problem::Problem;

/// How long what is told may be relied on.
const GOOD_FOR: TimeDelta = TimeDelta::days(30);

/// Whom to tell of a weakness: `mailto:`, `https:` or `tel:`, most preferred first, separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecurityContacts(Vec<String>);

impl TryFrom<String> for SecurityContacts {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for SecurityContacts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let contact = |it: &str| {
            let rest = ["mailto:", "https://", "tel:"].iter().find_map(|scheme| it.strip_prefix(scheme));
            let is_contact =
                rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|letter| letter.is_ascii_graphic()));
            is_contact.then(|| it.to_owned()).ok_or_else(|| {
                format!("{it} is no contact such as mailto:security@example.org or https://example.org/report")
            })
        };
        named.map(contact).collect::<Result<_, _>>().map(Self)
    }
}

/// Answers whom to tell of a weakness. There is nothing here if the settings name nobody.
pub(super) async fn told(
    request: HttpRequest,
    (hospital, contacts): (web::Data<Hospital>, web::Data<SecurityContacts>),
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    if contacts.0.is_empty() {
        return Err(Problem::not_found());
    }
    let expires = (hospital.executor.now() + GOOD_FOR).to_rfc3339_opts(SecondsFormat::Secs, true);
    let contacts = contacts.0.iter().flat_map(|it| ["Contact: ", it.as_str(), "\n"]).collect::<String>();
    let text = format!("{contacts}Expires: {expires}\nPreferred-Languages: en\n");
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_an_address() {
        let contacts: SecurityContacts = "mailto:security@example.org, tel:+1-201-555-0123".parse().expect("contacts");
        assert_eq!(contacts.0.len(), 2);
        for wrong in ["security@example.org", "mailto:", "http://example.org", "mailto:a\nExpires: never"] {
            assert!(wrong.parse::<SecurityContacts>().is_err(), "{wrong}");
        }
    }
}
