with asked as (
    -- Who reads only some appointments would compare these with all hours that are offered.
    select (it ->> 'from')::date as from_day, (it ->> 'to')::date as to_day,
           (it ->> 'department')::uuid as department_id
      from (values ($1::jsonb)) as given (it)
     where hims_identity.current_user_reads('all_appointments', 'all_data')
), places as (
    select it.provider_id, it.department_id, d.time_zone
      from asked
     cross join (select provider_id, department_id from provider_schedules
                 union
                 select provider_id, department_id from schedule_exceptions) as it
      join departments d on d.id = it.department_id
     where coalesce(it.department_id = asked.department_id, true)
), days as (
    select p.*, day::date as day
      from asked
     cross join places p
     cross join generate_series(asked.from_day::timestamp, asked.to_day::timestamp, interval '1 day') as day
), hours as (
    -- What is said about a day: hours of its own, or else those of the week, as for free slots.
    select d.provider_id, d.department_id, d.time_zone,
           d.day + it."from"::interval as opens_at, d.day + it.until::interval as closes_at
      from days d
      left join lateral (
           select s.weekly from provider_schedules s
            where s.provider_id = d.provider_id and s.department_id = d.department_id
              and s.effective_from <= d.day and coalesce(s.effective_to >= d.day, true)
            order by s.effective_from desc limit 1) as s on true
      left join schedule_exceptions e on e.provider_id = d.provider_id and e.department_id = d.department_id
                                     and e.date = d.day and e.status = 'active'
     cross join lateral (
           select b."from", b.until
             from jsonb_to_recordset(s.weekly) as b (weekday integer, "from" text, until text)
            where e.id is null and b.weekday = extract(isodow from d.day)
           union all
           select h."from", h.until from jsonb_to_recordset(e.hours) as h ("from" text, until text)) as it
), instants as (
    -- Each time once: most providers of a department begin and end at the same times.
    select it.*, hims_identity.instant_of(it.wall, it.time_zone, it.is_end) as instant
      from (select time_zone, opens_at as wall, false as is_end from hours
            union
            select time_zone, closes_at, true from hours) as it
), worked as (
    select h.provider_id, h.department_id, range_agg(tstzrange(opening.instant, closing.instant)) as spans
      from hours h
      join instants opening on opening.time_zone = h.time_zone and opening.wall = h.opens_at and not opening.is_end
      join instants closing on closing.time_zone = h.time_zone and closing.wall = h.closes_at and closing.is_end
     where opening.instant < closing.instant
     group by h.provider_id, h.department_id
), away as (
    select provider_id, range_agg(tstzrange(starts_at, ends_at)) as spans
      from provider_leaves where status = 'active' group by provider_id
), parts as (
    select w.provider_id, w.department_id, 0 as booked, 0 as no_show,
           extract(epoch from upper(span) - lower(span)) / 60 as offered
      from worked w
      left join away on away.provider_id = w.provider_id
      -- A provider who was away all the time has a row, too.
      left join lateral unnest(w.spans - coalesce(away.spans, '{}')) as span on true
    union all
    select a.provider_id, a.department_id, case when a.status = 'no_show' then 0 else a.duration_minutes end,
           case when a.status = 'no_show' then a.duration_minutes else 0 end, 0
      from asked
      join appointments a on a.scheduled_date between asked.from_day and asked.to_day and a.status <> 'cancelled'
                         and coalesce(a.department_id = asked.department_id, asked.department_id is null)
), summed as (
    select provider_id, department_id, sum(booked) as booked, sum(no_show) as no_show,
           round(coalesce(sum(offered), 0))::bigint as offered
      from parts
     group by provider_id, department_id
)
select s.provider_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as provider,
       d.name as department, s.booked as booked_minutes, s.no_show as no_show_minutes, s.offered as offered_minutes,
       round(100.0 * s.booked / nullif(s.offered, 0), 1) as utilisation
  from summed s
  left join users u on u.id = s.provider_id
  left join departments d on d.id = s.department_id
 order by u.last_name collate "C", u.first_name collate "C", s.provider_id, d.name collate "C", s.department_id
