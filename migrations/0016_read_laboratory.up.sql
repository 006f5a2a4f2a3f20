-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table lab_tests (
    id                 uuid         not null primary key,
    code               varchar(20)  not null unique deferrable initially deferred,  -- LOINC
    name               varchar(200) not null,
    specimen_type      varchar(20),             -- HL7 table 0487
    container          varchar(50),
    turnaround_minutes jsonb        not null,   -- by priority
    components         jsonb        not null,   -- without their ranges
    is_active          boolean      not null,
    version            integer      not null,
    created_at         timestamptz  not null,
    updated_at         timestamptz  not null
);
create index idx_lab_tests_name on lab_tests (name);
create index idx_lab_tests_active on lab_tests (is_active);
create index idx_lab_tests_fuzzy_name on lab_tests using gin (name gin_trgm_ops);

-- The numbers have as many decimals as were given, since these tell how precise a limit is.
create table lab_reference_ranges (
    id             uuid        not null primary key,
    lab_test_id    uuid        not null references lab_tests (id) deferrable initially deferred,
    component_code varchar(20) not null,        -- LOINC
    unit           varchar(20),                 -- UCUM
    sex            varchar(10) not null check (sex in ('any', 'male', 'female')),
    age_from_days  integer     not null check (age_from_days >= 0),
    age_to_days    integer     check (age_to_days >= age_from_days),  -- the oldest age in the range
    low            numeric,
    high           numeric     check (high >= low),
    critical_low   numeric     check (critical_low <= low),
    critical_high  numeric     check (critical_high >= high),
    is_example     boolean     not null,
    version        integer     not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    check (num_nonnulls(low, high, critical_low, critical_high) > 0),
    -- The ranges of one component do not share an age of one sex.
    constraint chk_no_range_overlap exclude using gist (
        lab_test_id with =, component_code with =, sex with =, int4range(age_from_days, age_to_days, '[]') with &&)
        deferrable initially deferred
);
create index idx_lab_reference_ranges_test on lab_reference_ranges (lab_test_id, component_code);
create index idx_lab_reference_ranges_code on lab_reference_ranges (component_code);

create table lab_orders (
    id                   uuid        not null primary key,
    consultation_id      uuid        references consultations (id) deferrable initially deferred,
    patient_id           uuid        not null references patients (id) deferrable initially deferred,
    provider_id          uuid        not null references users (id) deferrable initially deferred,
    order_number         varchar(50) not null unique,  -- issued by the server: LO-, ten digits, check digit
    status               varchar(30) not null
                         check (status in ('ordered', 'collected', 'in_progress', 'completed', 'cancelled')),
    priority             varchar(20) not null check (priority in ('low', 'normal', 'high', 'urgent', 'stat')),
    is_fasting           boolean     not null,
    is_unsolicited       boolean     not null,
    scheduled_for        timestamptz,
    clinical_information text,
    collection_date      date,        -- of the first specimen, in the time zone of whoever recorded it
    collection_time      time,
    collected_by         uuid        references users (id) deferrable initially deferred,
    collected_at         timestamptz,
    notes                text,
    cancellation_reason  text,
    version              integer     not null,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    created_by           uuid        references users (id) deferrable initially deferred,
    updated_by           uuid        references users (id) deferrable initially deferred,
    check (num_nulls(collection_date, collection_time, collected_at) in (0, 3))
);
-- Indexes with created_at, for lists of one patient, provider, status or priority in the order of time.
create index idx_lab_orders_patient on lab_orders (patient_id, created_at);
-- The laboratory's right to a patient is asked through this index, as the pharmacy's is.
create index idx_lab_orders_valid_of_patient on lab_orders (patient_id) where status <> 'cancelled';
create index idx_lab_orders_provider on lab_orders (provider_id, created_at);
create index idx_lab_orders_consultation on lab_orders (consultation_id);
create index idx_lab_orders_status on lab_orders (status, created_at);
create index idx_lab_orders_priority on lab_orders (priority, created_at);
create index idx_lab_orders_scheduled on lab_orders (scheduled_for);
create index idx_lab_orders_collected_by on lab_orders (collected_by);
create index idx_lab_orders_created_by on lab_orders (created_by);
create index idx_lab_orders_updated_by on lab_orders (updated_by);
create index idx_lab_orders_created_at on lab_orders (created_at);

create table lab_order_items (
    id                  uuid        not null primary key,
    lab_order_id        uuid        not null references lab_orders (id) deferrable initially deferred,
    patient_id          uuid        not null references patients (id) deferrable initially deferred,
    line_number         integer     not null check (line_number > 0),
    lab_test_id         uuid        not null references lab_tests (id) deferrable initially deferred,
    diagnosis_ids       jsonb       not null,
    added_as            varchar(20) check (added_as in ('add_on', 'reflex')),
    notes               text,
    status              varchar(20) not null
                        check (status in ('ordered', 'collected', 'in_progress', 'resulted', 'cancelled')),
    lab_result_id       uuid,
    cancellation_reason text,
    version             integer     not null,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    unique (lab_order_id, line_number) deferrable initially deferred
);
create index idx_lab_order_items_patient on lab_order_items (patient_id, created_at);
create index idx_lab_order_items_test on lab_order_items (lab_test_id, created_at);
create index idx_lab_order_items_status on lab_order_items (status, created_at);
create index idx_lab_order_items_created_at on lab_order_items (created_at);
create index idx_lab_order_items_result on lab_order_items (lab_result_id);

create table specimens (
    id              uuid         not null primary key,
    lab_order_id    uuid         not null references lab_orders (id) deferrable initially deferred,
    patient_id      uuid         not null references patients (id) deferrable initially deferred,
    specimen_number varchar(50)  not null unique,  -- issued by the server: SP-, ten digits, check digit
    item_ids        jsonb        not null,
    specimen_type   varchar(20)  not null,         -- HL7 table 0487
    status          varchar(20)  not null check (status in ('collected', 'received', 'rejected')),
    collected_at    timestamptz  not null,
    collected_by    uuid         references users (id) deferrable initially deferred,
    body_site       varchar(100),
    volume_ml       numeric      check (volume_ml > 0),
    received_at     timestamptz,
    received_by     uuid         references users (id) deferrable initially deferred,
    rejected_at     timestamptz,
    rejected_by     uuid         references users (id) deferrable initially deferred,
    rejection_code  varchar(20)
                    check (rejection_code in ('hemolyzed', 'clotted', 'insufficient', 'mislabelled', 'leaking',
                                              'wrong_container', 'too_old', 'lost')),
    rejection_note  varchar(200),
    version         integer      not null,
    created_at      timestamptz  not null,
    updated_at      timestamptz  not null,
    check ((status = 'rejected') = (rejection_code is not null))
);
create index idx_specimens_order on specimens (lab_order_id, collected_at);
create index idx_specimens_patient on specimens (patient_id, collected_at);
create index idx_specimens_status on specimens (status, collected_at);
create index idx_specimens_collected_at on specimens (collected_at);
create index idx_specimens_collected_by on specimens (collected_by, patient_id);
create index idx_specimens_received_by on specimens (received_by);
create index idx_specimens_rejected_by on specimens (rejected_by);

-- The patients with a laboratory order that was not cancelled, by any of their records: labels need a name.
create or replace view tested_patients as
    select patient_id from lab_orders
     where (select hims_identity.current_user_reads('lab_orders')) and status <> 'cancelled'
    union all
    select other.record_id from other_records other join lab_orders o on o.patient_id = other.patient_id
     where (select hims_identity.current_user_reads('lab_orders')) and o.status <> 'cancelled';

select hims_identity.readable('lab_tests', 'everybody');
select hims_identity.readable('lab_reference_ranges', 'everybody');
select hims_identity.readable('lab_orders', 'clinical_records', 'assigned', 'lab_orders', 'own');
select hims_identity.readable('lab_order_items', 'clinical_records', 'assigned', 'lab_orders', 'own');
select hims_identity.readable('specimens', 'clinical_records', 'assigned', 'recorder by collected_by', 'lab_orders', 'own');
