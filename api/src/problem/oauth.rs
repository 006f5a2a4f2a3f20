/// What OAuth calls an error of a request for a token (RFC 6749, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OAuthError {
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    UnsupportedGrantType,
}

impl OAuthError {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }
}
