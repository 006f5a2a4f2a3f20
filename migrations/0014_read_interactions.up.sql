-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table drug_interactions (
    id             uuid         not null primary key,
    profile_id     uuid         not null,  -- the stream: what the source says about ingredient_a
    ingredient_a   varchar(20)  not null,  -- RXCUI, the smaller one as text
    ingredient_b   varchar(20)  not null,  -- RXCUI
    code_system    varchar(100) not null,
    severity       varchar(20)  not null
                   check (severity in ('none', 'minor', 'moderate', 'major', 'contraindicated')),
    is_conditional boolean      not null,
    rule_count     integer      not null check (rule_count > 0),
    mechanism      text,
    management     text,
    language       varchar(10),
    source         varchar(50)  not null,
    source_version varchar(20),  -- null for what the hospital decided itself
    version        integer      not null,
    created_at     timestamptz  not null,
    updated_at     timestamptz  not null,
    constraint drug_interactions_pair unique (ingredient_a, ingredient_b, source) deferrable initially deferred,
    check (ingredient_a < ingredient_b collate "C"),
    check (severity <> 'none' or source = 'local')
);
create index idx_drug_interactions_profile on drug_interactions (profile_id);
create index idx_drug_interactions_a on drug_interactions (ingredient_a);
create index idx_drug_interactions_b on drug_interactions (ingredient_b);
create index idx_drug_interactions_source on drug_interactions (source);

create table prescription_alerts (
    id               uuid        not null primary key,
    prescription_id  uuid        not null references prescriptions (id) deferrable initially deferred,
    item_id          uuid        references prescription_items (id) deferrable initially deferred,
    patient_id       uuid        not null references patients (id) deferrable initially deferred,
    kind             varchar(20) not null check (kind in ('interaction', 'duplicate', 'allergy', 'not_checkable')),
    severity         varchar(20) not null
                     check (severity in ('information', 'minor', 'moderate', 'major', 'contraindicated')),
    other_type       varchar(20) check (other_type in ('prescription_item', 'medication_entry', 'allergy')),
    other_id         uuid,
    ingredient       varchar(20),  -- RXCUI, of the item
    other_ingredient varchar(20),  -- RXCUI, of the other
    source           varchar(50),
    source_version   varchar(20),
    is_overridden    boolean     not null,
    override_reason  text,
    overridden_by    uuid        references users (id) deferrable initially deferred,
    version          integer     not null,
    created_at       timestamptz not null,
    check ((other_type is null) = (other_id is null)),
    check (is_overridden or (override_reason is null and overridden_by is null))
);
create index idx_prescription_alerts_prescription on prescription_alerts (prescription_id);
create index idx_prescription_alerts_item on prescription_alerts (item_id);
create index idx_prescription_alerts_patient on prescription_alerts (patient_id);
create index idx_prescription_alerts_severity on prescription_alerts (severity, created_at);
create index idx_prescription_alerts_overridden_by on prescription_alerts (overridden_by);

select hims_identity.readable('drug_interactions', 'everybody');
select hims_identity.readable('prescription_alerts', 'clinical_records', 'assigned', 'own',
    'with prescriptions by prescription_id');
