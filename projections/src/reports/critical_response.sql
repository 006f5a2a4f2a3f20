with asked as (
    select hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until,
           (it ->> 'as_of')::timestamptz as as_of
      from (values ($1::jsonb)) as given (it)
)
-- The alarm of a result is about each critical value of the last revision that has one. An alarm that was withdrawn,
-- because the values were corrected to harmless ones or no longer count, stays with what was done until then.
select o.order_number, r.test_name as test, c.component_name as component,
       concat(c.value_comparator, c.value_numeric) as value, c.unit, c.flag,
       r.critical_raised_at as raised_at, r.critical_told_at as told_at, r.critical_acknowledged_at as acknowledged_at,
       r.critical_withdrawn_at as withdrawn_at,
       floor(extract(epoch from coalesce(r.critical_acknowledged_at, r.critical_withdrawn_at, asked.as_of)
                                - r.critical_raised_at) / 60)::bigint as minutes,
       r.critical_acknowledged_at is null and r.critical_withdrawn_at is null as is_open, r.critical_level::bigint as level,
       nullif(concat_ws(' ', u.first_name, u.last_name), '') as acknowledged_by, r.patient_id
  from asked
  join lab_results r on r.critical_raised_at >= asked.from_at and r.critical_raised_at < asked.until
  join lab_result_components c on c.lab_result_id = r.id and c.flag in ('critical_low', 'critical_high')
                              and c.revision = (
                                  select max(alarming.revision) from lab_result_components alarming
                                   where alarming.lab_result_id = r.id
                                     and alarming.flag in ('critical_low', 'critical_high'))
  left join lab_orders o on o.id = r.lab_order_id
  left join users u on u.id = r.critical_acknowledged_by
 order by r.critical_raised_at, r.id, c.sequence
