-- no-transaction
-- recorded_at grows with the position, so a small BRIN index finds the events between two times. It is built while
-- commands go on, however long the log is.
create index concurrently if not exists events_recorded_at on log.events using brin (recorded_at);
