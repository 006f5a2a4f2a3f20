-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table price_list_items (
    id             uuid           not null primary key,
    price_id       uuid           not null,                    -- the stream: one service in one list
    price_list     varchar(20)    not null,
    code_system    varchar(100)   not null,
    code           varchar(20)    not null,
    description    varchar(500)   not null,
    unit_price     decimal(12, 4) not null check (unit_price >= 0),
    tax_rate       decimal(5, 2)  not null check (tax_rate between 0 and 100),
    effective_from date           not null,
    effective_to   date           check (effective_to >= effective_from),  -- the last day
    version        integer        not null,
    created_at     timestamptz    not null,
    updated_at     timestamptz    not null,
    -- One price on each day. Deferred, since one batch may set many prices.
    constraint chk_no_price_overlap exclude using gist (
        price_id with =, daterange(effective_from, effective_to, '[]') with &&) deferrable initially deferred
);
create index idx_price_list_items_price on price_list_items (price_id, effective_from);
create index idx_price_list_items_code on price_list_items (code, effective_from);
create index idx_price_list_items_list on price_list_items (price_list);

create table billing_records (
    id                 uuid           not null primary key,
    consultation_id    uuid           references consultations (id) deferrable initially deferred,
    patient_id         uuid           not null references patients (id) deferrable initially deferred,
    invoice_number     varchar(50)    unique deferrable initially deferred,
    status             varchar(30)    not null
        check (status in ('pending', 'billed', 'paid', 'partially_paid', 'cancelled', 'written_off')),
    status_reason      text,                                   -- of cancelling and writing off
    currency           varchar(3)     not null,                -- ISO 4217
    total_amount       decimal(10, 2) not null check (total_amount >= 0),
    tax_amount         decimal(10, 2) not null check (tax_amount >= 0),
    discount_amount    decimal(10, 2) not null check (discount_amount >= 0),
    adjustment_amount  decimal(10, 2) not null,                -- negative if payers pay more than was charged
    written_off_amount decimal(10, 2) not null check (written_off_amount >= 0),
    paid_amount        decimal(10, 2) not null,                -- negative if a payer took back what was given to the patient
    credit_amount      decimal(10, 2) not null check (credit_amount >= 0),
    balance_amount     decimal(10, 2) not null
        generated always as (total_amount + tax_amount - discount_amount - adjustment_amount - written_off_amount
                             - paid_amount) stored
        check (balance_amount >= 0),
    insurance_due      decimal(10, 2) not null check (insurance_due >= 0),
    opened_on          date           not null,
    due_date           date,
    billed_at          timestamptz,
    version            integer        not null,
    created_at         timestamptz    not null,
    updated_at         timestamptz    not null,
    created_by         uuid           references users (id) deferrable initially deferred,
    updated_by         uuid           references users (id) deferrable initially deferred,
    constraint chk_insurance_due_within_balance check (insurance_due <= balance_amount)
);
create index idx_billing_records_patient on billing_records (patient_id, created_at);
create index idx_billing_records_patient_status on billing_records (patient_id, status);
create index idx_billing_records_consultation on billing_records (consultation_id);
-- For what is due, and for the work list of the billing office.
create index idx_billing_records_status on billing_records (status, due_date);
create index idx_billing_records_due_date on billing_records (due_date);
create index idx_billing_records_created on billing_records (created_at);
create index idx_billing_records_created_by on billing_records (created_by);
create index idx_billing_records_updated_by on billing_records (updated_by);

create table billing_items (
    id                   uuid           not null primary key,
    billing_record_id    uuid           not null references billing_records (id) deferrable initially deferred,
    patient_id           uuid           not null references patients (id) deferrable initially deferred,
    line_number          integer        not null check (line_number > 0),
    service_date         date           not null,
    code_system          varchar(100)   not null,
    code                 varchar(20)    not null,
    modifiers            jsonb          not null,
    description          varchar(500),                         -- null once it is erased
    diagnosis_pointers   jsonb          not null,
    quantity             decimal(12, 3) not null check (quantity > 0),
    unit_price           decimal(12, 4) check (unit_price >= 0),  -- null while there is no price
    discount_amount      decimal(10, 2) not null check (discount_amount >= 0),
    tax_rate             decimal(5, 2)  not null check (tax_rate between 0 and 100),
    tax_amount           decimal(10, 2) not null check (tax_amount >= 0),
    -- PostgreSQL rounds half away from zero, as the program does.
    line_amount          decimal(10, 2) not null
        generated always as (round(quantity * coalesce(unit_price, 0), 2) - discount_amount + tax_amount) stored
        check (line_amount >= 0),
    price_list           varchar(20),                          -- null for a price that was given with the line
    price_effective_from date,
    needs_price          boolean        not null,
    source_type          varchar(50),
    source_id            uuid,
    source_occasion      varchar(20),
    status               varchar(20)    not null
        check (status in ('planned', 'billable', 'billed', 'not_billable', 'aborted')),
    version              integer        not null,
    created_at           timestamptz    not null,
    updated_at           timestamptz    not null,
    unique (billing_record_id, line_number) deferrable initially deferred,
    constraint chk_planned_needs_price check (needs_price = (unit_price is null))
);
create index idx_billing_items_patient on billing_items (patient_id, service_date);
create index idx_billing_items_service_date on billing_items (service_date);
create index idx_billing_items_code on billing_items (code);
create index idx_billing_items_source on billing_items (source_id);
-- For the work list of lines that wait for a price.
create index idx_billing_items_status on billing_items (status, service_date);

create table billing_payments (
    id                uuid           not null primary key,
    billing_record_id uuid           not null references billing_records (id) deferrable initially deferred,
    patient_id        uuid           not null references patients (id) deferrable initially deferred,
    kind              varchar(20)    not null
        check (kind in ('payment', 'copay', 'deposit', 'payer', 'refund', 'reversal', 'credit_in', 'credit_out')),
    method            varchar(20)    check (method in ('cash', 'check', 'card', 'bank_transfer', 'other')),
    amount            decimal(10, 2) not null check (amount > 0),
    reference         varchar(50),
    receipt_number    varchar(50)    unique deferrable initially deferred,
    received_at       timestamptz    not null,
    reverses_id       uuid           references billing_payments (id) deferrable initially deferred,
    claim_payment_id  uuid,
    other_record_id   uuid           references billing_records (id) deferrable initially deferred,
    reason            text,
    received_by       uuid           references users (id) deferrable initially deferred,
    version           integer        not null,
    created_at        timestamptz    not null
);
create index idx_billing_payments_record on billing_payments (billing_record_id, received_at);
create index idx_billing_payments_patient on billing_payments (patient_id, received_at);
create index idx_billing_payments_kind on billing_payments (kind, received_at);
create index idx_billing_payments_received on billing_payments (received_at);
create index idx_billing_payments_reverses on billing_payments (reverses_id);
create index idx_billing_payments_claim on billing_payments (claim_payment_id);
create index idx_billing_payments_other on billing_payments (other_record_id);
create index idx_billing_payments_received_by on billing_payments (received_by);

create table billing_adjustments (
    id                uuid           not null primary key,
    billing_record_id uuid           not null references billing_records (id) deferrable initially deferred,
    patient_id        uuid           not null references patients (id) deferrable initially deferred,
    kind              varchar(20)    not null check (kind in ('discount', 'courtesy', 'correction', 'write_off')),
    amount            decimal(10, 2) not null check (amount > 0 or amount < 0 and kind = 'correction'),
    reason            text,                                    -- null once it is erased
    adjusted_at       timestamptz    not null,
    adjusted_by       uuid           references users (id) deferrable initially deferred,
    version           integer        not null,
    created_at        timestamptz    not null
);
create index idx_billing_adjustments_record on billing_adjustments (billing_record_id, adjusted_at);
create index idx_billing_adjustments_patient on billing_adjustments (patient_id, adjusted_at);
create index idx_billing_adjustments_kind on billing_adjustments (kind, adjusted_at);
create index idx_billing_adjustments_adjusted on billing_adjustments (adjusted_at);
create index idx_billing_adjustments_adjusted_by on billing_adjustments (adjusted_by);

select hims_identity.readable('price_list_items', 'everybody');
select hims_identity.readable('billing_records', 'billing', 'own');
select hims_identity.readable('billing_items', 'billing', 'own');
select hims_identity.readable('billing_payments', 'billing', 'own');
select hims_identity.readable('billing_adjustments', 'billing', 'own');
