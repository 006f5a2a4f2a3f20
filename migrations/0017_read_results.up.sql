-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table lab_results (
    id                       uuid         not null primary key,
    lab_order_id             uuid         not null references lab_orders (id) deferrable initially deferred,
    lab_order_item_id        uuid         not null references lab_order_items (id) deferrable initially deferred,
    specimen_id              uuid         references specimens (id) deferrable initially deferred,
    patient_id               uuid         not null references patients (id) deferrable initially deferred,
    test_code                varchar(20)  not null,  -- LOINC
    test_name                varchar(200) not null,
    status                   varchar(30)  not null
                             check (status in ('pending', 'in_progress', 'completed', 'reviewed', 'critical')),
    result_status            varchar(1)   not null check (result_status in ('P', 'F', 'C', 'X', 'W')),  -- HL7 0085
    revision                 integer      not null check (revision > 0),
    result_value             varchar(500),  -- null for a panel
    result_unit              varchar(20),   -- UCUM
    reference_range          varchar(100),
    flag                     varchar(20)  check (flag in ('normal', 'low', 'high', 'critical_low', 'critical_high')),
    is_abnormal              boolean      not null,
    delta_flag               boolean      not null,
    performed_by             uuid         references users (id) deferrable initially deferred,
    performed_at             timestamptz  not null,
    method                   varchar(50),
    reviewed_by              uuid         references users (id) deferrable initially deferred,
    reviewed_at              timestamptz,
    review_comment           text,
    notes                    text,
    critical_raised_at       timestamptz,
    critical_level           integer      check (critical_level >= 0),
    critical_told_at         timestamptz,
    critical_acknowledged_at timestamptz  check (critical_acknowledged_at is null or critical_raised_at is not null),
    critical_withdrawn_at    timestamptz  check (critical_withdrawn_at is null or critical_raised_at is not null),
    critical_acknowledged_by uuid         references users (id) deferrable initially deferred,
    critical_note            text,
    corrected_at             timestamptz,
    correction_reason        text,  -- null for a result that was not corrected, and where the patient was erased
    withdrawal_code          varchar(20)
                             check (withdrawal_code in ('cannot_be_done', 'wrong_patient', 'wrong_specimen')),
    withdrawal_reason        text,
    version                  integer      not null,
    created_at               timestamptz  not null,
    updated_at               timestamptz  not null,
    check ((reviewed_at is null) = (reviewed_by is null)),
    check ((critical_level is null) = (critical_told_at is null)),
    check ((critical_acknowledged_at is null) = (critical_acknowledged_by is null)),
    check ((result_status in ('X', 'W')) = (withdrawal_code is not null)),
    check ((status = 'critical') = (critical_raised_at is not null and critical_acknowledged_at is null
                                    and critical_withdrawn_at is null))
);
create index idx_lab_results_order_test on lab_results (lab_order_id, test_code);
create index idx_lab_results_order_item on lab_results (lab_order_item_id);
create index idx_lab_results_specimen on lab_results (specimen_id);
create index idx_lab_results_patient on lab_results (patient_id, test_code, performed_at desc);
create index idx_lab_results_patient_date on lab_results (patient_id, performed_at);
create index idx_lab_results_test on lab_results (test_code);
create index idx_lab_results_status on lab_results (status, critical_raised_at);
create index idx_lab_results_result_status on lab_results (result_status);
create index idx_lab_results_flag on lab_results (flag);
create index idx_lab_results_performed_at on lab_results (performed_at);
create index idx_lab_results_performer on lab_results (performed_by);
create index idx_lab_results_reviewer on lab_results (reviewed_by);
create index idx_lab_results_critical on lab_results (critical_raised_at);
create index idx_lab_results_unacknowledged on lab_results (critical_raised_at)
    where critical_raised_at is not null and critical_acknowledged_at is null and critical_withdrawn_at is null;
create index idx_lab_results_acknowledger on lab_results (critical_acknowledged_by);

-- The values are never overwritten: each change of a result adds another revision. The numbers have as many decimals as
-- were given.
create table lab_result_components (
    id               uuid         not null primary key,
    lab_result_id    uuid         not null references lab_results (id) deferrable initially deferred,
    patient_id       uuid         not null references patients (id) deferrable initially deferred,
    revision         integer      not null check (revision > 0),
    is_current       boolean      not null,
    sequence         integer      not null check (sequence > 0),
    component_code   varchar(20)  not null,
    code_system      varchar(100) not null,
    component_name   varchar(200) not null,
    value_numeric    numeric,
    value_comparator varchar(2)   check (value_comparator in ('<', '<=', '>=', '>')),
    value_text       varchar(500),
    value_code       varchar(20),
    unit             varchar(20),  -- UCUM
    reference_low    numeric,
    reference_high   numeric,
    critical_low     numeric,
    critical_high    numeric,
    flag             varchar(20)
                     check (flag in ('normal', 'low', 'high', 'critical_low', 'critical_high', 'abnormal')),
    delta_percent    numeric      check (delta_percent > 0),
    version          integer      not null,
    created_at       timestamptz  not null,
    updated_at       timestamptz  not null,
    unique (lab_result_id, revision, sequence) deferrable initially deferred,
    check (num_nonnulls(value_numeric, value_text, value_code) = 1)
);
create index idx_lab_result_components_patient on lab_result_components (patient_id, component_code);
create index idx_lab_result_components_code on lab_result_components (component_code);
create index idx_lab_result_components_flag on lab_result_components (flag);

alter table lab_order_items add constraint lab_order_items_lab_result_id_fkey
    foreign key (lab_result_id) references lab_results (id) deferrable initially deferred;

-- Patients read their results when these are final, and no longer when these turned out not to be theirs. Of a result
-- that was corrected, they read the values that count.
select hims_identity.readable('lab_results', 'clinical_records', 'assigned', 'lab_orders',
    'own where result_status in (''F'', ''C'')');
select hims_identity.readable('lab_result_components', 'clinical_records', 'assigned', 'lab_orders',
    'own where is_current
        and exists (select from lab_results it where it.id = lab_result_id and it.result_status in (''F'', ''C''))');
