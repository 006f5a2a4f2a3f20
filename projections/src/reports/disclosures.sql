with asked as (
    select (it ->> 'patient')::uuid as patient_id,
           hims_identity.instant_of((it ->> 'today')::date - make_interval(years => (it ->> 'years')::integer),
                                    it ->> 'time_zone', false) as from_at
      from (values ($1::jsonb)) as given (it)
), survivors as (
    select coalesce(l.patient_id, asked.patient_id) as id
      from asked
      left join patient_links l on l.duplicate_id = asked.patient_id
), records as (
    select id from survivors
    union all
    select l.duplicate_id from survivors s join patient_links l on l.patient_id = s.id
)
select d.disclosed_at, d.recipient_name as recipient, d.recipient_address as address, d.description, d.purpose,
       d.statement, d.patient_id, d.id as disclosure_id
  from asked
 cross join records
  join disclosures d on d.patient_id = records.id and d.disclosed_at >= asked.from_at and d.status = 'recorded'
 order by d.disclosed_at, d.id
