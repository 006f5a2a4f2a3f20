-- Fills the read tables of an empty hospital with a year of bookings: {providers} providers of a department, who see a
-- patient every half an hour in nine of ten cases, each in a room of their own.
-- Rows are written straight into the tables, by a superuser: no events, and no trigger that would check what is known.
set local session_replication_role = replica;
set local search_path = hims, public;

-- The key of the nth row of a kind.
create function pg_temp.key(kind integer, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

insert into departments (id, code, name, time_zone, is_active, version, created_at, updated_at)
values (pg_temp.key(2, 0), 'DEPT', 'Department', 'America/New_York', true, 1, now(), now());

insert into users (id, email, password_hash, first_name, last_name, role_id, department_id, is_active,
                   is_email_verified, must_change_password, has_second_factor, is_service_account, version,
                   created_at, updated_at)
select pg_temp.key(3, n), 'provider' || n || '@slots.example', '!', 'Given' || n, 'Family' || n, pg_temp.key(1, 1),
       pg_temp.key(2, 0), true, true, false, false, false, 1, now(), now()
  from generate_series(0::bigint, {providers} - 1) n;

insert into rooms (id, department_id, room_number, room_type, capacity, status, version, created_at, updated_at)
select pg_temp.key(4, n), pg_temp.key(2, 0), 'R' || n, 'exam', 1, 'active', 1, now(), now()
  from generate_series(0::bigint, {providers} - 1) n;

insert into provider_schedules (id, provider_id, department_id, effective_from, weekly, slot_minutes,
                                minimum_notice_minutes, horizon_days, version, created_at, updated_at)
select pg_temp.key(12, n), pg_temp.key(3, n), pg_temp.key(2, 0), current_date - 100,
       (select jsonb_agg(jsonb_build_object('weekday', weekday, 'from', opens, 'until', closes,
                                            'room_id', pg_temp.key(4, n), 'appointment_types', null))
          from generate_series(1, 5) weekday, (values ('08:00', '12:00'), ('13:00', '17:00')) as it (opens, closes)),
       15, 60, 730, 1, now(), now()
  from generate_series(0::bigint, {providers} - 1) n;

insert into appointments (id, patient_id, provider_id, department_id, room_id, appointment_type, scheduled_date,
                          scheduled_time, duration_minutes, time_zone, starts_at, ends_at, status, priority,
                          outside_hours, version, created_at, updated_at)
select pg_temp.key(7, nth * {providers} + n), pg_temp.key(5, nth * {providers} + n), pg_temp.key(3, n),
       pg_temp.key(2, 0), pg_temp.key(4, n), 'follow_up', wall::date, wall::time, 30, 'America/New_York',
       wall at time zone 'America/New_York', (wall at time zone 'America/New_York') + interval '30 minutes',
       'scheduled', 'normal', false, 1, now(), now()
  from generate_series(0::bigint, {providers} - 1) n,
       generate_series(current_date::timestamp, current_date + interval '1 year', '30 minutes')
           with ordinality as it (wall, nth)
 where extract(isodow from wall) < 6 and extract(hour from wall) in (8, 9, 10, 11, 13, 14, 15, 16)
   and (nth * 7919 + n * 104729) % 10 > 0;
