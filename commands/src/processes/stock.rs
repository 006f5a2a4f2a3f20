use std::collections::BTreeMap;

use chrono::{Days, NaiveTime};
use hims_domain::DomainEvent;

use crate::aggregates::inventory_item::{CheckReorderLevel, CheckReorderLevelsOfLot};
use crate::aggregates::medication_lot::TellOfExpiringLot;
use crate::notification::Tell;
use crate::{DailyWork, Day, Failure, Happened, Process, Reaction};

/// Flags articles of which more is to be ordered, and clears the flag when there is enough again. What can be used
/// changes with every event of a lot or a level, and at night, when lots expire. At night it also tells of lots that
/// will expire.
pub(super) struct Stock;

/// How many days before its last day people are told of a lot.
const DAYS_BEFORE: [u16; 3] = [90, 30, 0];
/// For how many days people are still told of a lot after the night in which no node ran, or in which there was nothing
/// of the lot. Whoever was told is not told again.
const CAUGHT_UP: u16 = 6;

impl Process for Stock {
    const NAME: &'static str = "stock";
    const ON: &'static [&'static str] = &[
        "medication_lot.received",
        "medication_lot.adjusted",
        "medication_lot.quarantined",
        "medication_lot.released",
        "medication_lot.recalled",
        "medication_lot.recall_revoked",
        "medication_lot.dispensed",
        "medication_lot.dispensing_reversed",
        "medication_lot.counted",
        "medication_lot.wasted",
        "medication_lot.transferred_out",
        "medication_lot.transferred_in",
        "medication_lot.returned",
        "medication_lot.reserved",
        "medication_lot.reservation_released",
        "medication_lot.change_requested",
        "medication_lot.change_witnessed",
        "medication_lot.change_rejected",
        "inventory_level.received",
        "inventory_level.issued",
        "inventory_level.returned",
        "inventory_level.adjusted",
        "inventory_level.counted",
        "inventory_level.wasted",
        "inventory_level.transferred_out",
        "inventory_level.transferred_in",
        "inventory_item.added",
        "inventory_item.changed",
        "inventory_item.deactivated",
        "inventory_item.reactivated",
    ];
    const DAILY_AT: Option<NaiveTime> = NaiveTime::from_hms_opt(2, 0, 0);

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let id = happened.stream_id;
        Ok(match &happened.event {
            DomainEvent::MedicationLot(_) => {
                vec![Reaction::command(CheckReorderLevelsOfLot { medication_lot_id: id.into() })]
            }
            DomainEvent::InventoryLevel(event) => {
                let inventory_item_id = event.movement().inventory_item_id;
                vec![Reaction::command(CheckReorderLevel { inventory_item_id })]
            }
            DomainEvent::InventoryItem(_) => {
                vec![Reaction::command(CheckReorderLevel { inventory_item_id: id.into() })]
            }
            _ => Vec::new(),
        })
    }

    async fn daily(&self, day: &Day<'_>) -> Result<DailyWork, Failure> {
        let articles = day.tables.articles_with_expired_lots(day.date, day.time_zone, day.part).await?;
        // All records in one order, so that the next part goes on after the last record of this one.
        let mut due: BTreeMap<_, _> = articles.into_iter().map(|id| (id, None)).collect();
        for days_before in DAYS_BEFORE {
            let last = day.date + Days::new(days_before.into());
            let span = (last - Days::new(CAUGHT_UP.into()), last);
            let lots = day.tables.lots_expiring(span, day.time_zone, day.part).await?;
            due.extend(lots.into_iter().map(|id| (id, Some(days_before))));
        }
        let records: Vec<_> = due.keys().copied().take(day.part.limit).collect();
        Ok(day.each(&records, |id| match due.get(&id).copied().flatten() {
            Some(days_before) => Reaction::command(Tell(TellOfExpiringLot { medication_lot_id: id.into(), days_before })),
            None => Reaction::command(CheckReorderLevel { inventory_item_id: id.into() }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chrono::TimeDelta;
    use hims_domain::inventory_item::InventoryItem;
    use hims_domain::inventory_level::InventoryLevel;
    use hims_domain::medication_lot::MedicationLot;
    use hims_testing::{event_types, sample};
    use serde_json::json;
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use crate::Processes;
    use crate::department::OpenDepartment;
    use crate::inventory_item::AddInventoryItem;
    use crate::medication::AddMedication;
    use crate::medication_lot::ReceiveMedicationLot;
    use crate::processes::due::{Due, day};
    use crate::room::AddRoom;
    use crate::testing::samples::{
        DEPARTMENT, ITEM, LOT, MEDICATION, ROOM, ask, cardiology, delivery, metformin, room_101, with,
    };
    use crate::testing::world::World;
    use crate::testing::{at, now};

    async fn reactions(stream_id: Uuid, event: DomainEvent) -> Vec<Reaction> {
        let happened = Happened { position: 7, user_id: None, stream_id, recorded_at: now(), occurred_at: now(), event };
        Stock.react(&happened).await.unwrap()
    }

    fn article(reactions: &[Reaction]) -> Option<Uuid> {
        reactions.iter().find_map(|it| it.given::<CheckReorderLevel>()).map(|it| it.inventory_item_id.0)
    }

    #[tokio::test]
    async fn whatever_happens_to_stock_is_compared_with_the_levels() {
        let of_lot = reactions(LOT.0, DomainEvent::MedicationLot(sample::<MedicationLot>("dispensed"))).await;
        let lot = of_lot.iter().find_map(|it| it.given::<CheckReorderLevelsOfLot>());
        assert_eq!(lot.map(|it| it.medication_lot_id), Some(LOT));
        let issued = DomainEvent::InventoryLevel(sample::<InventoryLevel>("issued"));
        assert_eq!(article(&reactions(Uuid::from_u128(50), issued).await), Some(ITEM.0));
        let changed = DomainEvent::InventoryItem(sample::<InventoryItem>("changed"));
        assert_eq!(article(&reactions(ITEM.0, changed).await), Some(ITEM.0));
    }

    /// A further event of a lot, a level or an article may change what can be used, so it must be thought of here.
    #[test]
    fn no_event_of_stock_is_left_out() {
        let of_stock = ["medication_lot.", "inventory_level.", "inventory_item."];
        let is_of_stock = |it: &str| of_stock.iter().any(|stream| it.starts_with(stream));
        // What the process itself records.
        let own = ["inventory_item.reorder_flagged", "inventory_item.reorder_cleared"];
        let missing: Vec<_> = event_types()
            .into_iter()
            .filter(|it| is_of_stock(it) && !own.contains(&it.as_str()) && !Stock::ON.contains(&it.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[tokio::test]
    async fn what_expires_in_the_night_is_compared_too() {
        let due = Due { articles: vec![ITEM.0], ..Due::default() };
        let work = Stock.daily(&day(&due, 50)).await.unwrap();
        assert_eq!((article(&work.reactions), work.after), (Some(ITEM.0), None));
        assert_eq!(*due.asked.lock().unwrap(), ["articles before 2026-11-23 in America/New_York"]);
    }

    #[tokio::test]
    async fn a_lot_is_told_of_ninety_and_thirty_days_before_its_last_day_and_on_it_or_up_to_six_days_later() {
        let on = |day: &str| day.parse().unwrap();
        let lots = ["2027-02-21", "2027-02-15", "2026-12-23", "2026-11-23", "2026-11-17"];
        let none = ["2027-02-22", "2027-02-14", "2026-12-24", "2026-12-16", "2026-11-24", "2026-11-16"];
        let ids = (1..).map(Uuid::from_u128);
        let lots: Vec<_> = ids.zip(lots.into_iter().chain(none).map(on)).collect();
        let due = Due { articles: vec![ITEM.0], lots, ..Due::default() };
        let told = |work: &DailyWork| -> Vec<_> {
            let lots = work.reactions.iter().filter_map(|it| it.given::<Tell<TellOfExpiringLot>>());
            lots.map(|it| (it.0.medication_lot_id.0.as_u128(), it.0.days_before)).collect()
        };
        let work = Stock.daily(&day(&due, 50)).await.unwrap();
        let all = [(1, 90), (2, 90), (3, 30), (4, 0), (5, 0)];
        assert_eq!((told(&work), article(&work.reactions), work.after), (all.to_vec(), Some(ITEM.0), None));
        // Lots and articles come in one order, part by part.
        let first = Stock.daily(&day(&due, 3)).await.unwrap();
        assert_eq!((told(&first), first.after), (all[..3].to_vec(), Some(Uuid::from_u128(3))));
        let mut next = day(&due, 3);
        next.part.after = first.after;
        let rest = Stock.daily(&next).await.unwrap();
        assert_eq!((told(&rest), article(&rest.reactions)), (all[3..].to_vec(), Some(ITEM.0)));
    }

    /// Lets the process do what waits, and look for new time zones.
    async fn run() {
        tokio::time::sleep(Duration::from_mins(2)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_article_runs_low_in_the_night_in_which_a_lot_expires() {
        let world = World::new();
        let tables = Arc::new(Due { articles: vec![ITEM.0], ..Due::default() });
        let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
        let processes = processes.with_tables(tables).start(Stock);
        run().await;
        world.done(ask::<OpenDepartment>(with(cardiology(), json!({"id": DEPARTMENT, "time_zone": "UTC"})))).await;
        world.done(ask::<AddRoom>(with(room_101(), json!({"id": ROOM})))).await;
        world.done(ask::<AddMedication>(with(metformin(), json!({"id": MEDICATION})))).await;
        let today = json!({"id": LOT, "expiry_date": "2026-11-23", "confirm_unit": true});
        world.done(ask::<ReceiveMedicationLot>(with(delivery(), today))).await;
        let article = json!({
            "id": ITEM, "sku": "MET", "name": "Metformin", "category": "medicine", "medication_id": MEDICATION,
            "unit": "tablet", "reorder_level": "10",
        });
        world.done(ask::<AddInventoryItem>(article)).await;
        run().await;
        assert!(!world.state::<InventoryItem>(ITEM).await.is_flagged(), "twenty tablets may be dispensed today");
        world.after(at("2026-11-24T01:59:59Z") - now());
        run().await;
        assert_eq!(world.count("inventory_item.reorder_flagged").await, 0);
        for _ in 0..2 {
            world.after(TimeDelta::days(1));
            run().await;
            assert_eq!(world.count("inventory_item.reorder_flagged").await, 1);
        }
        assert!(world.state::<InventoryItem>(ITEM).await.is_flagged());
        processes.stop().await;
    }
}
