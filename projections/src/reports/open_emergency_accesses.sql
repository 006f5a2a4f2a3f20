with asked as (
    select (it ->> 'as_of')::timestamptz as as_of,
           make_interval(hours => (it ->> 'older_than_hours')::integer) as older_than
      from (values ($1::jsonb)) as given (it)
)
-- Who took an access sees it in the table, too. The report is for those who review.
select e.id as emergency_access_id, e.user_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as user_name,
       r.display_name as role, e.patient_id, e.reason, e.granted_at, e.ends_at,
       floor(extract(epoch from asked.as_of - e.granted_at) / 3600)::bigint as hours
  from asked
  join emergency_accesses e on e.review = 'open' and e.granted_at <= asked.as_of - asked.older_than
                           and hims_identity.current_user_reads('audit_logs', 'all_data')
  left join users u on u.id = e.user_id
  left join user_roles r on r.id = u.role_id
 order by e.granted_at, e.id
