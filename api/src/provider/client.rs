//! The client of the provider, of the library's parts: one that reads every claim of an ID token, and asks over the HTTP
//! client of this program.

use std::collections::HashMap;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenFields, StandardErrorResponse, StandardTokenResponse, http,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All claims of an ID token that have no place of their own in the standard.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct AllClaims(pub(super) HashMap<String, Value>);

impl AdditionalClaims for AllClaims {}

/// The word of the provider for somebody.
pub(super) type IdToken =
    openidconnect::IdToken<AllClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

type Fields = IdTokenFields<
    AllClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// A client that knows the addresses of the provider.
pub(super) type Client = openidconnect::Client<
    AllClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The largest answer of the provider, in bytes.
const LARGEST: usize = 1 << 20;

/// A client of the provider that says this of itself.
pub(super) fn of(metadata: CoreProviderMetadata, id: ClientId, secret: ClientSecret) -> Client {
    Client::from_provider_metadata(metadata, id, Some(secret))
}

/// Why the provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// There was no answer.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// The answer could not be taken over.
    #[error("{0}")]
    Form(#[from] http::Error),
    /// The answer is too large.
    #[error("the answer has more than 1 MiB")]
    TooLarge,
}

/// Asks the provider something, and follows no redirection.
pub(super) async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, AskError> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut response = http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Err(AskError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(body)?)
}
