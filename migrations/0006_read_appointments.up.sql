-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- Not partitioned: a foreign key could not refer to a partitioned table by id alone, and an exclusion constraint could
-- not prevent double bookings across partitions.
create table appointments (
    id                   uuid        not null primary key,
    patient_id           uuid        not null references patients (id) deferrable initially deferred,
    provider_id          uuid        not null references users (id) deferrable initially deferred,
    department_id        uuid        references departments (id) deferrable initially deferred,
    room_id              uuid        references rooms (id) deferrable initially deferred,
    appointment_type     varchar(50) not null,
    scheduled_date       date        not null,  -- in time_zone
    scheduled_time       time        not null,  -- in time_zone
    duration_minutes     integer     not null default 15,
    time_zone            varchar(64) not null,
    starts_at            timestamptz not null,
    ends_at              timestamptz not null check (ends_at > starts_at),
    status               varchar(30) not null check (status in ('scheduled', 'confirmed', 'checked_in', 'in_progress',
                                                                'completed', 'cancelled', 'no_show')),
    priority             varchar(20) not null check (priority in ('low', 'normal', 'high', 'urgent', 'emergency')),
    reason_for_visit     text,
    special_instructions text,
    insurance_verified   boolean     not null default false,
    outside_hours        boolean     not null default false,  -- accepted: outside the provider's hours or in their leave
    series_id            uuid,     -- the foreign key is made after the table that it refers to
    series_index         integer  check (series_index > 0),
    other_day_reason     text,
    version              integer     not null,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    created_by           uuid        references users (id) deferrable initially deferred,
    updated_by           uuid        references users (id) deferrable initially deferred,
    cancelled_at         timestamptz,
    cancelled_by         uuid        references users (id) deferrable initially deferred,
    cancellation_reason  text,
    constraint chk_appointment_duration check (duration_minutes > 0 and duration_minutes <= 480),
    -- A second safeguard behind the booking claims. Deferred, since one batch may exchange the times of two
    -- appointments.
    constraint chk_no_double_booking exclude using gist (provider_id with =, tstzrange(starts_at, ends_at) with &&)
        where (status not in ('completed', 'cancelled', 'no_show')) deferrable initially deferred,
    constraint chk_no_room_clash exclude using gist (room_id with =, tstzrange(starts_at, ends_at) with &&)
        where (room_id is not null and status not in ('completed', 'cancelled', 'no_show'))
        deferrable initially deferred,
    constraint chk_no_patient_clash exclude using gist (patient_id with =, tstzrange(starts_at, ends_at) with &&)
        where (status not in ('completed', 'cancelled', 'no_show')) deferrable initially deferred
);
-- Indexes with starts_at, for lists of one patient, provider, day, status or department in the order of time.
create index idx_appointments_patient on appointments (patient_id, starts_at);
create index idx_appointments_provider on appointments (provider_id, starts_at);
create index idx_appointments_date on appointments (scheduled_date, starts_at);
create index idx_appointments_datetime on appointments (scheduled_date, scheduled_time);
create index idx_appointments_status on appointments (status, starts_at);
create index idx_appointments_department on appointments (department_id, starts_at);
create index idx_appointments_room on appointments (room_id);
create index idx_appointments_starts_at on appointments (starts_at);
create index idx_appointments_provider_date_time on appointments (provider_id, scheduled_date, scheduled_time);
create index idx_appointments_provider_schedule on appointments (provider_id, scheduled_date, status);
create index idx_appointments_patient_history on appointments (patient_id, scheduled_date desc);
-- For the view assigned_patients, which policies query: the visits of a patient to a department.
create index idx_visits on appointments (department_id, patient_id, starts_at) where status <> 'cancelled';
create index idx_appointments_series on appointments (series_id, starts_at);
create index idx_active_appointments on appointments (scheduled_date, scheduled_time)
    where status in ('scheduled', 'confirmed');

select hims_identity.readable('appointments', 'all_appointments', 'department', 'provider', 'own');
