-- The event log, and the tables that every append keeps in step with the log.
create schema log;

-- The events in the order in which they were recorded. An event is never changed or deleted.
create table log.events (
    position       bigint      not null,  -- 1…N without a gap, in the order of the commits
    stream_type    text        not null,
    stream_id      uuid        not null,
    version        integer     not null,  -- 1… within the stream
    event_type     text        not null,  -- such as appointment.scheduled
    schema_version integer     not null,
    recorded_at    timestamptz not null,  -- never earlier than at the position before
    data           json        not null,  -- json, not jsonb: the bytes that were hashed are the bytes that are stored
    metadata       json        not null,
    hash           bytea       not null,  -- SHA-256(hash of the event before || body); see docs/auditors.md
    constraint events_pkey primary key (position),
    constraint events_stream_version unique (stream_id, version),
    constraint events_version_from_one check (version >= 1 and position >= 1),
    constraint events_hash_length check (octet_length(hash) = 32)
);

-- The head: the end of the log. Every append compares and sets the head, so positions have no gaps.
create table log.head (
    only_row    boolean     not null default true primary key check (only_row),
    position    bigint      not null,
    hash        bytea       not null,
    recorded_at timestamptz not null,
    fence       bigint      not null default 0, -- raised to keep out a batch that was sent before and may still arrive
    -- The server that was last written to: a server of the same system with a lower timeline is a former primary.
    system_identifier bigint  not null default 0,
    timeline          integer not null default 0
) with (fillfactor = 10);
insert into log.head (position, hash, recorded_at)
values (0, decode(repeat('00', 32), 'hex'), '1970-01-01T00:00:00Z');

create function log.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the event log is append-only: % of % is refused', tg_op, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger events_append_only before update or delete or truncate on log.events
    for each statement execute function log.refuse_change();
create trigger head_stays before delete or truncate on log.head
    for each statement execute function log.refuse_change();

-- Unique claims: the owner of each unique key, such as a record number or an e-mail address. Keys are blinded (HMAC),
-- so that they reveal nothing.
create table log.unique_claims (
    scope text  not null,
    key   bytea not null,
    owner uuid  not null,
    primary key (scope, key)
);

-- Shared keys, which several owners may have, so that the owners can be found by the key, such as patients by their
-- birth date or lots by their medication.
create table log.shared_claims (
    scope text  not null,
    key   bytea not null,
    owner uuid  not null,
    primary key (scope, key, owner)
);

-- Bookings: which owner has booked which provider, room or patient at what time. Bookings may follow each other without
-- a pause, but not overlap.
create extension if not exists btree_gist schema public;
create table log.booking_claims (
    resource uuid      not null,
    during   tstzrange not null check (not isempty(during)),
    owner    uuid      not null,
    constraint booking_claims_no_overlap exclude using gist (resource with =, during with &&)
);
create index booking_claims_owner on log.booking_claims (owner);

-- Fails the statement if it would take a key that another owner still has.
create function log.refuse_unless(allowed boolean) returns boolean language plpgsql as $$
begin
    if not allowed then
        raise exception 'the key is taken' using errcode = 'unique_violation';
    end if;
    return false;
end $$;

-- Receipts of recorded commands, by which the repetition of a command is recognised. Old receipts are deleted.
create table log.receipts (
    command_id     uuid        not null primary key,
    fingerprint    bytea       not null,
    first_position bigint      not null,
    last_position  bigint      not null,
    recorded_at    timestamptz not null
);
create index receipts_recorded_at on log.receipts using brin (recorded_at);

-- The master keys of the log, which the database never sees: one, or more while one takes the place of another. Each
-- wraps the same root secret, from which follow the keys that blind claims, authenticate snapshots and seal files.
create table log.master_keys (
    id         uuid    not null primary key,  -- follows from the master key and says nothing about it
    root       bytea   not null,              -- the root secret, wrapped by the master key
    is_current boolean not null               -- whether the master key wraps new keys
);
create unique index master_keys_current on log.master_keys (is_current) where is_current;

-- Subject keys: one per person, wrapped by a master key. Destroying a subject key makes the person's values unreadable,
-- which erases the person.
create table log.subject_keys (
    subject_id   uuid        not null primary key,
    wrapped_by   uuid        references log.master_keys (id) deferrable,
    wrapped      bytea,
    changed_at   timestamptz not null default now(),  -- when the key was made, wrapped anew or destroyed
    destroyed_at timestamptz,
    check ((wrapped is null) = (destroyed_at is not null)),
    check ((wrapped is null) = (wrapped_by is null))
);

-- Snapshots: the folded states of long streams, with personal values sealed as in the log. Snapshots may be deleted at
-- any time. The code authenticates a snapshot (HMAC with a key that follows from the root secret): it covers the stream,
-- the version, the hash of the event at that version, and the state, as text. A snapshot with another code is not used.
create table log.snapshots (
    stream_id     uuid    not null primary key,
    version       integer not null,
    state_version integer not null,
    state         json    not null,
    subject_id    uuid,
    code          bytea   not null
);

-- Files beside the log, such as those of reports, sealed with a key that follows from the root secret. A file can be made
-- again from the log, so it is deleted after a while.
create table log.report_files (
    id      uuid        not null primary key,  -- the stream of which it is the file
    sealed  bytea       not null,
    kept_at timestamptz not null default now()
);
-- What is sealed cannot be compressed.
alter table log.report_files alter column sealed set storage external;

-- Processes: how far each process has reacted to the log, and which node runs it. The position moves by
-- compare-and-set; a node holds the lease of a process as long as it extends the lease.
create table log.processes (
    name       text        not null primary key,
    position   bigint      not null,  -- of the last event that the process has reacted to
    held_by    uuid,                  -- the node that runs the process, drawn at its start
    held_until timestamptz,           -- when the lease lapses, unless it is extended
    check ((held_by is null) = (held_until is null))
) with (fillfactor = 10);

-- Timers of processes: each fires once, at its time or as soon as possible afterwards. A payload names ids and codes,
-- and never a personal value.
create table log.timers (
    id      uuid        not null primary key,
    process text        not null references log.processes (name),
    key     text        not null,  -- what the timer stands for; a new timer with the same key replaces the old one
    due_at  timestamptz not null,
    payload json        not null,
    constraint timers_process_key unique (process, key)
);
create index timers_due on log.timers (process, due_at);

-- The last backup of the log, the last whole one (and not only an increment), the last check of a backup and the last
-- one that failed, for operators. Not part of a backup: a restored log has had none.
create table log.backups (
    kind     text        not null primary key check (kind in ('backup', 'whole', 'verification', 'failed-verification')),
    done_at  timestamptz not null,
    position bigint      not null,  -- the last position of the log in the backup
    hash     bytea       not null,  -- the hash of the event at that position
    folder   text        not null
);

-- How far `hims scrub` has come: PostgreSQL keeps nothing on the disk of people whom events up to this position erased. No
-- row before the first run. Not part of a backup: a restored log is on another disk.
create table log.scrubs (
    is_last  boolean     not null primary key default true check (is_last),
    position bigint      not null,
    done_at  timestamptz not null
);
