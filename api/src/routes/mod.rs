//! The routes. Each handler extracts, calls and answers.

mod access;
mod caller;
mod commands;
mod events;
mod health;
mod parameters;
mod position;
mod request_id;
mod sessions;
mod streams;
mod tables;

use actix_web::web::{self, ServiceConfig};
use utoipa_swagger_ui::SwaggerUi;

pub(crate) use request_id::RequestIds;
pub(crate) use sessions::LoginLimiter;

use crate::problem::Problem;

/// Everything under the server's root.
pub(crate) fn configure(service: &mut ServiceConfig) {
    service
        .service(health::live)
        .service(health::ready)
        .service(health::metrics)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json")))
        .service(
            web::scope("/api/v1")
                .service(health::openapi)
                .service(sessions::start)
                .service(sessions::current)
                .service(sessions::end)
                .service(commands::list)
                .service(commands::run)
                .service(events::follow)
                .service(events::list)
                .service(streams::state_of)
                .service(tables::page_of)
                .service(tables::row_of),
        )
        .default_service(web::to(|| async { Err::<String, _>(Problem::not_found()) }));
}
