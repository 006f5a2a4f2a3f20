-- The schema hims may hold tables of an older form, or no tables at all: only tables that exist are dropped.
select set_config('search_path', 'hims, public', true);

drop table if exists disclosures, amendment_requests;
