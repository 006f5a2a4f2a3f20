with asked as (
    select (it ->> 'patient')::uuid as patient_id,
           hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
), survivors as (
    select coalesce(l.patient_id, asked.patient_id) as id
      from asked
      left join patient_links l on l.duplicate_id = asked.patient_id
), records as (
    select id from survivors
    union all
    select l.duplicate_id from survivors s join patient_links l on l.patient_id = s.id
), about as (
    select a.position from records join audit_logs a on a.patient_id = records.id
    union
    select a.position from records join audit_logs a on a.patients_shown @> jsonb_build_array(records.id)
)
select a.position, a."timestamp" as time, a.user_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as user_name,
       coalesce(r.display_name, a.role) as role, a.purpose_of_use, a.action,
       coalesce(a.new_values ->> 'source', a.resource_type) as resource, a.resource_id, a.patient_id, a.success,
       host(a.ip_address) as address,
       (select e.id from emergency_accesses e
         where e.user_id = a.user_id and a."timestamp" between e.granted_at and e.ends_at
           and e.patient_id in (select id from records)
         order by e.granted_at, e.id limit 1) as emergency_access_id
  from asked
 cross join about
  join audit_logs a on a.position = about.position and coalesce(a."timestamp" >= asked.from_at, true)
                   and coalesce(a."timestamp" < asked.until, true)
  left join users u on u.id = a.user_id
  left join user_roles r on r.name = a.role
 order by a.position, a.id
