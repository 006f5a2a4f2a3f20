-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table payers (
    id                     uuid         not null primary key,
    code                   varchar(20)  not null unique deferrable initially deferred,
    name                   varchar(200) not null,
    electronic_payer_id    varchar(20),                        -- X12 NM109
    claim_filing_indicator varchar(2),                         -- X12 SBR09
    price_list             varchar(20),                        -- null for the standard list
    timely_filing_days     integer      check (timely_filing_days between 1 and 3650),
    phone                  varchar(40),                        -- E.164, and the extension after ;ext= (RFC 3966)
    address                varchar(500),
    is_active              boolean      not null,
    version                integer      not null,
    created_at             timestamptz  not null,
    updated_at             timestamptz  not null
);
create index idx_payers_name on payers (name);

create table insurance_policies (
    id                         uuid          not null primary key,
    patient_id                 uuid          not null references patients (id) deferrable initially deferred,
    payer_id                   uuid          not null references payers (id) deferrable initially deferred,
    priority                   integer       not null check (priority between 1 and 9),
    plan_name                  varchar(200),
    plan_type                  varchar(30),
    member_id                  varchar(50),                    -- null if an import lacked it, or once it is erased
    group_number               varchar(50),
    relationship_to_subscriber varchar(20)   not null
        check (relationship_to_subscriber in ('self', 'spouse', 'child', 'parent', 'common', 'injured', 'other')),
    subscriber_name            varchar(200),
    subscriber_birth_date      date,
    effective_from             date          not null,
    effective_to               date          check (effective_to >= effective_from),  -- the last day
    copay_amount               decimal(10, 2) check (copay_amount >= 0),
    deductible_amount          decimal(10, 2) check (deductible_amount >= 0),
    coinsurance_percent        decimal(5, 2)  check (coinsurance_percent between 0 and 100),
    status                     varchar(20)   not null
        check (status in ('draft', 'active', 'cancelled', 'entered_in_error')),
    status_reason              text,
    verified_at                timestamptz,
    verified_by                uuid          references users (id) deferrable initially deferred,
    verification_method        varchar(20)   check (verification_method in ('card', 'phone', 'portal', 'x12_271')),
    verification_reference     varchar(50),
    version                    integer       not null,
    created_at                 timestamptz   not null,
    updated_at                 timestamptz   not null,
    constraint chk_active_policy_is_verified check (status <> 'active' or verification_method is not null),
    -- A second safeguard behind the claims: one active policy of each priority on a day. Deferred, since one batch may
    -- exchange the priorities of two policies.
    constraint chk_no_coverage_overlap exclude using gist (
        patient_id with =, priority with =, daterange(effective_from, effective_to, '[]') with &&)
        where (status = 'active') deferrable initially deferred
);
-- For the policies of a patient, in the order in which they pay.
create index idx_insurance_policies_patient on insurance_policies (patient_id, priority, effective_from);
create index idx_insurance_policies_payer on insurance_policies (payer_id);
create index idx_insurance_policies_verified_by on insurance_policies (verified_by);

select hims_identity.readable('payers', 'everybody');
select hims_identity.readable('insurance_policies', 'billing', 'own');
