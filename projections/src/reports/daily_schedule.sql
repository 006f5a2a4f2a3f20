with asked as (
    select (it ->> 'date')::date as day, (it ->> 'department')::uuid as department_id,
           (it ->> 'provider')::uuid as provider_id
      from (values ($1::jsonb)) as given (it)
)
-- The day and the time of an appointment are stored as the clocks of its department show them.
select a.scheduled_time as time, a.duration_minutes::bigint as minutes,
       nullif(concat_ws(' ', p.first_name, p.last_name), '') as patient, p.mrn,
       nullif(concat_ws(' ', u.first_name, u.last_name), '') as provider, r.room_number as room,
       a.appointment_type as type, a.status, a.insurance_verified, a.patient_id
  from asked
  join appointments a on a.scheduled_date = asked.day and a.status <> 'cancelled'
                     and coalesce(a.department_id = asked.department_id, asked.department_id is null)
                     and coalesce(a.provider_id = asked.provider_id, true)
  left join patients p on p.id = a.patient_id
  left join users u on u.id = a.provider_id
  left join rooms r on r.id = a.room_id
 order by u.last_name collate "C", u.first_name collate "C", a.provider_id, a.starts_at, a.id
