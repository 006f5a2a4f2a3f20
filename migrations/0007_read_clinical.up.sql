-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table consultations (
    id                         uuid        not null primary key,
    appointment_id             uuid        references appointments (id) deferrable initially deferred,
    patient_id                 uuid        not null references patients (id) deferrable initially deferred,
    provider_id                uuid        not null references users (id) deferrable initially deferred,
    consultation_type          varchar(50) not null,
    workflow_type              varchar(20) not null check (workflow_type in ('standard', 'adaptive')),
    chief_complaint            text,
    history_of_present_illness text,
    review_of_systems          jsonb,
    physical_examination       jsonb,
    assessment                 text,
    plan                       text,
    status                     varchar(30) not null check (status in ('scheduled', 'in_progress', 'completed', 'cancelled')),
    started_at                 timestamptz not null,
    completed_at               timestamptz,
    total_duration_minutes     integer     check (total_duration_minutes >= 0),
    signed_at                  timestamptz,
    signed_by                  uuid        references users (id) deferrable initially deferred,
    version                    integer     not null,
    created_at                 timestamptz not null,
    updated_at                 timestamptz not null,
    created_by                 uuid        references users (id) deferrable initially deferred,
    updated_by                 uuid        references users (id) deferrable initially deferred,
    -- An appointment leads to one consultation at most. Cancelled consultations do not count.
    constraint consultations_one_of_an_appointment exclude using btree (appointment_id with =)
        where (status <> 'cancelled') deferrable initially deferred,
    search                     tsvector    not null generated always as (to_tsvector('simple',
        coalesce(chief_complaint, '') || ' ' || coalesce(history_of_present_illness, '') || ' '
        || coalesce(assessment, '') || ' ' || coalesce(plan, ''))) stored
);
create index idx_consultations_appointment on consultations (appointment_id);
create index idx_consultations_patient on consultations (patient_id);
create index idx_consultations_provider on consultations (provider_id, started_at);
create index idx_consultations_signed_by on consultations (signed_by);
create index idx_consultations_status on consultations (status);
create index idx_consultations_date on consultations (started_at);
create index idx_consultations_patient_date on consultations (patient_id, started_at desc);
create index idx_consultations_provider_status on consultations (provider_id, status, started_at desc);
-- For the view assigned_patients, which policies query: the patients with a consultation in progress.
create index idx_running_consultations on consultations (patient_id) where status = 'in_progress';
create index idx_consultation_physical_exam on consultations using gin (physical_examination);
create index idx_consultations_fulltext on consultations using gin (search);

create table vital_signs (
    id                       uuid        not null primary key,
    consultation_id          uuid        references consultations (id) deferrable initially deferred,
    patient_id               uuid        not null references patients (id) deferrable initially deferred,
    recorded_by              uuid        not null references users (id) deferrable initially deferred,
    recorded_at              timestamptz not null,
    blood_pressure_systolic  integer,       -- mmHg, LOINC 8480-6
    blood_pressure_diastolic integer,       -- mmHg, LOINC 8462-4
    heart_rate               integer,       -- per minute, LOINC 8867-4
    respiratory_rate         integer,       -- per minute, LOINC 9279-1
    temperature              decimal(4, 1), -- in temperature_unit, LOINC 8310-5
    temperature_unit         varchar(5)  not null check (temperature_unit in ('F', 'C')),
    oxygen_saturation        integer,       -- percent, LOINC 2708-6
    oxygen_supplement        boolean     not null default false,
    oxygen_flow_rate         decimal(3, 1), -- litres per minute, LOINC 3151-8
    weight_kg                decimal(5, 2), -- LOINC 29463-7
    height_cm                decimal(5, 2), -- LOINC 8302-2
    bmi                      decimal(4, 1) generated always as (
        case when weight_kg > 0 and height_cm > 0 then round(weight_kg / power(height_cm / 100, 2), 1) end) stored,
    pain_scale               integer     check (pain_scale between 0 and 10),
    notes                    text,
    status                   varchar(20) not null check (status in ('final', 'entered_in_error')),
    extreme                  jsonb       not null default '[]',  -- fields outside clinical limits, confirmed by users
    corrects_id              uuid        references vital_signs (id) deferrable initially deferred,
    corrected_by_id          uuid        references vital_signs (id) deferrable initially deferred,
    error_reason             text,
    version                  integer     not null,
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    -- These constraints check what is physically possible. A command is checked for what is clinically plausible.
    constraint chk_blood_pressure check (blood_pressure_systolic between 0 and 400
                                     and blood_pressure_diastolic between 0 and 300),
    constraint chk_heart_rate check (heart_rate between 0 and 500),
    constraint chk_respiratory_rate check (respiratory_rate between 0 and 200),
    constraint chk_oxygen_saturation check (oxygen_saturation between 0 and 100),
    constraint chk_temperature check ((temperature_unit = 'F' and temperature between 50 and 122)
                                   or (temperature_unit = 'C' and temperature between 10 and 50))
);
create index idx_vital_signs_patient on vital_signs (patient_id, recorded_at);
create index idx_vital_signs_consultation on vital_signs (consultation_id);
create index idx_vital_signs_recorded_at on vital_signs (recorded_at);
create index idx_vital_signs_recorded_by on vital_signs (recorded_by, patient_id);
-- For the foreign keys: a row that moves into the archive is looked for in them.
create index idx_vital_signs_corrects on vital_signs (corrects_id) where corrects_id is not null;
create index idx_vital_signs_corrected_by on vital_signs (corrected_by_id) where corrected_by_id is not null;

select hims_identity.readable('consultations', 'clinical_records', 'assigned', 'own');
select hims_identity.readable('vital_signs', 'clinical_records', 'assigned', 'recorder', 'own');
