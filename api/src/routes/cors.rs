//! What pages of other origins may ask of this server (CORS).

use std::str::FromStr;

use actix_cors::{Cors, CorsError};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH,
    RETRY_AFTER,
};
use actix_web::middleware::Condition;
use reqwest::Url;
use serde::Deserialize;

use crate::problem::Problem;

/// How many seconds a browser need not ask again what a page may do.
const KNOWN_FOR: usize = 600;

/// The headers of requests that pages may send.
const ASKED: [HeaderName; 14] = [
    ACCEPT,
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("hims-background"),
    HeaderName::from_static("hims-incarnation"),
    HeaderName::from_static("hims-min-position"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("purpose-of-use"),
    HeaderName::from_static("traceparent"),
];

/// The headers of answers that pages may read, beside those that all pages may.
const TOLD: [HeaderName; 6] = [
    CONTENT_DISPOSITION,
    ETAG,
    HeaderName::from_static("hims-incarnation"),
    HeaderName::from_static("hims-position"),
    RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
];

/// The origins whose pages may ask: `https://host` or `https://host:port`, separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origins(Vec<String>);

impl TryFrom<String> for Origins {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let origin = |it: &str| {
            let origin = Url::parse(it).ok().map(|url| url.origin().ascii_serialization());
            let is_origin = origin.is_some_and(|origin| origin == it) && it.starts_with("http");
            is_origin.then(|| it.to_owned()).ok_or_else(|| {
                format!(
                    "{it} is no origin as browsers send it, such as https://app.example.org or http://localhost:3000"
                )
            })
        };
        named.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// Lets pages of these origins ask. They are known by their tokens alone: there are no cookies, and browsers are not
/// allowed to send any.
pub(crate) fn cors(origins: &Origins) -> Condition<Cors> {
    let allowed = Cors::default()
        .allowed_methods(["DELETE", "GET", "HEAD", "POST"])
        .allowed_headers(ASKED)
        .expose_headers(TOLD)
        .max_age(KNOWN_FOR);
    let allowed = origins.0.iter().fold(allowed, |allowed, origin| allowed.allowed_origin(origin));
    Condition::new(!origins.0.is_empty(), allowed)
}

/// Why a page may not ask, if that is what an answer says.
pub(super) fn refused<B>(response: &ServiceResponse<B>) -> Option<Problem> {
    response.response().error()?.as_error::<CorsError>()?;
    let detail = "pages of this origin may not ask so; an operator names origins in the setting allowed_origins";
    Some(Problem::new(StatusCode::BAD_REQUEST, "origin-not-allowed", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        let origins: Origins = "https://app.example.org, http://localhost:3000,".parse().expect("origins");
        assert_eq!(origins.0, ["https://app.example.org", "http://localhost:3000"]);
        assert_eq!("".parse::<Origins>(), Ok(Origins::default()));
        for wrong in
            ["*", "null", "app.example.org", "https://app.example.org/", "https://App.example.org", "file:///x"]
        {
            assert!(wrong.parse::<Origins>().expect_err("no origin").starts_with(wrong));
        }
        assert!("https://app.example.org:443".parse::<Origins>().is_err(), "browsers leave a usual port out");
    }
}
