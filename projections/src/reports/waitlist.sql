with asked as (
    select hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
), parts as (
    -- What became of the entries that were begun in the span. The appointment of an entry was made when the patient
    -- accepted an offer.
    select coalesce(e.department_id, u.department_id) as department_id, 1 as joined,
           (e.offers > 0)::integer as offered,
           (e.status = 'fulfilled')::integer as accepted, (e.status = 'lapsed')::integer as lapsed,
           extract(epoch from a.created_at - e.joined_at) / 86400 as days, 0 as freed, 0 as filled
      from asked
      join waitlist_entries e on e.joined_at >= asked.from_at and e.joined_at < asked.until
      left join users u on u.id = e.provider_id
      left join appointments a on a.id = e.appointment_id
    union all
    -- What was cancelled in the span at least two hours before, and whether somebody else came then. An appointment
    -- takes eight hours at most.
    select c.department_id, 0, 0, 0, 0, null, 1, (exists (
               select from appointments a
                where a.provider_id = c.provider_id and a.status <> 'cancelled' and a.starts_at < c.ends_at
                  and a.ends_at > c.starts_at and a.starts_at > c.starts_at - interval '8 hours'))::integer
      from asked
      join appointments c on c.status = 'cancelled' and c.cancelled_at >= asked.from_at and c.cancelled_at < asked.until
                         and c.starts_at >= c.cancelled_at + interval '2 hours' and c.starts_at > asked.from_at
)
select p.department_id, d.name as department, sum(p.joined) as joined, sum(p.offered) as offered,
       sum(p.accepted) as accepted, sum(p.lapsed) as lapsed,
       round(percentile_cont(0.5) within group (order by p.days)::numeric, 1) as median_days,
       sum(p.freed) as freed, sum(p.filled) as filled
  from parts p
  left join departments d on d.id = p.department_id
 group by p.department_id, d.name
 order by d.name collate "C", p.department_id
