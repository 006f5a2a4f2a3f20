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

select hims_identity.readable('lab_tests', 'everybody');
select hims_identity.readable('lab_reference_ranges', 'everybody');
