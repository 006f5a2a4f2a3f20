-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table consents (
    id               uuid        not null primary key,
    patient_id       uuid        not null references patients (id) deferrable initially deferred,
    scope            varchar(10) not null check (scope in ('treatment', 'research', 'directory')),
    provision        varchar(10) not null check (provision in ('permit', 'deny')),
    user_id          uuid        references users (id) deferrable initially deferred,
    source           varchar(200),
    recorded_at      timestamptz not null,
    withdrawn_at     timestamptz,
    withdrawn_reason text,
    version          integer     not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    created_by       uuid        references users (id) deferrable initially deferred,
    updated_by       uuid        references users (id) deferrable initially deferred,
    constraint chk_treatment_names_somebody check ((scope = 'treatment') = (user_id is not null))
);
create index idx_consents_patient on consents (patient_id, recorded_at);
create index idx_consents_user on consents (user_id, recorded_at);
create index idx_consents_recorded_at on consents (recorded_at);
create index idx_consents_created_by on consents (created_by);
create index idx_consents_updated_by on consents (updated_by);

create table erasures (
    id              uuid        not null primary key,
    patient_id      uuid        references patients (id) deferrable initially deferred,
    user_id         uuid        references users (id) deferrable initially deferred,
    ground          varchar(20) not null check (ground in ('requested', 'consent_withdrawn', 'retention_ended', 'unlawful',
                                                           'legal_duty')),
    reason          text,                                       -- null once the person was erased; likewise declined_reason
    status          varchar(10) not null check (status in ('requested', 'confirmed', 'declined')),
    requested_by    uuid        not null references users (id) deferrable initially deferred,
    requested_at    timestamptz not null,
    decided_by      uuid        references users (id) deferrable initially deferred,
    decided_at      timestamptz,
    declined_reason text,
    version         integer     not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    created_by      uuid        references users (id) deferrable initially deferred,
    updated_by      uuid        references users (id) deferrable initially deferred,
    constraint chk_one_person_erased check (num_nonnulls(patient_id, user_id) = 1),
    constraint chk_confirmed_by_another check (status <> 'confirmed' or decided_by <> requested_by)
);
create index idx_erasures_patient on erasures (patient_id, requested_at);
create index idx_erasures_user on erasures (user_id, requested_at);
create index idx_erasures_status on erasures (status, requested_at);
create index idx_erasures_requested_at on erasures (requested_at);
create index idx_erasures_requested_by on erasures (requested_by);
create index idx_erasures_decided_by on erasures (decided_by);
create index idx_erasures_created_by on erasures (created_by);
create index idx_erasures_updated_by on erasures (updated_by);

create table legal_holds (
    id              uuid        not null primary key,
    patient_id      uuid        references patients (id) deferrable initially deferred,
    user_id         uuid        references users (id) deferrable initially deferred,
    case_number     varchar(100),
    reason          text,
    placed_at       timestamptz not null,
    released_at     timestamptz,
    released_reason text,
    version         integer     not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    created_by      uuid        references users (id) deferrable initially deferred,
    updated_by      uuid        references users (id) deferrable initially deferred,
    constraint chk_one_person_held check (num_nonnulls(patient_id, user_id) = 1)
);
create index idx_legal_holds_patient on legal_holds (patient_id, placed_at);
create index idx_legal_holds_user on legal_holds (user_id, placed_at);
create index idx_legal_holds_placed_at on legal_holds (placed_at);
create index idx_legal_holds_created_by on legal_holds (created_by);
create index idx_legal_holds_updated_by on legal_holds (updated_by);

select hims_identity.readable('consents', 'all_patients', 'clinical_records', 'audit_logs', 'assigned', 'own');
select hims_identity.readable('erasures', 'audit_logs');
-- Nobody tells the person: a hold may serve an investigation of that person.
select hims_identity.readable('legal_holds', 'audit_logs');
