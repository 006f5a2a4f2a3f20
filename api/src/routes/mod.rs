//! The routes. Each handler reads the request, calls the hospital and writes the answer; no handler decides anything.

mod access;
mod access_report;
mod body;
mod caller;
mod commands;
mod cors;
mod evenly;
mod events;
mod following;
mod headers;
mod health;
mod incarnation;
mod limits;
mod notifications;
mod open_id;
mod origin;
mod parameters;
mod passkeys;
mod password_resets;
mod position;
mod reads;
mod reports;
mod request_id;
mod second_factor;
mod security_txt;
mod service_accounts;
mod sessions;
mod slots;
mod statistics;
mod streams;
mod tables;
mod tickets;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, Resource, Responder};
use utoipa_swagger_ui::SwaggerUi;

pub(crate) use body::Deadline;
pub use cors::Origins;
pub(crate) use cors::cors;
pub(crate) use events::Concerned;
pub(crate) use headers::{protect, security_headers};
pub(crate) use limits::{Connections, Limits, shed};
pub use origin::Proxies;
pub(crate) use reads::Looks;
pub(crate) use request_id::RequestIds;
pub use security_txt::SecurityContacts;

use crate::problem::Problem;

/// Adds all routes to the server.
pub(crate) fn configure(service: &mut ServiceConfig) {
    let api = web::scope("/api/v1")
        .service(read("/openapi.json", health::openapi))
        .service(write("/sessions", sessions::start))
        .service(other("/sessions/current", "GET, DELETE").get(sessions::current).delete(sessions::end))
        .service(write("/sessions/current/confirm", second_factor::prove))
        .service(write("/sessions/current/second-factor", second_factor::enrol))
        .service(write("/sessions/current/second-factor/confirm", second_factor::confirm))
        .service(write("/password-resets", password_resets::ask))
        .service(write("/password-resets/complete", password_resets::complete))
        .service(write("/oauth/token", service_accounts::token))
        .service(write("/service-accounts/{id}/secrets", service_accounts::add_secret))
        .service(write("/sessions/openid", open_id::begin))
        .service(write("/sessions/openid/complete", open_id::complete))
        .service(write("/sessions/current/identities", open_id::link))
        .service(write("/sessions/passkeys", passkeys::begin))
        .service(write("/sessions/passkeys/complete", passkeys::complete))
        .service(own_passkeys())
        .service(write("/sessions/current/passkeys/complete", passkeys::complete_making))
        .service(write("/sessions/current/confirm/passkey", passkeys::begin_proof))
        .service(write("/sessions/current/confirm/passkey/complete", passkeys::complete_proof))
        .service(write("/stream-tickets", tickets::issue))
        .service(read("/commands", commands::list))
        .service(write("/commands/{name}", commands::run))
        .service(other("/events/stream", "GET").get(events::follow))
        .service(read("/events", events::list))
        .service(read("/streams/{type}/{id}", streams::state_of))
        .service(read("/slots", slots::list))
        .service(read("/query-performance", statistics::query_performance))
        .service(read("/table-bloat", statistics::table_bloat))
        .service(other("/notifications/stream", "GET").get(notifications::follow))
        .service(other("/report-executions/{id}/file", "GET").get(reports::file))
        .service(read("/patients/{id}/access-report", access_report::list))
        .service(read("/{table}", tables::page_of))
        .service(read("/{table}/{id}", tables::row_of));
    service
        .service(read("/health/live", health::live))
        .service(read("/health/ready", health::ready))
        .service(read("/metrics", health::metrics))
        .service(read("/.well-known/security.txt", security_txt::told))
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json")))
        .service(other("/docs/{_:.*}", "GET"))
        .service(api)
        .default_service(web::to(|| async { Err::<String, _>(Problem::not_found()) }));
}

/// The passkeys of the caller, to which a new one is added.
fn own_passkeys() -> Resource {
    let resource = other("/sessions/current/passkeys", "GET, HEAD, POST");
    resource.get(passkeys::list).head(passkeys::list).post(passkeys::begin_making)
}

/// A route that is read with GET. HEAD gives the same answer without the body.
fn read<F, Asked>(path: &str, handler: F) -> Resource
where
    F: Handler<Asked>,
    Asked: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    other(path, "GET, HEAD").get(handler.clone()).head(handler)
}

/// A route that is written to with POST.
fn write<F, Asked>(path: &str, handler: F) -> Resource
where
    F: Handler<Asked>,
    Asked: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    other(path, "POST").post(handler)
}

/// A route without handlers yet. Other methods than the `methods` are answered with 405.
fn other(path: &str, methods: &'static str) -> Resource {
    web::resource(path)
        .default_service(web::to(move || async move { Err::<String, _>(Problem::method_not_allowed(methods)) }))
}
