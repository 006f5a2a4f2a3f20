-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table consultation_steps (
    id              uuid        not null primary key,
    consultation_id uuid        not null references consultations (id) deferrable initially deferred,
    patient_id      uuid        not null references patients (id) deferrable initially deferred,
    step_number     integer     not null check (step_number > 0),
    step_type       varchar(40) not null
                    check (step_type in ('triage', 'vitals', 'history', 'review_of_systems', 'examination', 'assessment',
                                         'plan', 'orders', 'prescribing', 'education', 'checkout', 'custom')),
    title           varchar(200),
    status          varchar(20) not null check (status in ('pending', 'in_progress', 'completed', 'skipped')),
    data            jsonb,
    skip_reason     text,  -- null for a step that was not skipped, and where the patient was erased
    performed_by    uuid        references users (id) deferrable initially deferred,
    started_at      timestamptz,
    completed_at    timestamptz,
    version         integer     not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    unique (consultation_id, step_number) deferrable initially deferred
);
create index idx_consultation_steps_patient on consultation_steps (patient_id);
create index idx_consultation_steps_performer on consultation_steps (performed_by, patient_id);

create table symptoms (
    id              uuid         not null primary key,
    consultation_id uuid         not null references consultations (id) deferrable initially deferred,
    patient_id      uuid         not null references patients (id) deferrable initially deferred,
    code_system     varchar(100),
    code            varchar(20),
    name            varchar(200),
    body_site       varchar(100),
    severity        varchar(20)  check (severity in ('mild', 'moderate', 'severe')),
    onset_date      date,
    duration_value  integer      check (duration_value > 0),
    duration_unit   varchar(10)  check (duration_unit in ('min', 'h', 'd', 'wk', 'mo', 'a')),
    is_negated      boolean      not null,
    notes           text,
    status          varchar(20)  not null check (status in ('recorded', 'entered_in_error')),
    recorded_by     uuid         not null references users (id) deferrable initially deferred,
    recorded_at     timestamptz  not null,
    version         integer      not null,
    created_at      timestamptz  not null,
    updated_at      timestamptz  not null
);
create index idx_symptoms_consultation on symptoms (consultation_id);
create index idx_symptoms_patient on symptoms (patient_id, recorded_at);
create index idx_symptoms_code on symptoms (code);
create index idx_symptoms_recorder on symptoms (recorded_by, patient_id);

create table diagnoses (
    id                  uuid         not null primary key,
    consultation_id     uuid         not null references consultations (id) deferrable initially deferred,
    patient_id          uuid         not null references patients (id) deferrable initially deferred,
    rank                integer      not null check (rank > 0),
    code_system         varchar(100) not null,
    code                varchar(20)  not null,
    description         varchar(500),
    diagnosis_type      varchar(20)  not null
                        check (diagnosis_type in ('admission', 'working', 'differential', 'final', 'discharge', 'billing')),
    verification_status varchar(20)  not null
                        check (verification_status in ('unconfirmed', 'provisional', 'differential', 'confirmed',
                                                       'refuted', 'entered_in_error')),
    clinical_status     varchar(20)
                        check (clinical_status in ('active', 'recurrence', 'relapse', 'inactive', 'remission', 'resolved')),
    onset_date          date,
    abatement_date      date,
    diagnosed_by        uuid         not null references users (id) deferrable initially deferred,
    diagnosed_at        timestamptz  not null,
    notes               text,
    version             integer      not null,
    created_at          timestamptz  not null,
    updated_at          timestamptz  not null,
    -- FHIR R4 Condition, con-3 and con-5: what was entered in error has no clinical status, everything else has one.
    check ((clinical_status is null) = (verification_status = 'entered_in_error')),
    -- A diagnosis that was entered in error gives its rank up.
    constraint diagnoses_rank exclude using btree (consultation_id with =, diagnosis_type with =, rank with =)
        where (verification_status <> 'entered_in_error') deferrable initially deferred
);
create index idx_diagnoses_consultation on diagnoses (consultation_id);
create index idx_diagnoses_patient on diagnoses (patient_id, clinical_status);
create index idx_diagnoses_patient_date on diagnoses (patient_id, diagnosed_at);
create index idx_diagnoses_code on diagnoses (code_system, code);
create index idx_diagnoses_diagnosed_by on diagnoses (diagnosed_by);

create table consultation_amendments (
    id              uuid        not null primary key,
    consultation_id uuid        not null references consultations (id) deferrable initially deferred,
    patient_id      uuid        not null references patients (id) deferrable initially deferred,
    number          integer     not null check (number > 0),
    diagnosis_id    uuid        references diagnoses (id) deferrable initially deferred,
    reason          text,
    changes         jsonb,
    amended_by      uuid        references users (id) deferrable initially deferred,
    amended_at      timestamptz not null,
    version         integer     not null,
    created_at      timestamptz not null,
    unique (consultation_id, number) deferrable initially deferred
);
create index idx_consultation_amendments_patient on consultation_amendments (patient_id);
create index idx_consultation_amendments_diagnosis on consultation_amendments (diagnosis_id);
create index idx_consultation_amendments_amended_by on consultation_amendments (amended_by);

create table treatments (
    id              uuid         not null primary key,
    consultation_id uuid         not null references consultations (id) deferrable initially deferred,
    patient_id      uuid         not null references patients (id) deferrable initially deferred,
    diagnosis_id    uuid         references diagnoses (id) deferrable initially deferred,
    treatment_type  varchar(30)  not null
                    check (treatment_type in ('procedure', 'therapy', 'counselling', 'diet', 'referral', 'device', 'other')),
    code_system     varchar(100),
    code            varchar(20),
    description     varchar(500),
    body_site       varchar(100),
    device_udi      varchar(200),
    care_plan_id    uuid,
    care_plan_title varchar(200),
    status          varchar(20)  not null
                    check (status in ('planned', 'in_progress', 'on_hold', 'completed', 'stopped', 'not_done',
                                      'entered_in_error')),
    status_reason   text,
    performed_by    uuid         references users (id) deferrable initially deferred,
    started_at      timestamptz,
    completed_at    timestamptz,
    outcome         text,
    version         integer      not null,
    created_at      timestamptz  not null,
    updated_at      timestamptz  not null
);
create index idx_treatments_consultation on treatments (consultation_id);
create index idx_treatments_patient on treatments (patient_id, created_at);
create index idx_treatments_diagnosis on treatments (diagnosis_id);
create index idx_treatments_code on treatments (code);
create index idx_treatments_care_plan on treatments (care_plan_id);
create index idx_treatments_status on treatments (status, created_at);
create index idx_treatments_created_at on treatments (created_at);
create index idx_treatments_performer on treatments (performed_by);

select hims_identity.readable('consultation_steps', 'clinical_records', 'assigned', 'recorder by performed_by', 'own');
-- What was entered in error does not concern the patient, nor do the amendments of such a diagnosis.
select hims_identity.readable('consultation_amendments', 'clinical_records', 'assigned',
    'own where diagnosis_id is null or exists (select from diagnoses it
        where it.id = diagnosis_id and it.verification_status <> ''entered_in_error'')');
select hims_identity.readable('symptoms', 'clinical_records', 'assigned', 'recorder',
    'own where status <> ''entered_in_error''');
select hims_identity.readable('diagnoses', 'clinical_records', 'assigned',
    'own where verification_status <> ''entered_in_error''');
select hims_identity.readable('treatments', 'clinical_records', 'assigned', 'own where status <> ''entered_in_error''');
