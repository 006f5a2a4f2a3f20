//! The OpenID provider at which users log in (OpenID Connect, authorization code with PKCE).
//!
//! What the provider says of a person is taken from its signed word alone (the ID token), and only if it names this
//! hospital, the attempt (by its nonce) and when the person proved who they are.

mod client;

use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_commands::{Identified, OpenIdAttempt};
use hims_domain::user::ExternalIdentity;
use openidconnect::core::{CoreAuthenticationFlow, CoreJwsSigningAlgorithm, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use reqwest::{Certificate, Url};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::client::{AllClaims, Client, IdToken};
use crate::Settings;
use crate::outside::{OutsideError, certificate, is_loopback};

/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what the provider says of itself, and its keys, are believed.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// How soon they are asked for again when its word has the mark of a key that is not known.
const ASKED_AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// How long a provider that did not answer is not asked again.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// How old a proof of who somebody is may be. The provider asks them again if theirs is older.
const FRESH: Duration = Duration::from_mins(10);
/// How far the clocks of the provider and of the hospital may be apart.
const LEEWAY: Duration = Duration::from_mins(1);
/// The signatures that count: those with which nobody but the provider can sign.
const SIGNATURES: [CoreJwsSigningAlgorithm; 5] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Why the provider vouches for nobody.
#[derive(Debug, Clone, Error)]
pub(crate) enum ProviderError {
    /// The provider does not answer, or says of itself what cannot be used.
    #[error("the provider did not answer as it should: {0}")]
    Unavailable(String),
    /// The provider does not know the code, or its word does not hold.
    #[error("the provider did not vouch for this login: {0}")]
    Refused(String),
}

/// The provider, as the settings name it.
pub(crate) struct Provider {
    http: reqwest::Client,
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect: RedirectUrl,
    scopes: Vec<Scope>,
    roles: Option<RolesByClaim>,
    known: Mutex<Option<Asked>>,
}

/// When the provider was asked about itself, and what it said.
struct Asked {
    at: Instant,
    answer: Result<CoreProviderMetadata, ProviderError>,
}

impl Asked {
    /// Whether the answer counts for somebody who wants to know what was said at most so long ago. That a provider did
    /// not answer counts for all who wait meanwhile, so that they do not wait one after the other.
    fn counts(&self, at_most: Duration) -> bool {
        self.at.elapsed() < if self.answer.is_ok() { at_most } else { SILENT_FOR }
    }
}

/// How roles follow from what the provider says.
#[derive(Debug, Clone, PartialEq)]
struct RolesByClaim {
    /// The claim, a text or a list of texts.
    claim: String,
    /// The values of the claim, each with the name of a role, the most important first.
    mapping: Vec<(String, String)>,
}

impl RolesByClaim {
    /// The names of the roles of somebody of whom the provider says this.
    fn of(&self, claims: &AllClaims) -> Vec<String> {
        let values: Vec<&str> = match claims.0.get(&self.claim) {
            Some(Value::String(value)) => vec![value],
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let named = self.mapping.iter().filter(|(value, _)| values.contains(&value.as_str()));
        named.map(|(_, role)| role.clone()).collect()
    }
}

fn fault(setting: &'static str, fault: &str) -> OutsideError {
    OutsideError::of(setting, fault)
}

/// Reads the setting of a URL that nobody may read on the way.
fn url(setting: &'static str, text: &str) -> Result<Url, OutsideError> {
    let url = Url::parse(text).ok().filter(|it| it.scheme() == "https" || it.scheme() == "http" && is_loopback(it));
    url.ok_or_else(|| fault(setting, "must be a URL with https, such as https://login.example.org"))
}

impl Provider {
    /// Reads the settings; `None` if they name no provider. Nothing is asked yet, so that a server also starts while
    /// the provider is out of order.
    pub(crate) fn try_new(settings: &Settings) -> Result<Option<Self>, OutsideError> {
        let Some(issuer) = &settings.oidc_issuer else { return Ok(None) };
        url("oidc_issuer", issuer)?;
        let needed = |setting, value: &Option<String>| {
            value.clone().ok_or_else(|| fault(setting, "must be given, since oidc_issuer is"))
        };
        let redirect = needed("oidc_redirect_url", &settings.oidc_redirect_url)?;
        url("oidc_redirect_url", &redirect)?;
        crate::provide_encryption();
        let mut http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &settings.ca_file {
            let trusted = Certificate::from_pem(&certificate(file)?);
            http = http.tls_certs_merge([trusted.map_err(|_| fault("ca_file", "holds no certificate in PEM form"))?]);
        }
        let http = http.build().map_err(|error| fault("oidc_issuer", &format!("cannot be asked: {error}")))?;
        Ok(Some(Self {
            http,
            issuer: IssuerUrl::new(issuer.clone()).map_err(|_| fault("oidc_issuer", "must be a URL"))?,
            client_id: ClientId::new(needed("oidc_client_id", &settings.oidc_client_id)?),
            client_secret: ClientSecret::new(needed("oidc_client_secret", &settings.oidc_client_secret)?),
            redirect: RedirectUrl::new(redirect).map_err(|_| fault("oidc_redirect_url", "must be a URL"))?,
            scopes: settings.oidc_scopes.iter().cloned().map(Scope::new).collect(),
            roles: roles_by_claim(settings)?,
            known: Mutex::new(None),
        }))
    }

    /// What the provider says of itself, asked for anew if it was asked longer ago.
    async fn metadata(&self, at_most: Duration) -> Result<CoreProviderMetadata, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(asked) = known.as_ref().filter(|it| it.counts(at_most)) {
            return asked.answer.clone();
        }
        let ask = |request| client::send(self.http.clone(), request);
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &ask).await;
        let answer = found.map_err(|error| ProviderError::Unavailable(error.to_string()));
        *known = Some(Asked { at: Instant::now(), answer: answer.clone() });
        answer
    }

    /// Where a browser goes for an attempt.
    pub(crate) async fn address_of(&self, attempt: &OpenIdAttempt) -> Result<Url, ProviderError> {
        let client = client::of(self.metadata(KNOWN_FOR).await?, self.client_id.clone(), self.client_secret.clone());
        let client = client.set_redirect_uri(self.redirect.clone());
        let (state, nonce) = (CsrfToken::new(attempt.state.clone()), Nonce::new(attempt.nonce.clone()));
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let asked = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(self.scopes.iter().cloned())
            .set_max_age(FRESH);
        Ok(asked.url().0)
    }

    /// For whom the provider vouches, given the code with which it sent a browser back.
    pub(crate) async fn identify(
        &self,
        attempt: &OpenIdAttempt,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<Identified, ProviderError> {
        let metadata = self.metadata(KNOWN_FOR).await?;
        let client = client::of(metadata, self.client_id.clone(), self.client_secret.clone());
        let client = client.set_redirect_uri(self.redirect.clone());
        let ask = |request| client::send(self.http.clone(), request);
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| ProviderError::Unavailable(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let answer = request.request_async(&ask).await.map_err(|error| match error {
            openidconnect::RequestTokenError::ServerResponse(_) => {
                ProviderError::Refused("the code is not good".into())
            }
            other => ProviderError::Unavailable(other.to_string()),
        })?;
        let token = answer.id_token().ok_or_else(|| ProviderError::Refused("there is no ID token".into()))?;
        match self.told_by(&client, token, attempt, now) {
            // The provider may have got a new key since it was asked.
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                let metadata = self.metadata(ASKED_AT_MOST_EVERY).await?;
                let client = client::of(metadata, self.client_id.clone(), self.client_secret.clone());
                self.told_by(&client, token, attempt, now)
            }
            told => told,
        }
        .map_err(|error| ProviderError::Refused(error.to_string()))
    }

    /// What an ID token says, if it holds.
    fn told_by(
        &self,
        client: &Client,
        token: &IdToken,
        attempt: &OpenIdAttempt,
        now: DateTime<Utc>,
    ) -> Result<Identified, ClaimsVerificationError> {
        let verifier = client.id_token_verifier().set_allowed_algs(SIGNATURES).set_time_fn(move || now);
        let claims = token.claims(&verifier, &Nonce::new(attempt.nonce.clone()))?;
        Ok(Identified {
            identity: ExternalIdentity {
                issuer: claims.issuer().as_str().into(),
                subject: hims_domain::Personal::Known(claims.subject().as_str().into()),
            },
            authenticated_at: proved_lately(claims.auth_time(), now)?,
            roles: self.roles.as_ref().map(|it| it.of(claims.additional_claims())),
        })
    }
}

/// When somebody proved to the provider who they are, if the provider says so, and that is as fresh as the hospital asks
/// for (OpenID Connect Core, 3.1.3.7).
fn proved_lately(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<DateTime<Utc>, ClaimsVerificationError> {
    let wrong = |fault: &str| ClaimsVerificationError::InvalidAuthTime(fault.to_owned());
    let at = at.ok_or_else(|| wrong("the provider does not say when"))?;
    if at < now - FRESH - LEEWAY {
        return Err(wrong("the proof is older than max_age allows"));
    }
    if at > now + LEEWAY {
        return Err(wrong(
            "the proof is of a time to come; compare the clock of the provider with that of the hospital",
        ));
    }
    Ok(at)
}

/// Reads the settings that say how roles follow from a claim.
fn roles_by_claim(settings: &Settings) -> Result<Option<RolesByClaim>, OutsideError> {
    let Some(claim) = settings.oidc_roles_claim.clone() else { return Ok(None) };
    let pair = |it: &String| {
        let (value, role) = it.split_once('=')?;
        let pair = (value.trim().to_owned(), role.trim().to_owned());
        (!pair.0.is_empty() && !pair.1.is_empty()).then_some(pair)
    };
    let mapping: Option<Vec<_>> = settings.oidc_roles.iter().map(pair).collect();
    let rule = "must be pairs of a value and a role, such as physicians=doctor, since oidc_roles_claim is given";
    let mapping = mapping.filter(|it| !it.is_empty()).ok_or_else(|| fault("oidc_roles", rule))?;
    Ok(Some(RolesByClaim { claim, mapping }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> Settings {
        Settings {
            oidc_issuer: Some("https://login.example.org".to_owned()),
            oidc_client_id: Some("hims".to_owned()),
            oidc_client_secret: Some("planted secret".to_owned()),
            oidc_redirect_url: Some("https://hims.example.org/back".to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_without_the_secret() {
        type Break = fn(&mut Settings);
        assert!(Provider::try_new(&Settings::default()).is_ok_and(|it| it.is_none()));
        assert!(Provider::try_new(&settings()).is_ok_and(|it| it.is_some()));
        let breaks: [(&str, Break); 6] = [
            ("oidc_issuer", |it| it.oidc_issuer = Some("http://login.example.org".to_owned())),
            ("oidc_client_id", |it| it.oidc_client_id = None),
            ("oidc_client_secret", |it| it.oidc_client_secret = None),
            ("oidc_redirect_url", |it| it.oidc_redirect_url = Some("back".to_owned())),
            ("oidc_roles", |it| it.oidc_roles_claim = Some("groups".to_owned())),
            ("oidc_roles", |it| {
                it.oidc_roles_claim = Some("groups".to_owned());
                it.oidc_roles = vec!["physicians".to_owned()];
            }),
        ];
        for (setting, break_it) in breaks {
            let mut settings = settings();
            break_it(&mut settings);
            let said = Provider::try_new(&settings).err().expect(setting).to_string();
            assert!(said.contains(setting) && !said.contains("planted"), "{said}");
        }
    }

    #[test]
    fn a_proof_is_as_fresh_as_it_was_asked_for() {
        let now = DateTime::UNIX_EPOCH;
        for right in [now, now - FRESH, now - FRESH - LEEWAY, now + LEEWAY] {
            assert_eq!(proved_lately(Some(right), now).ok(), Some(right));
        }
        let a_second = Duration::from_secs(1);
        let wrong = [now - FRESH - LEEWAY - a_second, now + LEEWAY + a_second, DateTime::<Utc>::MIN_UTC];
        for wrong in wrong.map(Some).into_iter().chain([None]) {
            assert!(proved_lately(wrong, now).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn roles_follow_from_a_text_or_a_list_in_the_order_of_the_setting() {
        let mut settings = settings();
        settings.oidc_roles_claim = Some("groups".to_owned());
        settings.oidc_roles = vec!["physicians=doctor".to_owned(), "staff = nurse".to_owned()];
        let roles = roles_by_claim(&settings).expect("good settings").expect("roles");
        for (claim, expected) in [
            (json!({"groups": ["staff", "others", "physicians"]}), vec!["doctor", "nurse"]),
            (json!({"groups": "staff"}), vec!["nurse"]),
            (json!({"groups": ["Staff"]}), vec![]),
            (json!({"roles": ["staff"], "groups": 7}), vec![]),
        ] {
            let claims: AllClaims = serde_json::from_value(claim).expect("claims");
            assert_eq!(roles.of(&claims), expected);
        }
    }
}
