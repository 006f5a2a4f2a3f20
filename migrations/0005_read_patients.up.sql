-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table patients (
    id                             uuid         not null primary key,
    mrn                            varchar(20)  not null unique,  -- issued by the server: MRN-, ten digits, check digit
    first_name                     varchar(100), -- some people have one name only, and some are not known yet
    last_name                      varchar(100),
    middle_name                    varchar(100),
    name_folded                    text         not null, -- all names, folded by the program for comparison and search
    name_unknown                   boolean      not null default false,
    date_of_birth                  date, -- the first possible day; null if unknown or after the patient was erased
    birth_date_precision           varchar(10)  not null default 'day'
        check (birth_date_precision in ('day', 'month', 'year', 'estimated', 'unknown')),
    gender                         varchar(20)  not null check (gender in ('male', 'female', 'other', 'unknown')),
    ssn                            text,        -- sealed with the patient's subject key
    ssn_blind_index                bytea,       -- HMAC, by which a number is found by equality
    email                          varchar(255),
    phone_primary                  varchar(40), -- E.164, and the extension after ;ext= (RFC 3966)
    phone_secondary                varchar(40),
    address_line_1                 varchar(255),
    address_line_2                 varchar(255),
    city                           varchar(100),
    state                          varchar(50),
    postal_code                    varchar(20),
    country                        varchar(50)  not null default 'US', -- ISO 3166-1 alpha-2
    marital_status                 varchar(20),
    occupation                     varchar(100),
    emergency_contact_name         varchar(200),
    emergency_contact_relationship varchar(50),
    emergency_contact_phone        varchar(40),
    preferred_language             varchar(50)  not null default 'en',
    ethnicity                      varchar(50),
    race                           varchar(50),
    blood_type                     varchar(10),
    organ_donor                    boolean      not null default false,
    advance_directive              boolean      not null default false,
    deceased_at                    timestamptz, -- null while the patient lives, or after the patient was erased
    confidentiality                varchar(1)   not null default 'N' check (confidentiality in ('N', 'R', 'V')),
    version                        integer      not null,
    created_at                     timestamptz  not null,
    updated_at                     timestamptz  not null,
    created_by                     uuid         references users (id) deferrable initially deferred,
    updated_by                     uuid         references users (id) deferrable initially deferred,
    -- 'simple', not 'english': the English configuration drops names such as Will, An and Do as stop words.
    search                         tsvector     not null generated always as (to_tsvector('simple',
        name_folded || ' ' || coalesce(email, '') || ' ' || coalesce(phone_primary, '') || ' ' || mrn)) stored,
    constraint chk_phone_format check (phone_primary ~ '^\+[1-9][0-9]{7,14}(;ext=[0-9]{1,11})?$'),
    constraint chk_phone_secondary_format check (phone_secondary ~ '^\+[1-9][0-9]{7,14}(;ext=[0-9]{1,11})?$')
);
create index idx_patients_name on patients (last_name, first_name);
create index idx_patients_search on patients (last_name, first_name, date_of_birth);
create index idx_patients_dob on patients (date_of_birth);
create index idx_patients_phone on patients (phone_primary);
create index idx_patients_email on patients (email);
create index idx_patients_phone_email on patients (phone_primary, email);
create index idx_patients_fulltext on patients using gin (search);
create index idx_patients_fuzzy_name on patients using gin (name_folded gin_trgm_ops);
create index idx_patients_ssn on patients (ssn_blind_index);
-- Few records are not open to all whose roles read such records.
create index idx_patients_confidentiality on patients (id) where confidentiality <> 'N';
create index idx_patients_created_by on patients (created_by);
create index idx_patients_updated_by on patients (updated_by);
alter table users add constraint users_patient_id_fkey
    foreign key (patient_id) references patients (id) deferrable initially deferred;

create table patient_identifiers (
    id         uuid         not null primary key,
    patient_id uuid         not null references patients (id) on delete cascade deferrable initially deferred,
    system     varchar(255) not null,  -- FHIR Identifier.system
    value      varchar(100) not null,  -- FHIR Identifier.value
    type_code  varchar(20),            -- HL7 v2 table 0203
    version    integer      not null,
    created_at timestamptz  not null,
    -- No two patients share an identifier. Erased identifiers all read [erased], so they are left out.
    constraint patient_identifiers_one_patient exclude using btree (value with =, system with =)
        where (value <> '[erased]') deferrable initially deferred
);
create index idx_patient_identifiers_patient on patient_identifiers (patient_id);
create index idx_patient_identifiers_value on patient_identifiers (value, system);

create table patient_allergies (
    id                   uuid         not null primary key,
    patient_id           uuid         not null references patients (id) on delete cascade deferrable initially deferred,
    allergen_type        varchar(50)  not null,
    allergen_name        varchar(200) not null,
    rxnorm_code          varchar(20),            -- RXCUI of the substance
    code_system          varchar(100),
    code                 varchar(20),
    severity             varchar(20)  check (severity in ('mild', 'moderate', 'severe', 'life_threatening')),
    reaction_description text,
    onset_date           date,
    reported_by          uuid         references users (id) deferrable initially deferred,
    is_active            boolean      not null,
    version              integer      not null,
    created_at           timestamptz  not null,
    updated_at           timestamptz  not null
);
create index idx_patient_allergies_patient on patient_allergies (patient_id, is_active);
create index idx_patient_allergies_allergen on patient_allergies (allergen_name);
create index idx_patient_allergies_active on patient_allergies (is_active);
create index idx_patient_allergies_reported_by on patient_allergies (reported_by, patient_id);

-- The records that were merged into other records of the same persons. The event of the merge holds its reason.
create table patient_links (
    id             uuid        not null primary key, -- the duplicate
    duplicate_id   uuid        not null unique references patients (id) deferrable initially deferred,
    patient_id     uuid        not null references patients (id) deferrable initially deferred, -- the survivor
    merged_into_id uuid        not null references patients (id) deferrable initially deferred,
    version        integer     not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    constraint chk_duplicate_is_another check (duplicate_id = id and duplicate_id <> patient_id)
);
create index idx_patient_links_patient on patient_links (patient_id);
create index idx_patient_links_merged_into on patient_links (merged_into_id);

-- The records of the patient who asks: the record to which the login is linked, and the records merged into it.
create view own_patients as
    select hims_identity.own_patient_id() as patient_id
    union all
    select duplicate_id from patient_links where patient_id = (select hims_identity.own_patient_id());
select hims_identity.look_at_all_rows('own_patients');

-- The other records of a person, by each of the records.
create view other_records as
    select patient_id, duplicate_id as record_id from patient_links
     where (select hims_identity.current_user_reads('assigned_patients', 'lab_orders', 'prescriptions'))
    union all
    select duplicate_id, patient_id from patient_links
     where (select hims_identity.current_user_reads('assigned_patients', 'lab_orders', 'prescriptions'))
    union all
    select one.duplicate_id, other.duplicate_id
      from patient_links one join patient_links other on other.patient_id = one.patient_id and other.id <> one.id
     where (select hims_identity.current_user_reads('assigned_patients', 'lab_orders', 'prescriptions'));
select hims_identity.look_at_all_rows('other_records');

-- The patients who visit the caller's department, the patients whose prescription was sent to the pharmacy, and the
-- patients with a laboratory order. The views are empty until later migrations make the tables that the views read.
create view visiting_patients as select null::uuid as patient_id where false;
create view prescribed_patients as select null::uuid as patient_id where false;
create view tested_patients as select null::uuid as patient_id where false;
select hims_identity.look_at_all_rows('visiting_patients');
select hims_identity.look_at_all_rows('prescribed_patients');
select hims_identity.look_at_all_rows('tested_patients');

-- The patients of the caller's department: those who visit it, by any of their records. The view is asked whether it
-- has a patient: the offset makes the planner look up the few other records of the patient, and then their visits.
create view assigned_patients as
    select patient_id from visiting_patients
    union all
    select other.record_id
      from other_records other,
           lateral (select from visiting_patients v where v.patient_id = other.patient_id offset 0) as visit;
select hims_identity.look_at_all_rows('assigned_patients');

-- The same patients, for who wants all of them.
create view all_assigned_patients as
    with visiting as materialized (select distinct patient_id from visiting_patients)
    select patient_id from visiting
    union all
    select other.record_id from other_records other join visiting on visiting.patient_id = other.patient_id;
select hims_identity.look_at_all_rows('all_assigned_patients');

select hims_identity.readable('patients', 'all_patients', 'assigned_patient', 'prescribed by id', 'tested by id',
    'own by id');
select hims_identity.hide('patients', 'ssn', 'ssn_blind_index');
select hims_identity.readable('patient_identifiers', 'all_patients', 'assigned', 'own');
select hims_identity.readable('patient_allergies', 'clinical_records', 'assigned', 'recorder by reported_by', 'prescribed',
    'own');
-- Everybody who reads something about patients finds all records of a patient.
select hims_identity.readable('patient_links', 'all_patients', 'all_appointments', 'assigned_patients', 'audit_logs',
    'billing', 'clinical_records', 'lab_orders', 'prescriptions', 'own');
