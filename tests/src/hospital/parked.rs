//! Why an event could not be projected: the reason names the table, the constraint and the column, and no value.

use hims_event_store::{Append, NewEvent, StreamAppend};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Hospital;

/// Adds a room with these changes to its event, without a command. Returns why the event could not be projected.
async fn parked(hospital: &Hospital, number: u128, change: Value) -> String {
    let department: Uuid = sqlx::query_scalar("select id from departments limit 1")
        .fetch_one(hospital.owner())
        .await
        .expect("a department");
    let mut data = json!({"capacity": 2, "department_id": department, "name": "Blue room", "room_number": "Z1",
                          "room_type": "exam"});
    for (field, value) in change.as_object().expect("an object") {
        data[field] = value.clone();
    }
    let stream_id = Uuid::from_u128(number);
    let event = NewEvent { event_type: "room.added".to_owned(), data };
    let append = Append::stream(StreamAppend::begin("room", stream_id, [event]));
    hospital.node.store.append(append).await.expect("the log takes any event");
    hospital.settle().await;
    sqlx::query_scalar("select reason from projection_failures where stream_id = $1")
        .bind(stream_id)
        .fetch_one(hospital.owner())
        .await
        .expect("the stream is parked")
}

#[tokio::test]
async fn the_reason_names_table_constraint_and_column_and_no_value() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let long = "Quetzalcoatlus".repeat(20);
    for (number, (change, wanted)) in (1..).zip([
        (json!({"name": long}), "rooms: a text is too long for its column, column name (SQLSTATE 22001)"),
        (
            json!({"capacity": -77}),
            "rooms: a value is not among those that the column allows, constraint \
                                    rooms_capacity_check on capacity (SQLSTATE 23514)",
        ),
        (
            json!({"department_id": Uuid::from_u128(99)}),
            "rooms: a row that the row refers to does not exist, constraint \
                                                         rooms_department_id_fkey on department_id (SQLSTATE 23503)",
        ),
    ]) {
        assert_eq!(parked(&hospital, number, change).await, wanted);
    }
}
