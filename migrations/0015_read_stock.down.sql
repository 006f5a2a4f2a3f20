-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

drop table if exists inventory_transactions, inventory_levels, inventory_items;
drop index if exists idx_patient_medications_open_end;
alter table if exists medication_inventory drop column if exists supplier_id;
drop table if exists suppliers;
