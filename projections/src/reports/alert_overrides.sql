with asked as (
    select hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
)
-- The alerts that a prescriber saw were recorded with the prescription. Those that came up later, when the prescription
-- was dispensed, are decided by the pharmacist.
select p.provider_id, nullif(concat_ws(' ', u.first_name, u.last_name), '') as provider, a.kind, a.severity,
       count(*) as alerts, count(*) filter (where a.is_overridden) as overridden,
       round(100.0 * count(*) filter (where a.is_overridden) / count(*), 1) as rate
  from asked
  join prescriptions p on p.created_at >= asked.from_at and p.created_at < asked.until
  join prescription_alerts a on a.prescription_id = p.id and a.created_at = p.created_at
  left join users u on u.id = p.provider_id
 group by p.provider_id, u.last_name, u.first_name, a.kind, a.severity
 order by u.last_name collate "C", u.first_name collate "C", p.provider_id, a.kind collate "C",
          array_position(array['contraindicated', 'major', 'moderate', 'minor', 'information'], a.severity::text)
