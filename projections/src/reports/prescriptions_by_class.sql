with asked as (
    select hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until,
           it ->> 'by' as by, it ->> 'time_zone' as time_zone
      from (values ($1::jsonb)) as given (it)
), written as (
    -- A person whose record was merged into another one is one patient.
    select coalesce(l.patient_id, i.patient_id) as patient_id, i.quantity, i.quantity_unit, m.drug_class,
           case when asked.by = 'provider' then p.provider_id end as group_id,
           case when asked.by = 'month' then to_char(p.created_at at time zone asked.time_zone, 'YYYY-MM') end as month
      from asked
      join prescriptions p on p.created_at >= asked.from_at and p.created_at < asked.until
      join prescription_items i on i.prescription_id = p.id and i.status <> 'cancelled'
      join medications m on m.id = i.medication_id
      left join patient_links l on l.duplicate_id = i.patient_id
)
-- Quantities of different units cannot be added up.
select w.group_id, coalesce(w.month, nullif(concat_ws(' ', u.first_name, u.last_name), '')) as group_name,
       w.drug_class, count(*) as items, count(distinct w.patient_id) as patients, sum(w.quantity) as quantity,
       w.quantity_unit as unit
  from written w
  left join users u on u.id = w.group_id
 group by w.group_id, w.month, u.last_name, u.first_name, w.drug_class, w.quantity_unit
 order by w.month collate "C", u.last_name collate "C", u.first_name collate "C", w.group_id,
          w.drug_class collate "C", w.quantity_unit collate "C"
