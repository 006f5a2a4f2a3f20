//! Tickets: for how long they are good, and for what.

use super::*;
use crate::TicketStream::{Events, Notifications};

impl Door {
    async fn admits(&self, ticket: &str, stream: TicketStream) -> bool {
        self.login.admit(ticket, stream, (None, None)).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_ticket_is_good_once_for_half_a_minute_and_for_one_stream() {
    let door = Door::new().await;
    let token = door.log_in().await;
    let session = door.who(&token).await.and_then(|it| it.session_id).unwrap();
    let [early, late] = [door.login.ticket(session, Events), door.login.ticket(session, Events)];
    door.world.after(TimeDelta::seconds(29));
    assert!(!door.admits(early.text.expose_secret(), Notifications).await);
    assert!(door.admits(early.text.expose_secret(), Events).await);
    assert!(!door.admits(early.text.expose_secret(), Events).await);
    door.world.after(TimeDelta::seconds(1));
    assert!(!door.admits(late.text.expose_secret(), Events).await);
}
