with asked as (
    select (it ->> 'as_of')::timestamptz as as_of,
           make_interval(hours => (it ->> 'older_than_hours')::integer) as older_than
      from (values ($1::jsonb)) as given (it)
)
select c.id as consultation_id, c.provider_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as provider,
       c.completed_at, floor(extract(epoch from asked.as_of - c.completed_at) / 3600)::bigint as hours
  from asked
  join consultations c on c.status = 'completed' and c.signed_at is null
                      and c.completed_at <= asked.as_of - asked.older_than
  left join users u on u.id = c.provider_id
 order by c.completed_at, c.id
