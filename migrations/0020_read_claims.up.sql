-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table insurance_claims (
    id                     uuid           not null primary key,
    billing_record_id      uuid           not null references billing_records (id) deferrable initially deferred,
    insurance_policy_id    uuid           not null references insurance_policies (id) deferrable initially deferred,
    patient_id             uuid           not null references patients (id) deferrable initially deferred,
    claim_number           varchar(38)    not null unique deferrable initially deferred,
    payer_claim_number     varchar(50),
    claim_type             varchar(20)    not null
        check (claim_type in ('professional', 'institutional', 'pharmacy', 'dental', 'vision')),
    frequency_code         varchar(1)     not null check (frequency_code in ('1', '7', '8')),     -- X12 CLM05-3
    original_claim_id      uuid           references insurance_claims (id) deferrable initially deferred,
    service_date           date           not null,            -- the first day of the services
    diagnoses              jsonb          not null,            -- at most 12, which the lines point to by their places
    lines                  jsonb          not null,            -- what is billed, and what earlier payers said
    billed_amount          decimal(10, 2) not null check (billed_amount >= 0),
    allowed_amount         decimal(10, 2),                     -- null while no line is adjudicated
    paid_amount            decimal(10, 2) not null check (paid_amount >= 0),
    patient_responsibility decimal(10, 2),                     -- null while no line is adjudicated
    status                 varchar(20)    not null
        check (status in ('draft', 'submitted', 'accepted', 'rejected', 'pending', 'paid', 'partially_paid', 'denied',
                          'appealed', 'cancelled')),
    status_reason          text,
    denial_codes           jsonb          not null,
    submitted_at           timestamptz,
    adjudicated_at         timestamptz,
    appeal_level           integer        check (appeal_level between 1 and 5),
    appeal_deadline        date,
    late_reason            text,
    version                integer        not null,
    created_at             timestamptz    not null,
    updated_at             timestamptz    not null,
    constraint chk_replacement_names_original check (frequency_code = '1' or original_claim_id is not null)
);
create index idx_insurance_claims_billing_record on insurance_claims (billing_record_id);
create index idx_insurance_claims_policy on insurance_claims (insurance_policy_id);
create index idx_insurance_claims_patient on insurance_claims (patient_id, created_at);
create index idx_insurance_claims_original on insurance_claims (original_claim_id);
-- For the claims that a payer has not answered, the longest waiting first.
create index idx_insurance_claims_status on insurance_claims (status, submitted_at);

create table claim_payments (
    id                     uuid           not null primary key,
    insurance_claim_id     uuid           not null references insurance_claims (id) deferrable initially deferred,
    patient_id             uuid           not null references patients (id) deferrable initially deferred,
    trace_number           varchar(50)    not null,            -- X12 TRN02
    payment_method         varchar(10)    not null check (payment_method in ('ACH', 'CHK', 'FWT', 'NON')),
    payment_date           date           not null,
    claim_status_code      varchar(2)     not null             -- X12 CLP02
        check (claim_status_code in ('1', '2', '3', '4', '19', '20', '21', '22')),
    paid_amount            decimal(10, 2) not null,            -- negative in a reversal
    patient_responsibility decimal(10, 2) not null,            -- negative in a reversal
    adjustments            jsonb          not null,            -- by line, as the payer gave them
    is_reversal            boolean        not null,
    reverses_id            uuid           references claim_payments (id) deferrable initially deferred,
    reason                 text,
    posted_by              uuid           references users (id) deferrable initially deferred,
    posted_at              timestamptz    not null,
    version                integer        not null,
    created_at             timestamptz    not null,
    constraint chk_reversal_names_payment check (is_reversal = (reverses_id is not null)),
    constraint chk_sign check (case when is_reversal then paid_amount <= 0 else paid_amount >= 0 end),
    constraint chk_reversal_code check (is_reversal = (claim_status_code = '22')),
    -- A second safeguard behind the state of the claim: the same advice is not posted twice.
    constraint claim_payments_trace unique (insurance_claim_id, trace_number, is_reversal) deferrable initially deferred
);
create index idx_claim_payments_patient on claim_payments (patient_id);
create index idx_claim_payments_date on claim_payments (payment_date);
create index idx_claim_payments_reverses on claim_payments (reverses_id);
create index idx_claim_payments_posted_by on claim_payments (posted_by);

select hims_identity.readable('insurance_claims', 'billing', 'own');
select hims_identity.readable('claim_payments', 'billing', 'own');
