-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table medications (
    id                    uuid         not null primary key,
    name                  varchar(200) not null,
    generic_name          varchar(200),
    brand_name            varchar(200),
    strength              varchar(50),
    form                  varchar(50),
    route                 varchar(50),
    drug_class            varchar(100),
    controlled_substance  boolean      not null,
    dea_schedule          varchar(5),
    requires_prescription boolean      not null,
    rxnorm_code           varchar(20)  unique deferrable initially deferred,  -- RXCUI of the product
    is_active             boolean      not null,
    units                 jsonb        not null default '[]',  -- units of its lots and orders: UCUM codes or words
    version               integer      not null,
    created_at            timestamptz  not null,
    updated_at            timestamptz  not null
);
create index idx_medications_name on medications (name);
create index idx_medications_generic on medications (generic_name);
create index idx_medications_class on medications (drug_class);
create index idx_medications_active on medications (is_active);
create index idx_medications_fuzzy_name on medications using gin (name gin_trgm_ops);

create table medication_ingredients (
    id                uuid        not null primary key,
    medication_id     uuid        not null references medications (id) deferrable initially deferred,
    rxnorm_ingredient varchar(20) not null,  -- RXCUI of the ingredient
    version           integer     not null,
    unique (medication_id, rxnorm_ingredient) deferrable initially deferred
);
create index idx_medication_ingredients_ingredient on medication_ingredients (rxnorm_ingredient);

create table medication_inventory (
    id               uuid           not null primary key,
    medication_id    uuid           not null references medications (id) deferrable initially deferred,
    location_id      uuid           not null references rooms (id) deferrable initially deferred,
    lot_number       varchar(50)    not null,
    expiry_date      date           not null,
    quantity_on_hand decimal(12, 3) not null check (quantity_on_hand >= 0),
    quantity_reserved decimal(12, 3) not null default 0 check (quantity_reserved >= 0),  -- for prescriptions that are ready
    quantity_pending decimal(12, 3) not null default 0 check (quantity_pending >= 0),  -- for changes that wait for a witness
    pending_changes  jsonb          not null default '[]',
    unit             varchar(20)    not null,  -- UCUM, or a word in the singular
    unit_cost        decimal(10, 4),
    reorder_level    decimal(12, 3),
    status           varchar(20)    not null check (status in ('available', 'quarantined', 'recalled', 'depleted')),
    status_reason    text,
    version          integer        not null,
    received_at      timestamptz    not null,
    created_at       timestamptz    not null,
    updated_at       timestamptz    not null,
    unique (medication_id, location_id, lot_number) deferrable initially deferred,
    check (quantity_reserved + quantity_pending <= quantity_on_hand)
);
create index idx_medication_inventory_medication_expiry on medication_inventory (medication_id, expiry_date);
create index idx_medication_inventory_location on medication_inventory (location_id);
create index idx_medication_inventory_expiry on medication_inventory (expiry_date);

create table prescriptions (
    id                  uuid        not null primary key,
    consultation_id     uuid        references consultations (id) deferrable initially deferred,
    patient_id          uuid        not null references patients (id) deferrable initially deferred,
    provider_id         uuid        not null references users (id) on delete restrict
                                    deferrable initially deferred,
    prescription_number varchar(50) not null unique,  -- issued by the server: RX-, ten digits, check digit
    status              varchar(30) not null check (status in ('pending', 'sent_to_pharmacy', 'ready', 'dispensed', 'cancelled')),
    priority            varchar(20) not null check (priority in ('low', 'normal', 'high', 'urgent')),
    notes               text,
    cancellation_reason text,
    collect_by          timestamptz,  -- until when what is ready is kept for the patient
    early_refill_reason text,
    version             integer     not null,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    created_by          uuid        references users (id) deferrable initially deferred,
    updated_by          uuid        references users (id) deferrable initially deferred
);
-- Indexes with created_at, for lists of one patient, provider or status in the order of time.
create index idx_prescriptions_patient on prescriptions (patient_id, created_at);
-- The pharmacy's right to a patient is asked through this index, which costs the same for a patient without
-- prescriptions as for one whose prescriptions were not sent.
create index idx_prescriptions_sent_of_patient on prescriptions (patient_id)
    where status not in ('pending', 'cancelled');
create index idx_prescriptions_provider on prescriptions (provider_id, created_at);
create index idx_prescriptions_consultation on prescriptions (consultation_id);
create index idx_prescriptions_status on prescriptions (status, created_at);
create index idx_prescriptions_created_at on prescriptions (created_at);
create index idx_active_prescriptions on prescriptions (created_at) where status not in ('dispensed', 'cancelled');

create table prescription_items (
    id                   uuid           not null primary key,
    prescription_id      uuid           not null references prescriptions (id) deferrable initially deferred,
    patient_id           uuid           not null references patients (id) deferrable initially deferred,
    line_number          integer        not null,
    medication_id        uuid           not null references medications (id) deferrable initially deferred,
    dose_quantity        decimal(10, 3),
    dose_unit            varchar(20),
    route                varchar(50),
    frequency            varchar(50),
    as_needed            boolean        not null,
    duration_days        integer        check (duration_days > 0),
    quantity             decimal(10, 3) not null check (quantity > 0),
    quantity_unit        varchar(20)    not null,
    quantity_dispensed   decimal(10, 3) not null default 0 check (quantity_dispensed >= 0),
    refills_allowed      integer        not null default 0 check (refills_allowed between 0 and 11),
    refills_used         integer        not null default 0 check (refills_used between 0 and refills_allowed),
    days_supply          integer        check (days_supply between 1 and 365),
    substitution_allowed boolean        not null,
    instructions         text,
    valid_until          date,
    override_reason      text,  -- why the prescriber overrode alerts
    dispensing_override_reason text,  -- why the pharmacist overrode alerts that came later
    status               varchar(20)    not null
                         check (status in ('active', 'partially_dispensed', 'dispensed', 'cancelled')),
    version              integer        not null,
    created_at           timestamptz    not null,
    updated_at           timestamptz    not null,
    unique (prescription_id, line_number) deferrable initially deferred,
    check (quantity_dispensed <= quantity * (1 + refills_used))
);
create index idx_prescription_items_patient on prescription_items (patient_id);
create index idx_prescription_items_medication on prescription_items (medication_id);

-- The patients whose prescription was sent to the pharmacy, by any of their records.
create or replace view prescribed_patients as
    select patient_id from prescriptions
     where (select hims_identity.current_user_reads('prescriptions')) and status not in ('pending', 'cancelled')
    union all
    select other.record_id from other_records other join prescriptions p on p.patient_id = other.patient_id
     where (select hims_identity.current_user_reads('prescriptions')) and p.status not in ('pending', 'cancelled');

-- The users who treat the patient who asks: providers of the patient's appointments, consultations and prescriptions,
-- and users who recorded vital signs of the patient.
create or replace view treating_users as
    select provider_id as user_id from appointments where patient_id = any (array(select patient_id from own_patients))
    union all
    select provider_id from consultations where patient_id = any (array(select patient_id from own_patients))
    union all
    select provider_id from prescriptions where patient_id = any (array(select patient_id from own_patients))
    union all
    select recorded_by from vital_signs where patient_id = any (array(select patient_id from own_patients));

select hims_identity.readable('medications', 'everybody');
select hims_identity.readable('medication_ingredients', 'everybody');
select hims_identity.readable('medication_inventory', 'inventory');
-- A prescription that is not sent to the pharmacy yet does not concern the pharmacy.
select hims_identity.readable('prescriptions', 'clinical_records', 'assigned', 'own',
    'prescriptions where status <> ''pending''');
select hims_identity.readable('prescription_items', 'clinical_records', 'assigned', 'own',
    'with prescriptions by prescription_id');
