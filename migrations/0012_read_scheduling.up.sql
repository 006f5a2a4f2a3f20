-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table provider_schedules (
    id                     uuid        not null primary key,
    provider_id            uuid        not null references users (id) deferrable initially deferred,
    department_id          uuid        not null references departments (id) deferrable initially deferred,
    effective_from         date        not null,
    effective_to           date        check (effective_to >= effective_from),
    weekly                 jsonb       not null,  -- [{weekday, from, until, room_id, appointment_types}]
    slot_minutes           integer     not null check (slot_minutes between 5 and 240),
    minimum_notice_minutes integer     not null check (minimum_notice_minutes between 0 and 10080),
    horizon_days           integer     not null check (horizon_days between 1 and 730),
    version                integer     not null,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    unique (provider_id, department_id, effective_from) deferrable initially deferred
);
create index idx_provider_schedules_department on provider_schedules (department_id, effective_from);

create table schedule_exceptions (
    id            uuid         not null primary key,
    provider_id   uuid         not null references users (id) deferrable initially deferred,
    department_id uuid         not null references departments (id) deferrable initially deferred,
    date          date         not null,
    hours         jsonb        not null,  -- [{from, until}]; empty: the provider does not work
    reason        varchar(200),
    status        varchar(20)  not null check (status in ('active', 'removed')),
    version       integer      not null,
    created_at    timestamptz  not null,
    updated_at    timestamptz  not null,
    unique (provider_id, department_id, date) deferrable initially deferred
);
create index idx_schedule_exceptions_department on schedule_exceptions (department_id, date);
create index idx_schedule_exceptions_date on schedule_exceptions (date);

create table provider_leaves (
    id          uuid        not null primary key,
    provider_id uuid        not null references users (id) deferrable initially deferred,
    starts_at   timestamptz not null,
    ends_at     timestamptz not null check (ends_at > starts_at),
    kind        varchar(20) not null check (kind in ('vacation', 'sick', 'training', 'other')),
    remarks     text,
    status      varchar(20) not null check (status in ('active', 'cancelled')),
    version     integer     not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create index idx_provider_leaves_provider on provider_leaves (provider_id, starts_at);
create index idx_provider_leaves_starts_at on provider_leaves (starts_at);

create table appointment_series (
    id                  uuid         not null primary key,
    patient_id          uuid         not null references patients (id) deferrable initially deferred,
    provider_id         uuid         not null references users (id) deferrable initially deferred,
    department_id       uuid         references departments (id) deferrable initially deferred,
    rrule               varchar(200) not null,  -- RFC 5545
    exclude_dates       jsonb        not null,  -- days of the rule without an appointment
    time_zone           varchar(64)  not null,
    occurrences         integer      not null check (occurrences > 0),
    first_day           date         not null,
    last_day            date         not null check (last_day >= first_day),
    cancelled_from      date,
    cancellation_reason text,
    version             integer      not null,
    created_at          timestamptz  not null,
    updated_at          timestamptz  not null,
    created_by          uuid         references users (id) deferrable initially deferred,
    updated_by          uuid         references users (id) deferrable initially deferred
);
create index idx_appointment_series_patient on appointment_series (patient_id, first_day);
create index idx_appointment_series_provider on appointment_series (provider_id, first_day);
create index idx_appointment_series_department on appointment_series (department_id, first_day);
create index idx_appointment_series_created_at on appointment_series (created_at);
create index idx_appointment_series_created_by on appointment_series (created_by);
create index idx_appointment_series_updated_by on appointment_series (updated_by);
alter table appointments add constraint appointments_series_id_fkey
    foreign key (series_id) references appointment_series (id) deferrable initially deferred;

create table appointment_notes (
    id                 uuid        not null primary key,
    appointment_id     uuid        not null references appointments (id) deferrable initially deferred,
    patient_id         uuid        not null references patients (id) deferrable initially deferred,
    author_id          uuid        references users (id) deferrable initially deferred,
    note_type          varchar(30) not null
                       check (note_type in ('general', 'scheduling', 'clinical', 'billing', 'call_log')),
    body               text,
    is_patient_visible boolean     not null,
    amends_id          uuid        unique references appointment_notes (id) deferrable initially deferred,
    reason             text,
    amended_by_id      uuid        unique references appointment_notes (id) deferrable initially deferred,
    version            integer     not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create index idx_appointment_notes_appointment on appointment_notes (appointment_id, created_at);
create index idx_appointment_notes_patient on appointment_notes (patient_id, created_at);
create index idx_appointment_notes_author on appointment_notes (author_id);
create index idx_appointment_notes_created_at on appointment_notes (created_at);

select hims_identity.readable('provider_schedules', 'everybody');
select hims_identity.readable('schedule_exceptions', 'everybody');
select hims_identity.readable('provider_leaves', 'everybody');
select hims_identity.hide('provider_leaves', 'remarks');
select hims_identity.readable('appointment_series', 'all_appointments', 'department', 'provider', 'own');
-- Whoever reads an appointment reads the notes on it, but a clinical note only if they read what was found, and a note
-- on an appointment of their own only if it is for the patient.
select hims_identity.readable('appointment_notes', 'all_appointments where note_type <> ''clinical''',
    'clinical_records where note_type = ''clinical''', 'own where is_patient_visible',
    'assigned where note_type = ''clinical''',
    'with appointments by appointment_id where note_type <> ''clinical''
        and not coalesce(patient_id = any (array(select patient_id from own_patients)), false)');
