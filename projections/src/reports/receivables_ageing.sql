with asked as (
    select (it ->> 'on')::date as day, it ->> 'time_zone' as time_zone
      from (values ($1::jsonb)) as given (it)
), invoices as (
    select id, currency, due_date, insurance_due, balance_amount - insurance_due as patient_due
      from billing_records
     where status in ('billed', 'partially_paid')
), claims as (
    select c.id, c.billing_record_id, ip.payer_id, ip.priority, c.submitted_at, c.created_at, i.insurance_due,
           -- What the claim asks for the lines that the payer has not decided on: the charge, less what earlier payers
           -- paid and lowered. An appeal opens the lines again that the payer refused.
           (select coalesce(sum(greatest((line ->> 'charge')::numeric - coalesce(earlier.amount, 0), 0)), 0)
              from jsonb_array_elements(c.lines) as line
             cross join lateral (
                   select sum((prior ->> 'paid')::numeric + coalesce(lowered.amount, 0)) as amount
                     from jsonb_array_elements(line -> 'prior') as prior
                    cross join lateral (
                          select sum((it ->> 'amount')::numeric) as amount
                            from jsonb_array_elements(prior -> 'adjustments') as it
                           where it ->> 'group' in ('CO', 'PI')
                              or it ->> 'group' = 'OA' and it ->> 'reason' is distinct from '23') as lowered
                   ) as earlier
              left join lateral (
                   select (said ->> 'paid')::numeric as paid
                     from claim_payments p, jsonb_array_elements(p.adjustments) as said
                    where p.insurance_claim_id = c.id and not p.is_reversal and said -> 'line' = line -> 'line'
                      and not exists (select from claim_payments back where back.reverses_id = p.id)
                    order by p.posted_at desc, p.id desc limit 1) as answer on true
             where answer.paid is null or c.status = 'appealed' and answer.paid = 0) as open_amount
      from invoices i
      join insurance_claims c on c.billing_record_id = i.id and c.frequency_code <> '8'
                             and c.status in ('draft', 'submitted', 'accepted', 'pending', 'partially_paid', 'appealed')
      join insurance_policies ip on ip.id = c.insurance_policy_id
     where i.insurance_due > 0
), ranked as (
    -- Several claims for one invoice share what payers owe: the first payer owes what is asked of it, the last the rest.
    select *, coalesce(sum(open_amount) over (earlier rows between unbounded preceding and 1 preceding), 0) as before,
           lead(id) over earlier is null as is_last
      from claims
    window earlier as (partition by billing_record_id order by priority, created_at, id)
), parts as (
    select i.id, i.currency, 'patient' as party, null::uuid as payer_id,
           hims_identity.ageing_bucket(i.due_date, asked.day) as bucket, i.patient_due as amount
      from asked cross join invoices i
    union all
    select r.billing_record_id, i.currency, 'payer', r.payer_id,
           -- A payer owes from the day on which the claim was sent.
           hims_identity.ageing_bucket((r.submitted_at at time zone asked.time_zone)::date, asked.day),
           case when r.is_last then greatest(r.insurance_due - r.before, 0)
                else least(r.open_amount, greatest(r.insurance_due - r.before, 0)) end
      from asked cross join ranked r join invoices i on i.id = r.billing_record_id
)
select p.party, p.payer_id, payers.name as payer, p.bucket, p.currency, count(distinct p.id) as invoices,
       round(sum(p.amount), 2) as amount
  from parts p
  left join payers on payers.id = p.payer_id
 where p.amount <> 0
 group by p.party, p.payer_id, payers.name, p.bucket, p.currency
 order by p.party, payers.name collate "C", p.payer_id,
          array_position(array['not due', '1-30', '31-60', '61-90', '91-120', 'over 120'], p.bucket),
          p.currency collate "C"
