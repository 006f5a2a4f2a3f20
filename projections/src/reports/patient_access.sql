with asked as (
    select (it ->> 'patient')::uuid as patient_id,
           hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
)
select a.position, a."timestamp" as time, a.user_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as user_name,
       r.display_name as role, a.action, a.resource_type, a.resource_id, a.patient_id, a.success,
       host(a.ip_address) as address
  from asked
 cross join hims_identity.positions_about(asked.patient_id, 0, 2147483647) as about (position)
  join audit_logs a on a.position = about.position and coalesce(a."timestamp" >= asked.from_at, true)
                   and coalesce(a."timestamp" < asked.until, true)
  left join users u on u.id = a.user_id
  left join user_roles r on r.id = u.role_id
 order by a.position, a.id
