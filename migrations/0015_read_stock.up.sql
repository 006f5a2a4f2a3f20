-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table suppliers (
    id             uuid         not null primary key,
    code           varchar(20)  not null unique deferrable initially deferred,
    name           varchar(200) not null,
    contact_name   varchar(200),                       -- null also once it is erased; likewise email and phone
    email          varchar(255),
    phone          varchar(40),                        -- E.164, and the extension after ;ext= (RFC 3966)
    address        varchar(500),
    license_number varchar(50),
    dea_number     varchar(9),
    lead_time_days integer      check (lead_time_days between 0 and 365),
    is_active      boolean      not null,
    version        integer      not null,
    created_at     timestamptz  not null,
    updated_at     timestamptz  not null
);
create index idx_suppliers_name on suppliers (name);

-- Who delivered a lot.
alter table medication_inventory add column supplier_id uuid references suppliers (id) deferrable initially deferred;
create index idx_medication_inventory_supplier on medication_inventory (supplier_id);

create table inventory_items (
    id                    uuid           not null primary key,
    sku                   varchar(50)    not null unique deferrable initially deferred,
    name                  varchar(200)   not null,
    category              varchar(50)    not null,
    medication_id         uuid           references medications (id) deferrable initially deferred,
    unit                  varchar(20)    not null,     -- UCUM, or a word in the singular
    reorder_level         decimal(12, 3) check (reorder_level >= 0),
    reorder_quantity      decimal(12, 3) check (reorder_quantity > 0),
    preferred_supplier_id uuid           references suppliers (id) deferrable initially deferred,
    is_controlled         boolean        not null,
    is_active             boolean        not null,
    reorder_flagged_at    timestamptz,                 -- since when more is to be ordered
    version               integer        not null,
    created_at            timestamptz    not null,
    updated_at            timestamptz    not null
);
create index idx_inventory_items_name on inventory_items (name);
create index idx_inventory_items_category on inventory_items (category, name);
create index idx_inventory_items_medication on inventory_items (medication_id);
create index idx_inventory_items_supplier on inventory_items (preferred_supplier_id);
create index idx_inventory_items_reorder on inventory_items (reorder_flagged_at);

create table inventory_levels (
    id                uuid           not null primary key,
    inventory_item_id uuid           not null references inventory_items (id) deferrable initially deferred,
    location_id       uuid           not null references rooms (id) deferrable initially deferred,
    quantity_on_hand  decimal(12, 3) not null check (quantity_on_hand >= 0),
    last_counted_at   timestamptz,
    version           integer        not null,
    created_at        timestamptz    not null,
    updated_at        timestamptz    not null,
    unique (inventory_item_id, location_id) deferrable initially deferred
);
create index idx_inventory_levels_location on inventory_levels (location_id);

-- The ledger: one row for each movement of a lot or of a level, never changed.
create table inventory_transactions (
    id                      uuid           not null primary key,
    inventory_item_id       uuid           references inventory_items (id) deferrable initially deferred,
    inventory_level_id      uuid           references inventory_levels (id) deferrable initially deferred,
    medication_inventory_id uuid           references medication_inventory (id) deferrable initially deferred,
    supplier_id             uuid           references suppliers (id) deferrable initially deferred,
    transaction_type        varchar(20)    not null
        check (transaction_type in ('receipt', 'dispense', 'issue', 'return', 'adjustment', 'waste', 'transfer_in',
                                    'transfer_out', 'return_to_supplier')),
    quantity                decimal(12, 3) not null check (quantity <> 0),  -- negative when something left
    balance_after           decimal(12, 3) check (balance_after >= 0),      -- null where an old event does not tell it
    unit_cost               decimal(10, 4),
    delivery_note           varchar(50),
    reference_type          varchar(50),
    reference_id            uuid,
    reason_code             varchar(20)
        check (reason_code in ('expired', 'damaged', 'spilled', 'patient_refused', 'partial_dose', 'other')),
    reason                  text,
    performed_by            uuid           references users (id) deferrable initially deferred,  -- null: the system
    witnessed_by            uuid           references users (id) deferrable initially deferred,
    performed_at            timestamptz    not null,
    version                 integer        not null,
    created_at              timestamptz    not null,
    constraint chk_moves_a_lot_or_a_level check (num_nonnulls(inventory_level_id, medication_inventory_id) = 1),
    constraint chk_a_level_is_of_an_item check ((inventory_item_id is null) = (inventory_level_id is null)),
    constraint chk_witness_is_somebody_else check (witnessed_by <> performed_by),
    constraint chk_reference_is_whole check ((reference_type is null) = (reference_id is null))
);
create index idx_inventory_transactions_lot on inventory_transactions (medication_inventory_id, performed_at);
create index idx_inventory_transactions_item on inventory_transactions (inventory_item_id, performed_at);
create index idx_inventory_transactions_level on inventory_transactions (inventory_level_id, performed_at);
create index idx_inventory_transactions_reference on inventory_transactions (reference_id);
create index idx_inventory_transactions_supplier on inventory_transactions (supplier_id);
create index idx_inventory_transactions_performed_at on inventory_transactions (performed_at);
create index idx_inventory_transactions_performed_by on inventory_transactions (performed_by, performed_at);
create index idx_inventory_transactions_witnessed_by on inventory_transactions (witnessed_by);

-- For the process that completes what patients have taken to its end.
create index idx_patient_medications_open_end on patient_medications (end_date)
    where status in ('intended', 'active', 'on_hold');

select hims_identity.readable('suppliers', 'inventory');
select hims_identity.readable('inventory_items', 'inventory');
select hims_identity.readable('inventory_levels', 'inventory');
select hims_identity.readable('inventory_transactions', 'inventory');
