-- The tables of an older form may live in the schema hims, or none at all: what is not there is not dropped.
select set_config('search_path', 'hims, public', true);

drop table if exists prescription_items, prescriptions, medication_inventory, medication_ingredients, medications;
