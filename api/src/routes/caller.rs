use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use futures::future::LocalBoxFuture;
use hims_commands::{Caller, token_hash};
use hims_domain::access::PurposeOfUse;
use hims_domain::permission::Read;
use hims_projections::query::Identity;

use super::limits::Limits;
use super::origin::origin;
use crate::problem::Problem;
use crate::{Hospital, sight};

/// The caller who sent the request, found by the bearer token. A handler takes this extractor to know the caller.
pub(crate) struct LoggedIn {
    pub(crate) caller: Caller,
    /// The hash of the token of the session.
    pub(crate) token_hash: String,
    /// Whether a program asks by itself, such as a screen that refreshes itself, and not a person.
    pub(crate) is_in_background: bool,
}

/// The header that says for what a request reads or records.
const PURPOSE_OF_USE: &str = "purpose-of-use";
/// The header of a request that a program sends by itself.
const BACKGROUND: &str = "hims-background";

/// For what a request reads or records; for the treatment of patients, unless it says otherwise.
fn purpose_of_use(request: &HttpRequest) -> Result<PurposeOfUse, Problem> {
    let Some(header) = request.headers().get(PURPOSE_OF_USE) else { return Ok(PurposeOfUse::Treatment) };
    header.to_str().ok().and_then(PurposeOfUse::parse).ok_or_else(|| {
        Problem::parameter("Purpose-Of-Use", format!("must be one of {}", PurposeOfUse::CODES.join(", ")))
    })
}

fn is_in_background(request: &HttpRequest) -> Result<bool, Problem> {
    let Some(header) = request.headers().get(BACKGROUND) else { return Ok(false) };
    let said = header.to_str().ok().and_then(|it| it.parse().ok());
    said.ok_or_else(|| Problem::parameter("Hims-Background", "must be true or false"))
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
        let limits = request.app_data::<web::Data<Limits>>().cloned();
        let (token, origin) = (bearer(request), origin(request));
        let (purpose_of_use, is_in_background) = (purpose_of_use(request), is_in_background(request));
        Box::pin(async move {
            let (Some(hospital), Some(limits)) = (hospital, limits) else { return Err(Problem::unauthenticated()) };
            let now = hospital.executor.now();
            if let Some(address) = origin.0 {
                limits.requests.count_address(address, now)?;
            }
            let token = token.ok_or_else(Problem::unauthenticated)?;
            // What a program does by itself does not make the session last longer.
            let is_in_background = is_in_background?;
            let found = match is_in_background {
                true => hospital.login.is_still(&token_hash(&token), origin).await?,
                false => hospital.login.authenticate(&token, origin).await?,
            };
            let found = found.ok_or_else(Problem::unauthenticated)?;
            limits.requests.count_user(&found, now)?;
            let caller = Caller { purpose_of_use: purpose_of_use?, ..found };
            Ok(Self { is_in_background, ..Self::known(caller, token_hash(&token)) })
        })
    }
}

impl LoggedIn {
    /// A caller who is known by now. The span of the request names the user from here on.
    pub(super) fn known(caller: Caller, token_hash: String) -> Self {
        if let Some(user) = caller.user_id() {
            tracing::Span::current().record("user", tracing::field::display(user));
        }
        Self { caller, token_hash, is_in_background: false }
    }

    /// Whether the caller's roles allow reading what the permission word names.
    pub(crate) fn reads(&self, word: Read) -> bool {
        self.caller.reads(word)
    }

    /// Whether the caller's roles allow reading what at least one of the permission words names.
    pub(crate) fn reads_any(&self, words: &[Read]) -> bool {
        sight::reads_any(&self.caller, words)
    }

    /// Refuses a caller who has to do something else first, such as to change the password.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        match self.caller.duty() {
            Some(duty) => Err(Problem::new(StatusCode::FORBIDDEN, duty.code(), duty.detail())),
            None => Ok(()),
        }
    }

    /// The caller as row-level security sees them.
    pub(crate) fn identity(&self) -> Identity {
        sight::identity(&self.caller)
    }
}
