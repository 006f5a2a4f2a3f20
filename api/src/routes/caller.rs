use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use futures::future::LocalBoxFuture;
use hims_commands::{Caller, token_hash};
use hims_domain::permission::Read;
use hims_projections::query::Identity;

use super::origin::origin;
use crate::problem::Problem;
use crate::{Hospital, sight};

/// The caller who sent the request, found by the bearer token. A handler takes this extractor to know the caller.
pub(crate) struct LoggedIn {
    pub(crate) caller: Caller,
    /// The hash of the token of the session.
    pub(crate) token_hash: String,
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

impl FromRequest for LoggedIn {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let hospital = request.app_data::<web::Data<Hospital>>().cloned();
        let (token, origin) = (bearer(request), origin(request));
        Box::pin(async move {
            let (Some(hospital), Some(token)) = (hospital, token) else { return Err(Problem::unauthenticated()) };
            let caller = hospital.login.authenticate(&token, origin).await?.ok_or_else(Problem::unauthenticated)?;
            Ok(Self::known(caller, token_hash(&token)))
        })
    }
}

impl LoggedIn {
    /// A caller who is known by now. The span of the request names the user from here on.
    pub(super) fn known(caller: Caller, token_hash: String) -> Self {
        if let Some(user) = caller.user_id() {
            tracing::Span::current().record("user", tracing::field::display(user));
        }
        Self { caller, token_hash }
    }

    /// Whether the caller's roles allow reading what the permission word names.
    pub(crate) fn reads(&self, word: Read) -> bool {
        self.caller.reads(word)
    }

    /// Whether the caller's roles allow reading what at least one of the permission words names.
    pub(crate) fn reads_any(&self, words: &[Read]) -> bool {
        sight::reads_any(&self.caller, words)
    }

    /// Refuses a caller who has to change their password first.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        if self.caller.must_change_password {
            let detail = "the password was chosen by somebody else; change it with change-password first";
            return Err(Problem::new(StatusCode::FORBIDDEN, "password-change-required", detail));
        }
        Ok(())
    }

    /// The caller as row-level security sees them.
    pub(crate) fn identity(&self) -> Identity {
        sight::identity(&self.caller)
    }
}
