-- no-transaction
drop index concurrently if exists log.events_recorded_at;
