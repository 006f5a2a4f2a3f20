-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table emergency_contacts (
    id                uuid        not null primary key,
    patient_id        uuid        not null references patients (id) on delete cascade deferrable initially deferred,
    name              varchar(200),
    relationship      varchar(50),
    phone_primary     varchar(40),  -- E.164, and the extension after ;ext= (RFC 3966)
    phone_secondary   varchar(40),
    email             varchar(255),
    address           varchar(500),
    priority          integer     not null check (priority between 1 and 10),
    is_legal_guardian boolean     not null default false,
    version           integer     not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    unique (patient_id, priority) deferrable initially deferred
);

create table medical_history (
    id                  uuid         not null primary key,
    patient_id          uuid         not null references patients (id) deferrable initially deferred,
    history_type        varchar(20)  not null check (history_type in
        ('condition', 'surgery', 'hospitalization', 'family', 'social', 'immunization', 'obstetric')),
    code_system         varchar(100),
    code                varchar(20),
    description         varchar(500) not null,
    family_relationship varchar(50),
    clinical_status     varchar(20)  check (clinical_status in
        ('active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved')),
    onset_date          date,         -- the first possible day; null if unknown or after the patient was erased
    onset_precision     varchar(5)   check (onset_precision in ('year', 'month', 'day')),
    resolved_date       date,
    lot_number          varchar(50),
    dose_number         integer      check (dose_number between 1 and 99),
    site                varchar(50),
    route               varchar(50),
    source              varchar(20)  not null check (source in ('patient', 'provider', 'import', 'relative')),
    recorded_by         uuid         not null references users (id) deferrable initially deferred,
    notes               text,
    status              varchar(20)  not null check (status in ('recorded', 'entered_in_error')),
    error_reason        text,
    version             integer      not null,
    created_at          timestamptz  not null,
    updated_at          timestamptz  not null,
    check ((history_type = 'family') = (family_relationship is not null)),
    check (history_type = 'condition' or clinical_status is null),
    check (history_type = 'immunization' or num_nonnulls(lot_number, dose_number, site, route) = 0),
    check (num_nonnulls(code_system, code) in (0, 2))
);
create index idx_medical_history_patient on medical_history (patient_id, history_type);
create index idx_medical_history_type on medical_history (history_type);
create index idx_medical_history_code on medical_history (code);
create index idx_medical_history_recorded_by on medical_history (recorded_by, patient_id);

create table medication_lists (
    id            uuid        not null primary key,
    patient_id    uuid        not null references patients (id) deferrable initially deferred,
    reconciled_at timestamptz,
    reconciled_by uuid        references users (id) deferrable initially deferred,
    version       integer     not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    unique (patient_id) deferrable initially deferred
);
create index idx_medication_lists_reconciled_by on medication_lists (reconciled_by);

create table patient_medications (
    id                   uuid        not null primary key,
    medication_list_id   uuid        not null references medication_lists (id) deferrable initially deferred,
    patient_id           uuid        not null references patients (id) deferrable initially deferred,
    medication_id        uuid        references medications (id) deferrable initially deferred,
    prescription_item_id uuid        references prescription_items (id) deferrable initially deferred,
    medication_name      varchar(200),  -- of a medication that the catalogue does not have
    rxnorm_code          varchar(20),   -- RXCUI of the product
    ingredients          jsonb       not null default '[]',  -- RXCUIs of the ingredients
    dose                 varchar(50),
    route                varchar(50),
    frequency            varchar(50),
    status               varchar(20) not null check (status in
        ('intended', 'active', 'on_hold', 'stopped', 'completed', 'entered_in_error')),
    stop_reason          text,
    start_date           date,
    end_date             date,
    source               varchar(20) not null check (source in
        ('prescribed_here', 'external', 'patient_reported', 'otc')),
    recorded_by          uuid        references users (id) deferrable initially deferred,
    reconciled_at        timestamptz,
    reconciled_by        uuid        references users (id) deferrable initially deferred,
    version              integer     not null,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    check (num_nonnulls(medication_id, medication_name) = 1),
    check ((source = 'prescribed_here') = (prescription_item_id is not null))
);
create index idx_patient_medications_list on patient_medications (medication_list_id);
create index idx_patient_medications_patient on patient_medications (patient_id, status);
create index idx_patient_medications_status on patient_medications (status);
create index idx_patient_medications_medication on patient_medications (medication_id);
create index idx_patient_medications_item on patient_medications (prescription_item_id);
create index idx_patient_medications_recorded_by on patient_medications (recorded_by, patient_id);
create index idx_patient_medications_reconciled_by on patient_medications (reconciled_by);

select hims_identity.readable('emergency_contacts', 'all_patients', 'assigned', 'own');
-- Patients do not see what was entered about them in error.
select hims_identity.readable('medical_history', 'clinical_records', 'assigned', 'recorder',
    'own where status = ''recorded''');
select hims_identity.readable('medication_lists', 'clinical_records', 'assigned', 'prescribed', 'own');
select hims_identity.readable('patient_medications', 'clinical_records', 'assigned', 'recorder', 'prescribed', 'own');
