with asked as (
    select (it ->> 'from')::date as from_day, (it ->> 'to')::date as to_day, it ->> 'by' as by,
           (it ->> 'as_of')::timestamptz as as_of
      from (values ($1::jsonb)) as given (it)
), visits as (
    -- An appointment of the span that has not begun yet cannot be missed yet.
    select a.status, coalesce(a.cancelled_at > a.starts_at - interval '24 hours', false) as is_late,
           case asked.by when 'provider' then a.provider_id when 'department' then a.department_id end as group_id,
           case when asked.by = 'type' then a.appointment_type end as type,
           case when asked.by = 'weekday' then extract(isodow from a.scheduled_date)::integer end as weekday
      from asked
      join appointments a on a.scheduled_date between asked.from_day and asked.to_day and a.starts_at <= asked.as_of
), counted as (
    select group_id, type, weekday,
           count(*) filter (where status = 'no_show') as no_show,
           count(*) filter (where status in ('no_show', 'checked_in', 'in_progress', 'completed')) as n,
           count(*) filter (where status = 'cancelled') as cancelled,
           count(*) filter (where status = 'cancelled' and is_late) as cancelled_late
      from visits
     group by group_id, type, weekday
), named as (
    select c.*, coalesce(nullif(concat_ws(' ', u.first_name, u.last_name), ''), d.name, c.type,
                         (array['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday',
                                'Sunday'])[c.weekday]) as group_name
      from counted c
      left join users u on u.id = c.group_id
      left join departments d on d.id = c.group_id
)
select group_id, group_name, no_show, n, round(100.0 * no_show / nullif(n, 0), 1) as rate, cancelled, cancelled_late
  from named
 order by weekday, group_name collate "C", group_id
