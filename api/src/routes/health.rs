use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use hims_projections::query;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::Hospital;

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// The log and the read tables answer.
pub(super) async fn ready(hospital: web::Data<Hospital>) -> HttpResponse {
    let head = hospital.store.current_head().await.map_err(|it| it.to_string());
    let read = hospital.readers.read(async |db| query::position(db).await).await.map_err(|it| it.to_string());
    match head.and_then(|head| Ok((head, read?))) {
        Ok((head, read)) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
            "status": "ready", "database": "up", "head_position": head, "read_position": read,
        })),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).json(json!({
                "status": "unavailable", "database": "down", "head_position": *hospital.store.head().borrow(),
                "read_position": hospital.runner.as_ref().map(|it| *it.position.borrow()),
            }))
        }
    }
}

/// What is measured, for Prometheus.
pub(super) async fn metrics(hospital: web::Data<Hospital>, prometheus: web::Data<PrometheusHandle>) -> HttpResponse {
    hospital.measure().await;
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(prometheus.render())
}

/// The OpenAPI document.
pub(super) async fn openapi(hospital: web::Data<Hospital>) -> HttpResponse {
    HttpResponse::Ok().json(crate::openapi::document(&hospital.registry))
}
