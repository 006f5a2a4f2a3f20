-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table waitlist_entries (
    id                      uuid        not null primary key,
    patient_id              uuid        not null references patients (id) deferrable initially deferred,
    department_id           uuid        references departments (id) deferrable initially deferred,
    provider_id             uuid        references users (id) deferrable initially deferred,
    appointment_type        varchar(50) not null,
    duration_minutes        integer     not null check (duration_minutes between 1 and 480),
    priority                varchar(20) not null
                            check (priority in ('low', 'normal', 'high', 'urgent', 'emergency')),
    earliest                date        not null,  -- in time_zone
    latest                  date        not null check (latest >= earliest),  -- in time_zone
    weekdays                jsonb,                 -- [1 for Monday … 7 for Sunday]; null: every day
    time_from               varchar(5),            -- HH:MM, in time_zone
    time_until              varchar(5),            -- HH:MM, in time_zone; 24:00 for the end of the day
    time_zone               varchar(64) not null,
    gives_up_appointment_id uuid        references appointments (id) deferrable initially deferred,
    joined_at               timestamptz not null,
    status                  varchar(20) not null
                            check (status in ('waiting', 'offered', 'fulfilled', 'lapsed', 'withdrawn')),
    -- What is held for the patient, as long as the offer stands.
    offered_provider_id     uuid        references users (id) deferrable initially deferred,
    offered_department_id   uuid        references departments (id) deferrable initially deferred,
    offered_room_id         uuid        references rooms (id) deferrable initially deferred,
    offered_starts_at       timestamptz,
    offered_ends_at         timestamptz check (offered_ends_at > offered_starts_at),
    offer_expires_at        timestamptz,
    offers                  integer     not null check (offers >= 0),
    unanswered_offers       integer     not null check (unanswered_offers >= 0),
    appointment_id          uuid        references appointments (id) deferrable initially deferred,
    left_reason             text,
    version                 integer     not null,
    created_at              timestamptz not null,
    updated_at              timestamptz not null,
    created_by              uuid        references users (id) deferrable initially deferred,
    updated_by              uuid        references users (id) deferrable initially deferred,
    constraint chk_one_place check ((department_id is null) <> (provider_id is null)),
    constraint chk_offer check ((status = 'offered') = (offered_provider_id is not null)
                                and (status = 'offered') = (offered_starts_at is not null)
                                and (status = 'offered') = (offered_ends_at is not null)
                                and (status = 'offered') = (offer_expires_at is not null)),
    constraint chk_fulfilled check ((status = 'fulfilled') = (appointment_id is not null)),
    -- A second safeguard behind the booking claims. The indexes of the constraints also find what is held, for the
    -- function free_slots.
    constraint chk_no_double_offer
        exclude using gist (offered_provider_id with =, tstzrange(offered_starts_at, offered_ends_at) with &&)
        where (status = 'offered') deferrable initially deferred,
    constraint chk_no_room_held_twice
        exclude using gist (offered_room_id with =, tstzrange(offered_starts_at, offered_ends_at) with &&)
        where (offered_room_id is not null and status = 'offered') deferrable initially deferred,
    constraint chk_no_patient_offered_twice
        exclude using gist (patient_id with =, tstzrange(offered_starts_at, offered_ends_at) with &&)
        where (status = 'offered') deferrable initially deferred
);
create index idx_waitlist_status on waitlist_entries (status, joined_at);
create index idx_waitlist_offers on waitlist_entries (status, offer_expires_at);
create index idx_waitlist_department on waitlist_entries (department_id, joined_at);
create index idx_waitlist_provider on waitlist_entries (provider_id, joined_at);
create index idx_waitlist_patient on waitlist_entries (patient_id, joined_at);
create index idx_waitlist_joined_at on waitlist_entries (joined_at);
create index idx_waitlist_gives_up on waitlist_entries (gives_up_appointment_id);
create index idx_waitlist_offered_department on waitlist_entries (offered_department_id);
create index idx_waitlist_created_by on waitlist_entries (created_by);
create index idx_waitlist_updated_by on waitlist_entries (updated_by);
create index idx_waitlist_appointment on waitlist_entries (appointment_id);

select hims_identity.readable('waitlist_entries', 'all_appointments', 'department', 'provider', 'own');
