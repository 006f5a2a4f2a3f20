-- The read tables show the log as a relational database, in the schema hims. The tables can be dropped and rebuilt from
-- the log at any time, so they are never altered: the migrations named read_ make the schema anew, as a whole
-- (docs/adr/0018).

-- In an SQL client, unqualified names find the read tables and the log.
do $$
begin
    execute format('alter database %I set search_path = hims, log, public', current_database());
exception when insufficient_privilege then
    raise notice 'not the owner of the database: name the schemas hims and log yourself';
end $$;

-- Trigrams find names despite typing errors.
create extension if not exists pg_trgm schema public;

-- Text search: the keys of the rows that match a text. PostgreSQL checks the conditions of row-level security before
-- every operator that is not leakproof, such as those of text search, and so cannot use the indexes of text search.
-- These functions therefore search with the owner's rights, and row-level security then decides which of the found rows
-- the caller sees. For a login that is not the server's own, the functions find nothing. Later migrations make the
-- tables that the functions search.
set local check_function_bodies = off;
-- The program folds the text that is searched in patients, as it folds their names.
create function hims_identity.patients_found_by(folded text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    with found as (
        select id from patients
         where (select pg_has_role(session_user, 'hims_writer', 'member'))
           and (search @@ websearch_to_tsquery('simple', folded) or folded <% name_folded))
    select id from found
    union
    -- The name and the number of a record that was merged also find the record that survives.
    select patient_id from patient_links where duplicate_id in (select id from found)
$$;
-- The keys of the patients who have this value in this column, and of the records that were merged with theirs; of 1,001
-- patients at most. The server asks by these keys which of the patients a caller may read, before it looks at a row
-- (projections/src/machinery/query/few.rs).
create function hims_identity.patients_with(name text, wanted text) returns setof uuid
    language plpgsql stable security definer rows 10 set search_path = hims, public, pg_temp as $$
declare
    type text := (select format_type(atttypid, null) from pg_attribute
                   where attrelid = 'patients'::regclass and attname = name);
begin
    -- Living tables of another release may lack the column.
    if type is not null and pg_has_role(session_user, 'hims_writer', 'member') then
        return query execute format(
            'with found as (select id from patients where %I = $1::%s limit 1001)
             select id from found
              union
             select patient_id from patient_links where duplicate_id in (select id from found)
              union
             select duplicate_id from patient_links where patient_id in (select id from found)', name, type)
            using wanted;
    end if;
end $$;
-- The records of a patient: the one that survives, and those that were merged into it.
create function hims_identity.records_of(of_patient uuid) returns setof uuid
    language sql stable security definer rows 2 set search_path = hims, public, pg_temp as $$
    with survivor as (
        select coalesce((select patient_id from patient_links where duplicate_id = of_patient), of_patient) as id
    )
    select id from survivor where (select pg_has_role(session_user, 'hims_writer', 'member'))
    union all
    select l.duplicate_id from survivor s join patient_links l on l.patient_id = s.id
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
$$;
-- The positions of the events about a patient, and of the reads that showed the patient, after a position: by any of the
-- records that were merged with the patient's.
create function hims_identity.positions_about(of_patient uuid, after bigint, most integer) returns setof bigint
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    with records as (select id from hims_identity.records_of(of_patient) as id)
    select position
      from (select it.position
              from records r
             cross join lateral (select position from audit_logs a
                                  where a.patient_id = r.id and a.position > after
                                  order by position limit most) as it
             union
            -- The offset keeps PostgreSQL from passing over the whole audit in the order of positions.
            select it.position
              from records r
             cross join lateral (select position from audit_logs a
                                  where a.patients_shown @> jsonb_build_array(r.id) offset 0) as it
             where it.position > after) as found
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
     order by position
     limit most
$$;
create function hims_identity.consultations_found_by(q text) returns setof uuid
    language sql stable security definer rows 100 set search_path = hims, public, pg_temp as $$
    select id from consultations
     where (select pg_has_role(session_user, 'hims_writer', 'member'))
       and search @@ websearch_to_tsquery('simple', q)
$$;

-- The instant at which a clock on the wall of a time zone shows a time: a time that clocks skip means the first instant
-- after the gap; a time that they show twice means the earlier instant, or for the end of a span the later one. The
-- function wall_clock::instant_of of the program keeps the same rule.
create function hims_identity.instant_of(wall timestamp, zone text, is_end boolean) returns timestamptz
    language plpgsql immutable as $$
declare
    -- PostgreSQL reads a skipped time by the clock before the gap, and a time that comes twice as the later instant.
    later   timestamptz := wall at time zone zone;
    shown   timestamp   := later at time zone zone;
    before  timestamptz := later - interval '24 hours';
    -- The instant at which clocks show the time if they go as a day before.
    earlier timestamptz := (wall - ((before at time zone zone) - (before at time zone 'UTC'))) at time zone 'UTC';
begin
    if shown <> wall then
        return (select min(it) from generate_series(later - (shown - wall), later, interval '1 minute') as it
                 where it at time zone zone > wall);
    elsif not is_end and earlier < later and earlier at time zone zone = wall then
        return earlier;
    end if;
    return later;
end $$;

-- How long an amount that was due on a day has been open on another day.
create function hims_identity.ageing_bucket(due date, on_day date) returns text language sql immutable as $$
    select case
        when due is null or on_day <= due then 'not due'
        when on_day - due <= 30 then '1-30'
        when on_day - due <= 60 then '31-60'
        when on_day - due <= 90 then '61-90'
        when on_day - due <= 120 then '91-120'
        else 'over 120' end
$$;

-- The free slots of providers, of whom or of whose department the caller names at least one: where a provider works, is
-- not on leave, has no appointment, and holds nothing for somebody on the waiting list. A slot says nothing about anybody but the provider. Days are those of the
-- department's time zone; a span that is asked for begins and ends with an instant, or with a whole day.
create function hims_identity.free_slots(
    of_provider uuid, of_department uuid, from_day date, from_at timestamptz, to_day date, to_at timestamptz,
    minutes integer, of_type text, of_patient uuid, asked_at timestamptz, most integer
) returns table (
    provider_id uuid, department_id uuid, room_id uuid, starts_at timestamptz, ends_at timestamptz,
    local_start timestamp, time_zone text
) language plpgsql stable security definer rows 100
    -- PostgreSQL overestimates the rows of functions, and would compile the query, which takes longer than to run it.
    set jit = off set plan_cache_mode = force_generic_plan set search_path = hims, public, pg_temp as $$
#variable_conflict use_column
declare
    -- No day begins more than a day before that of UTC, and none ends more than a day after.
    reached timestamptz := greatest(coalesce(from_at, (from_day - 1)::timestamp at time zone 'UTC'), asked_at);
    bounded timestamptz := coalesce(to_at, (to_day + 2)::timestamp at time zone 'UTC');
    week    tstzrange;
    wide    tstzrange;  -- the week, and the longest slot that begins in the week
    found   integer := 0;
    added   integer;
begin
    if not pg_has_role(session_user, 'hims_writer', 'member') then
        return;
    end if;
    -- Week by week, since the first slots are usually enough. A slot takes eight hours at most.
    while reached < bounded and found < most loop
        week := tstzrange(reached, least(reached + interval '7 days', bounded));
        wide := tstzrange(lower(week), upper(week) + interval '8 hours');
        return query
        with places as (
            select it.provider_id, it.department_id, d.time_zone
              from (select s.provider_id, s.department_id from provider_schedules s
                     where coalesce(s.provider_id = of_provider, true)
                       and coalesce(s.department_id = of_department, true)
                    union
                    select e.provider_id, e.department_id from schedule_exceptions e
                     where coalesce(e.provider_id = of_provider, true)
                       and coalesce(e.department_id = of_department, true)
                   ) as it
              join users u on u.id = it.provider_id and u.is_active
              join departments d on d.id = it.department_id and d.is_active
        ), days as (
            select p.*, day::date as day
              from places p,
                   generate_series((lower(week) at time zone p.time_zone)::date::timestamp,
                                   upper(wide) at time zone p.time_zone, '1 day') as day
        ), hours as (
            -- What is said about a day: hours of its own, or else those of the week.
            select d.provider_id, d.department_id, d.time_zone, it.room_id,
                   coalesce(s.slot_minutes, 15) as slot_minutes,
                   asked_at + make_interval(mins => coalesce(s.minimum_notice_minutes, 0)) as earliest,
                   (asked_at at time zone d.time_zone)::date + coalesce(s.horizon_days, 180) as last_day,
                   d.day + it."from"::interval as opens_at, d.day + it.until::interval as closes_at
              from days d
              left join lateral (
                   select * from provider_schedules s
                    where s.provider_id = d.provider_id and s.department_id = d.department_id
                      and s.effective_from <= d.day and coalesce(s.effective_to >= d.day, true)
                    order by s.effective_from desc limit 1) as s on true
              left join schedule_exceptions e on e.provider_id = d.provider_id and e.department_id = d.department_id
                                             and e.date = d.day and e.status = 'active'
             cross join lateral (
                   select b."from", b.until, b.room_id, b.appointment_types
                     from jsonb_to_recordset(s.weekly)
                          as b (weekday integer, "from" text, until text, room_id uuid, appointment_types jsonb)
                    where e.id is null and b.weekday = extract(isodow from d.day)
                   union all
                   select h."from", h.until, null, null
                     from jsonb_to_recordset(e.hours) as h ("from" text, until text)) as it
              left join rooms r on r.id = it.room_id
             where (it.room_id is null or r.status = 'active')
               and (of_type is null or coalesce(jsonb_typeof(it.appointment_types), 'null') = 'null'
                    or it.appointment_types ? of_type)
        ), instants as (
            -- Each time once: most providers of a department begin and end at the same times.
            select it.*, hims_identity.instant_of(it.wall, it.time_zone, it.is_end) as instant
              from (select time_zone, opens_at as wall, false as is_end from hours
                    union
                    select time_zone, closes_at, true from hours) as it
        ), blocks as (
            select h.*, opening.instant as opens, closing.instant as closes,
                   make_interval(mins => h.slot_minutes) as step,
                   make_interval(mins => coalesce(minutes, h.slot_minutes)) as lasts
              from hours h
              join instants opening on opening.time_zone = h.time_zone and opening.wall = h.opens_at
                                   and not opening.is_end
              join instants closing on closing.time_zone = h.time_zone and closing.wall = h.closes_at and closing.is_end
             where opening.instant < closing.instant
        ), worked as (
            select b.provider_id, b.department_id, range_agg(tstzrange(b.opens, b.closes)) as spans
              from blocks b group by b.provider_id, b.department_id
        ), taken as (
            -- The conditions on the status are those of the exclusion constraints, whose indexes find the appointments
            -- and what is held for somebody on the waiting list; `offset 0` has them searched provider by provider and
            -- room by room.
            select it.provider_id, range_agg(it.span) as spans
              from (select l.provider_id, tstzrange(l.starts_at, l.ends_at) as span
                      from provider_leaves l
                     where l.provider_id in (select p.provider_id from places p) and l.status = 'active'
                       and l.starts_at < upper(wide) and l.ends_at > lower(wide)
                    union all
                    select p.provider_id, b.span
                      from (select distinct p.provider_id from places p) as p
                     cross join lateral (
                           select tstzrange(a.starts_at, a.ends_at) as span from appointments a
                            where a.provider_id = p.provider_id
                              and tstzrange(a.starts_at, a.ends_at) && wide
                              and a.status not in ('completed', 'cancelled', 'no_show') offset 0) as b
                    union all
                    select p.provider_id, b.span
                      from (select distinct p.provider_id from places p) as p
                     cross join lateral (
                           select tstzrange(w.offered_starts_at, w.offered_ends_at) as span from waitlist_entries w
                            where w.offered_provider_id = p.provider_id
                              and tstzrange(w.offered_starts_at, w.offered_ends_at) && wide
                              and w.status = 'offered' offset 0) as b) as it
             group by it.provider_id
        ), taken_rooms as (
            select r.room_id, range_agg(b.span) as spans
              from (select distinct b.room_id from blocks b where b.room_id is not null) as r
             cross join lateral (
                  (select tstzrange(a.starts_at, a.ends_at) as span from appointments a
                    where a.room_id = r.room_id and tstzrange(a.starts_at, a.ends_at) && wide
                      and a.room_id is not null and a.status not in ('completed', 'cancelled', 'no_show') offset 0)
                   union all
                  (select tstzrange(w.offered_starts_at, w.offered_ends_at) from waitlist_entries w
                    where w.offered_room_id = r.room_id
                      and tstzrange(w.offered_starts_at, w.offered_ends_at) && wide
                      and w.offered_room_id is not null and w.status = 'offered' offset 0)) as b
             group by r.room_id
        ), taken_patient as (
            -- Also by the records that were merged into that of the patient.
            select range_agg(b.span) as spans
              from (select of_patient as id
                    union all
                    select l.duplicate_id from patient_links l where l.patient_id = of_patient) as r
             cross join lateral (
                  (select tstzrange(a.starts_at, a.ends_at) as span from appointments a
                    where a.patient_id = r.id and tstzrange(a.starts_at, a.ends_at) && wide
                      and a.status not in ('completed', 'cancelled', 'no_show') offset 0)
                   union all
                  (select tstzrange(w.offered_starts_at, w.offered_ends_at) from waitlist_entries w
                    where w.patient_id = r.id and tstzrange(w.offered_starts_at, w.offered_ends_at) && wide
                      and w.status = 'offered' offset 0)) as b
        ), free as (
            -- The free spans of each block, in which slots begin that may reach into a block that follows.
            select b.*, unnest(w.spans * tstzmultirange(tstzrange(b.opens, b.closes + b.lasts))
                                 - coalesce(t.spans, '{}') - coalesce(r.spans, '{}')
                                 - coalesce((select p.spans from taken_patient p), '{}')) as span
              from blocks b
              join worked w on w.provider_id = b.provider_id and w.department_id = b.department_id
              left join taken t on t.provider_id = b.provider_id
              left join taken_rooms r on r.room_id = b.room_id
        )
        select distinct f.provider_id, f.department_id, f.room_id, slot, slot + f.lasts, slot at time zone f.time_zone,
               f.time_zone::text
          from free f,
               -- Slots begin at multiples of the step after the block's beginning.
               generate_series(f.opens + f.step * ceil(extract(epoch from lower(f.span) - f.opens)
                                                       / extract(epoch from f.step))::double precision,
                               least(upper(f.span) - f.lasts, f.closes - interval '1 second'), f.step) as slot
         where slot <@ week and slot >= f.earliest
           and (slot at time zone f.time_zone)::date >= coalesce(from_day, '-infinity')
           and (slot at time zone f.time_zone)::date <= coalesce(to_day, 'infinity')
           and (slot at time zone f.time_zone)::date <= f.last_day
         order by slot, f.provider_id, f.department_id, f.room_id
         limit most - found;
        get diagnostics added = row_count;
        found := found + added;
        reached := upper(week);
    end loop;
end $$;

-- The applied migrations, under the table name that the schema document gives.
create view public.schema_migrations as
select version::text as version, description, installed_on as applied_at, success from public._sqlx_migrations;
grant select on public.schema_migrations to hims_tables;

-- How the database works, for those who run it: in SQL for hims_owner, its members and superusers, over HTTP for callers
-- who may read all data, or how the hospital is run. Everybody else sees no row.
create function hims_identity.sees_statistics() returns boolean language sql stable
    return hims_identity.current_user_reads('all_data', 'operations') or pg_has_role(session_user, 'hims_owner', 'member');

-- What pg_stat_statements has counted in this database: nothing, if the extension is missing or its library is not
-- loaded. Statements of other roles are shown if hims_owner is a member of pg_read_all_stats.
create function public.statement_statistics()
returns table (query text, calls bigint, total_exec_time double precision, mean_exec_time double precision, rows bigint,
               shared_blks_hit bigint, shared_blks_read bigint, temp_blks_written bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    home name := (select extnamespace::regnamespace from pg_extension where extname = 'pg_stat_statements');
begin
    if home is null or not hims_identity.sees_statistics() then
        return;
    end if;
    return query execute format(
        'select s.query, s.calls, s.total_exec_time, s.mean_exec_time, s.rows, s.shared_blks_hit, s.shared_blks_read,
                s.temp_blks_written
           from %I.pg_stat_statements(true) s
          where s.dbid = (select oid from pg_database where datname = current_database())', home);
exception when object_not_in_prerequisite_state then
    return;
end $$;

-- The twenty statements that took the most time in all; times in milliseconds.
create view public.query_performance as
select query, calls, round(total_exec_time::numeric, 3) as total_exec_time,
       round(mean_exec_time::numeric, 3) as mean_exec_time, rows, shared_blks_hit, shared_blks_read, temp_blks_written
  from public.statement_statistics()
 order by statement_statistics.total_exec_time desc, query
 limit 20;

-- The tables and their dead rows, which updates and deletes leave until a vacuum: the more of them, the more often a table is
-- read past what is gone. bloat_ratio is the share of dead rows in percent. It is not the share of the file that is
-- free: after a vacuum, space that no row takes is counted nowhere here.
create view public.table_bloat as
select schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del, n_live_tup, n_dead_tup,
       round(n_dead_tup::numeric / nullif(n_live_tup + n_dead_tup, 0) * 100, 2) as bloat_ratio
  from pg_stat_user_tables
 where hims_identity.sees_statistics() and n_live_tup + n_dead_tup > 0
 order by bloat_ratio desc, schemaname, relname;

grant select on public.query_performance, public.table_bloat to hims_reader;

-- The caller's department, if the caller may read the patients of that department.
create function hims_identity.assigned_department_id() returns uuid language sql stable
    return case when hims_identity.current_user_reads('assigned_patients')
                then hims_identity.current_user_department_id() end;

-- Whether the statement lists the patients of the caller's department. The answer decides only how the patients are
-- looked up.
create function hims_identity.lists_assigned_patients() returns boolean language sql stable
    return hims_identity.setting('lists_assigned_patients') is not null;

-- The caller, if the caller reads charts of their own patients, and what they recorded.
create function hims_identity.assigned_user_id() returns uuid language sql stable
    return case when hims_identity.current_user_reads('assigned_patients') then hims_identity.current_user_id() end;

-- Protects a table by row-level security, which then applies to the table's owner, too. The policies let the owner and
-- the projector work on all rows; there is no policy for readers yet.
create function hims_identity.protect(protected regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', protected);
    execute format('alter table %s force row level security', protected);
    execute format('create policy owner_works on %s for all to %I using (true) with check (true)',
                   protected, current_user);
    execute format('create policy projector_works on %s for all to hims_projector using (true) with check (true)',
                   protected);
end $$;

-- Which patients' records are not open to every caller whose roles read such records: records that are restricted, and
-- those of patients who forbade the caller to see them. Few, and none in most hospitals. Every read asks this, so it is a
-- function of PL/pgSQL, whose plan a session keeps.
create function hims_identity.marked_patients() returns uuid[]
    language plpgsql stable security definer set search_path = hims, public, pg_temp as $$
begin
    if not pg_has_role(session_user, 'hims_writer', 'member') then
        return null;
    end if;
    return array(
        select id from patients where confidentiality <> 'N'
         union all
        select r.id from consents c cross join lateral hims_identity.records_of(c.patient_id) as r (id)
         where c.user_id = hims_identity.current_user_id() and c.scope = 'treatment' and c.provision = 'deny'
           and c.withdrawn_at is null);
end $$;

-- Whether a patient forbade the caller to see their records.
create function hims_identity.is_forbidden(of_patient uuid) returns boolean
    language plpgsql stable security definer set search_path = hims, public, pg_temp as $$
begin
    return exists (select from consents c
                    where c.user_id = hims_identity.current_user_id() and c.scope = 'treatment'
                      and c.provision = 'deny' and c.withdrawn_at is null
                      and c.patient_id in (select hims_identity.records_of(of_patient)));
end $$;

-- Whether the rows about a patient in a table are closed to the caller. They are open to those who took access in an
-- emergency, for that time, if a second person allowed it where the record is very restricted; to the patient; and, unless the patient forbade it, to those who treat the patient: who belong
-- to the care team, or saw or will see the patient as a provider. What the pharmacy or the laboratory needs for what it was
-- asked for is open to it in the tables that these words open, which `words` names among others. What the caller arranged
-- alone does not count: somebody else must have assigned the caller, made the appointment, prescribed or ordered.
create function hims_identity.is_closed(of_patient uuid, words text[]) returns boolean
    language plpgsql stable security definer set search_path = hims, public, pg_temp as $$
declare
    records uuid[] := array(select hims_identity.records_of(of_patient));
    me      uuid   := hims_identity.current_user_id();
begin
    return not (
        exists (select from own_patients where patient_id = of_patient)
        or exists (select from emergency_accesses e
                    where e.patient_id = any (records) and e.user_id = me and e.granted_at <= now() and e.ends_at > now()
                      and (e.seconded_by is not null
                           or not exists (select from patients where id = any (records) and confidentiality = 'V')))
        or not hims_identity.is_forbidden(of_patient)
           and (exists (select from care_team_assignments t
                         where t.patient_id = any (records) and t.user_id = me and t.created_by is distinct from me
                           and t.starts_at <= now() and coalesce(t.ends_at > now(), true))
                or exists (select from appointments a
                            where a.patient_id = any (records) and a.provider_id = me and a.created_by is distinct from me
                              and a.status <> 'cancelled')
                or exists (select from consultations c
                            where c.patient_id = any (records) and c.provider_id = me and c.created_by is distinct from me)
                or 'prescriptions' = any (words) and hims_identity.current_user_reads('prescriptions')
                   and exists (select from prescriptions p
                                where p.patient_id = any (records) and p.status not in ('pending', 'cancelled')
                                  and p.created_by is distinct from me)
                or 'lab_orders' = any (words) and hims_identity.current_user_reads('lab_orders')
                   and exists (select from lab_orders o
                                where o.patient_id = any (records) and o.status <> 'cancelled'
                                  and o.created_by is distinct from me)));
end $$;

-- The accesses in an emergency that the caller has at the moment, each with every record of its patient: [access, record].
-- Null if there is none, as nearly always.
create function hims_identity.emergencies() returns json
    language plpgsql stable security definer set search_path = hims, public, pg_temp as $$
begin
    return (select json_agg(json_build_array(e.id, r.id))
              from emergency_accesses e cross join lateral hims_identity.records_of(e.patient_id) as r (id)
             where e.user_id = hims_identity.current_user_id() and e.granted_at <= now() and e.ends_at > now());
end $$;

-- Whether a text names a patient whose record is closed to the caller, of these patients.
create function hims_identity.names_closed(told text, marked uuid[]) returns boolean
    language plpgsql stable as $$
begin
    return exists (select from regexp_matches(told, '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'g') as named (it)
                    where it[1]::uuid = any (marked) and hims_identity.is_closed(it[1]::uuid, '{audit_logs}'));
end $$;

-- Whether the caller wrote a notification or got it. What the hospital told somebody stays open to them, unless the patient
-- of whom it speaks forbade them to see the records.
create function hims_identity.was_told(notification uuid) returns boolean
    language sql stable security definer set search_path = hims, public, pg_temp as $$
    select exists (select from notifications n
                    where n.id = notification
                      and (n.created_by = hims_identity.current_user_id()
                           or exists (select from notification_recipients r
                                       where r.notification_id = n.id
                                         and r.recipient_id = hims_identity.current_user_id()))
                      and not hims_identity.is_forbidden(n.subject_patient_id))
$$;

-- The column of a table with the patient whom a row is about; null for a table that says nothing about patients. A user
-- may be a patient, but the row of a user says nothing about the patient.
create function hims_identity.patient_column(of_table regclass) returns name language sql stable
    return (select case relname when 'patients' then 'id'::name when 'users' then null
                   else (select attname from pg_attribute
                          where attrelid = of_table and attname in ('patient_id', 'subject_patient_id')
                          order by attname limit 1) end
              from pg_class where oid = of_table);

-- Which of these rows of some tables are about a patient whose record is closed to the caller.
create function hims_identity.closed_among(tables regclass[], ids uuid[]) returns setof uuid
    language plpgsql stable security definer set search_path = hims, public, pg_temp as $$
declare
    marked   uuid[] := hims_identity.marked_patients();
    of_table regclass;
    about    name;
    words    text;
begin
    if cardinality(marked) > 0 then
        foreach of_table in array tables loop
            about := hims_identity.patient_column(of_table);
            continue when about is null;
            select obj_description(oid, 'pg_policy') into words
              from pg_policy where polrelid = of_table and polname = 'reader_reads';
            return query execute format(
                'select id from %1$s where id = any($1) and %2$I = any($2) and hims_identity.is_closed(%2$I, $3) %3$s',
                of_table, about,
                case when of_table = to_regclass('notifications') then 'and not hims_identity.was_told(id)' end)
                using ids, marked, string_to_array(words, ', ');
        end loop;
    end if;
end $$;

-- Protects a read table and decides who reads which of its rows, by classes of readers (docs/adr/0017). These classes
-- read every row:
--     everybody          every caller; for tables that say nothing about a person
--     clinical_records   callers whose role has this word in its permission to read; likewise any other such word
-- These classes read some rows, whatever else the caller may read:
--     own                patients with the word own_records: the rows about themselves, also under a merged record
--     oneself            users: the rows about themselves
--     provider           providers: the rows that name them as the provider
--     department         callers with the word assigned_patients: the rows of their department
--     assigned           callers with the word assigned_patients: the rows about patients who visit their department from
--                        yesterday to tomorrow, are seen there, or to whom the caller is assigned or has access in an
--                        emergency, by any of the patients' records
--     recorder           callers with the word assigned_patients: the rows that they recorded
--     assigned_patient   the same, for the table of the patients themselves; a statement that lists the patients of a
--                        department looks all of them up at once
--     prescribed         callers with the word prescriptions: the rows about patients who have a prescription that was
--                        sent to the pharmacy
--     tested             callers with the word lab_orders: the rows about patients who have a laboratory order that was
--                        not cancelled
--     treating           patients with the word own_records: the users who treat them
--     with TABLE         callers who may read the row of that table whose id is in the column after `by`
--     of TABLE           callers who may read a row of that table whose column after `by` has the id of this row
-- A class may be followed by `by COLUMN`, if the id of the patient, user, provider, department or recorder is in a column
-- other than patient_id, user_id, provider_id, department_id or recorded_by, and by `where CONDITION`, to open only rows that meet the
-- condition. Callers with the word all_data read every row of every table.
--
-- Cheap conditions are checked first: permission words once in a statement, then columns of the row, then other tables.
-- The comment on the policy lists the permission words of which a reader needs one, the same words as in the table's
-- declaration in the program.
create function hims_identity.readable(protected regclass, variadic classes text[]) returns void language plpgsql as $$
declare
    relation name   := (select relname from pg_class where oid = protected);
    words    text[] := '{all_data}';  -- permission words, each of which opens every row
    columns  text[] := '{}';          -- conditions on columns of the row
    lookups  text[] := '{}';          -- conditions on other tables
    asking   text[] := '{all_data}';  -- permission words, of which a reader needs one
    class    text;
    part     text[];
    known    record;
    rows     text;
    about    name   := hims_identity.patient_column(protected);
    -- Conditions that also open rows about patients whose records are closed.
    exempt   text[] := case relation when 'notifications' then array['hims_identity.was_told(notifications.id)'] end;
begin
    foreach class in array classes loop
        part := regexp_match(class, '^(with |of )?(\w+)(?: by (\w+))?(?: where (.+))?$');
        select * into known from (values
            ('everybody', 'everybody', 'id', false, 'true'),
            ('own', 'own_records', 'patient_id', false, '%2$I = any (array(select patient_id from own_patients))'),
            ('oneself', 'everybody', 'user_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('provider', 'clinical_records', 'provider_id', false, '%2$I = (select hims_identity.current_user_id())'),
            ('recorder', 'assigned_patients', 'recorded_by', false,
                '%2$I = (select hims_identity.assigned_user_id())'),
            ('department', 'assigned_patients', 'department_id', false,
                '%2$I = (select hims_identity.assigned_department_id())'),
            -- The planner may look up the patient of each row, or first all patients of the department, who are few.
            ('assigned', 'assigned_patients', 'patient_id', true,
                'exists (select from assigned_patients it where it.patient_id = %1$I.%2$I)'),
            ('assigned_patient', 'assigned_patients', 'id', true,
                'case when (select hims_identity.lists_assigned_patients())
                      then %2$I in (select patient_id from all_assigned_patients)
                      else exists (select from assigned_patients it where it.patient_id = %1$I.%2$I) end'),
            ('treating', 'own_records', 'id', true,
                'exists (select from treating_users it where it.user_id = %1$I.%2$I)'),
            -- The limit makes the planner look up the patient of each row: nearly all patients have a prescription, and
            -- a laboratory order.
            ('prescribed', 'prescriptions', 'patient_id', true,
                '(select true from prescribed_patients it where it.patient_id = %1$I.%2$I limit 1)'),
            ('tested', 'lab_orders', 'patient_id', true,
                '(select true from tested_patients it where it.patient_id = %1$I.%2$I limit 1)')
        ) as it (class, word, id, looks_elsewhere, rows) where it.class = part[2] and part[1] is null;
        if part[1] is not null then
            select null as class, obj_description(oid, 'pg_policy') as word, null as id, true as looks_elsewhere,
                   case part[1] when 'with ' then 'exists (select from %3$I it where it.id = %1$I.%2$I)'
                                else 'exists (select from %3$I it where it.%2$I = %1$I.id)' end as rows
              into strict known from pg_policy where polrelid = part[2]::regclass and polname = 'reader_reads';
        elsif part is null or known is null and part[3] is not null then
            raise exception '% cannot be read by "%": no class of readers is written so', protected, class;
        end if;
        asking := asking || string_to_array(coalesce(known.word, part[2]), ', ');
        if known is null and part[4] is null then
            words := words || part[2];
            if class in ('audit_logs', 'disclosures') then
                exempt := exempt || format('(select hims_identity.current_user_reads(%L))', class);
            end if;
            continue;
        end if;
        rows := coalesce(format(known.rows, relation, coalesce(part[3], known.id), part[2]),
                         format('(select hims_identity.current_user_reads(%L))', part[2]));
        if part[4] is not null then
            rows := format('((%s) and %s)', part[4], rows);
        end if;
        if class = 'oneself' and 'audit_logs' = any (classes) then
            exempt := exempt || rows;
        end if;
        if known.looks_elsewhere then
            lookups := lookups || rows;
        else
            columns := columns || rows;
        end if;
    end loop;
    rows := format('(select hims_identity.current_user_reads(%s))',
                   (select string_agg(quote_literal(it), ', ') from unnest(words) as it));
    rows := case when 'true' = any (columns) then 'true' else array_to_string(rows || columns || lookups, ' or ') end;
    asking := case when 'everybody' = any (asking) then '{everybody}'
                   else array(select distinct it from unnest(asking) as it order by it) end;
    -- A record that is closed to the caller is so in every table that says something about the patient. What auditors read,
    -- and what was disclosed, is open to those whose words are for that, and to the users whom it is about.
    if about is not null and rows <> 'true' then
        rows := format('(%1$s) and (%2$I.%3$I is null or %2$I.%3$I <> all ((select hims_identity.marked_patients())::uuid[])
                        or not hims_identity.is_closed(%2$I.%3$I, %5$L)%4$s)', rows, relation, about,
                       (select string_agg(' or ' || it, '') from unnest(exempt) as it),
                       array(select it from unnest(asking) as it where it in ('prescriptions', 'lab_orders')));
    end if;
    -- The audit also names patients beside the one whom a row is about: whom a list showed, and who was asked for.
    if relation = 'audit_logs' then
        rows := format('%s and (cardinality((select hims_identity.marked_patients())) = 0
                        or (select hims_identity.current_user_reads(''audit_logs''))
                        or not hims_identity.names_closed(concat_ws('' '', resource_id, patients_shown, old_values, new_values),
                                                          (select hims_identity.marked_patients())))', rows);
    end if;
    perform hims_identity.protect(protected);
    execute format('create policy reader_reads on %s for select to hims_reader using (%s)', protected, rows);
    execute format('comment on policy reader_reads on %s is %L', protected,
                   array_to_string(asking, ', '));
    execute format('grant select on %s to hims_reader', protected);
    execute format('grant select, insert, update, delete on %s to hims_projector', protected);
end $$;

-- Hides columns of a readable table from readers: a query of a reader that names such a column fails.
create function hims_identity.hide(protected regclass, variadic hidden text[]) returns void language plpgsql as $$
begin
    if (select count(*) from pg_attribute where attrelid = protected and attname = any (hidden))
        <> cardinality(hidden) then
        raise exception '% does not have all the columns %', protected, hidden;
    end if;
    execute format('revoke select on %s from hims_reader', protected);
    execute (select format('grant select (%s) on %s to hims_reader', string_agg(quote_ident(attname), ', '), protected)
               from pg_attribute
              where attrelid = protected and attnum > 0 and not attisdropped and attname <> all (hidden));
end $$;

-- Lets a view see all rows of its tables, so that policies can query the view. The view is given to the projector: with
-- the rights of the tables' owner, who also works as a reader, the view would be subject to the very policies that
-- query the view. Readers can read the view, so the view must show only rows that concern the caller.
create function hims_identity.look_at_all_rows(looking regclass) returns void language plpgsql as $$
declare
    home regnamespace := (select relnamespace from pg_class where oid = looking);
begin
    execute format('grant create on schema %s to hims_projector', home);
    execute format('alter view %s owner to hims_projector', looking);
    execute format('revoke create on schema %s from hims_projector', home);
    execute format('grant select on %s to hims_reader', looking);
end $$;

-- The functions that search for readers work with the rights of the owner of the read tables, who sees all rows.
do $$
declare
    searching regprocedure;
begin
    grant create on schema hims_identity to hims_tables;
    for searching in
        select oid from pg_proc where pronamespace = 'hims_identity'::regnamespace and prosecdef
    loop
        execute format('alter function %s owner to hims_tables', searching);
    end loop;
    revoke create on schema hims_identity from hims_tables;
end $$;
