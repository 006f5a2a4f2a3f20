-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

alter table if exists lab_order_items drop constraint if exists lab_order_items_lab_result_id_fkey;
drop table if exists lab_result_components, lab_results;
