-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

-- The row may be of any of these tables, so no foreign key leads to it: the command has found it in its record. A row
-- stays found when it is archived.
create table amendment_requests (
    id               uuid        not null primary key,
    patient_id       uuid        not null references patients (id) deferrable initially deferred,
    table_name       varchar(30) not null check (table_name in (
                         'patients', 'patient_allergies', 'patient_medications', 'medical_history', 'vital_signs',
                         'appointment_notes', 'consultations', 'consultation_steps', 'consultation_amendments',
                         'symptoms', 'diagnoses', 'treatments', 'lab_orders', 'lab_order_items', 'specimens',
                         'lab_results', 'lab_result_components', 'prescriptions', 'prescription_items',
                         'prescription_alerts')),
    record_id        uuid        not null,
    row_id           uuid        not null,
    wrong            text,
    wanted           text,
    received_at      timestamptz not null,
    due_at           timestamptz not null check (due_at > received_at),
    extension_reason text,
    status           varchar(10) not null check (status in (
                         'requested', 'accepted', 'denied', 'disagreed', 'rebutted', 'withdrawn')),
    basis            varchar(30) check (basis in (
                         'not_created_here', 'not_part_of_the_record', 'not_available_for_access',
                         'accurate_and_complete')),
    decision         text,
    told             text,
    decided_by       uuid        references users (id) deferrable initially deferred,
    decided_at       timestamptz,
    disagreement     text,
    disagreed_at     timestamptz,
    rebuttal         text,
    rebutted_by      uuid        references users (id) deferrable initially deferred,
    rebutted_at      timestamptz,
    withdrawn_reason text,
    version          integer     not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    created_by       uuid        references users (id) deferrable initially deferred,
    updated_by       uuid        references users (id) deferrable initially deferred,
    constraint chk_decided check ((status in ('requested', 'withdrawn')) = (decided_at is null)),
    constraint chk_denied check ((status in ('denied', 'disagreed', 'rebutted')) = (basis is not null)),
    constraint chk_disagreed check ((status in ('disagreed', 'rebutted')) = (disagreed_at is not null)),
    constraint chk_rebutted check ((status = 'rebutted') = (rebutted_at is not null))
);
create index idx_amendment_requests_patient on amendment_requests (patient_id, received_at);
create index idx_amendment_requests_row on amendment_requests (row_id, received_at);
create index idx_amendment_requests_table on amendment_requests (table_name, received_at);
create index idx_amendment_requests_record on amendment_requests (record_id);
create index idx_amendment_requests_status on amendment_requests (status, due_at);
create index idx_amendment_requests_received_at on amendment_requests (received_at);
create index idx_amendment_requests_due_at on amendment_requests (due_at);
create index idx_amendment_requests_decided_by on amendment_requests (decided_by);
create index idx_amendment_requests_rebutted_by on amendment_requests (rebutted_by);
create index idx_amendment_requests_created_by on amendment_requests (created_by);
create index idx_amendment_requests_updated_by on amendment_requests (updated_by);

create table disclosures (
    id                uuid        not null primary key,
    patient_id        uuid        not null references patients (id) deferrable initially deferred,
    disclosed_at      timestamptz not null,
    recipient_name    text,
    recipient_address text,
    description       text,
    purpose           varchar(30) not null check (purpose in (
                          'required_by_law', 'public_health', 'abuse_or_neglect', 'health_oversight',
                          'judicial_proceeding', 'law_enforcement', 'decedents', 'organ_donation', 'research',
                          'serious_threat', 'government_function', 'workers_compensation', 'unauthorised')),
    statement         text,
    status            varchar(20) not null check (status in ('recorded', 'entered_in_error')),
    error_reason      text,
    version           integer     not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    created_by        uuid        references users (id) deferrable initially deferred,
    updated_by        uuid        references users (id) deferrable initially deferred
);
create index idx_disclosures_patient on disclosures (patient_id, disclosed_at);
create index idx_disclosures_purpose on disclosures (purpose, disclosed_at);
create index idx_disclosures_disclosed_at on disclosures (disclosed_at);
create index idx_disclosures_created_by on disclosures (created_by);
create index idx_disclosures_updated_by on disclosures (updated_by);

-- Who reads a row finds the requests about it.
select hims_identity.readable('amendment_requests', 'clinical_records', 'assigned', 'own',
                              'all_patients where table_name = ''patients''',
                              'lab_orders where table_name in (''lab_orders'', ''lab_order_items'', ''specimens'', '
                              '''lab_results'', ''lab_result_components'')',
                              'prescribed where table_name in (''patient_allergies'', ''patient_medications'')',
                              'with prescriptions by record_id where table_name in (''prescriptions'', '
                              '''prescription_items'', ''prescription_alerts'')',
                              'with appointment_notes by row_id where table_name = ''appointment_notes''');
select hims_identity.readable('disclosures', 'disclosures', 'clinical_records', 'own where status = ''recorded''');
