with asked as (
    select (it ->> 'from')::date as from_day, (it ->> 'to')::date as to_day,
           hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
), lines as not materialized (
    -- What payers said of each line. A line is refused if nothing is paid, and the claim was denied as a whole or the
    -- charge was lowered without leaving any of it to the patient.
    select p.id as answer_id, said -> 'adjustments' as adjustments,
           (said ->> 'paid')::numeric = 0 and (p.claim_status_code = '4' or sums.lowered <> 0 and sums.left_to_patient = 0)
               as is_refused
      from claim_payments p
     cross join jsonb_array_elements(p.adjustments) as said
     cross join lateral (
           select coalesce(sum((it ->> 'amount')::numeric) filter (where it ->> 'group' = 'PR'), 0) as left_to_patient,
                  coalesce(sum((it ->> 'amount')::numeric) filter (
                      where it ->> 'group' in ('CO', 'PI')
                         or it ->> 'group' = 'OA' and it ->> 'reason' is distinct from '23'), 0) as lowered
             from jsonb_array_elements(said -> 'adjustments') as it) as sums
     where not p.is_reversal
), answers as (
    -- The answers of the span that payers have not taken back.
    select p.id, p.insurance_claim_id, ip.payer_id
      from asked
      join claim_payments p on p.payment_date between asked.from_day and asked.to_day and not p.is_reversal
                           and not exists (select from claim_payments back where back.reverses_id = p.id)
      join insurance_claims c on c.id = p.insurance_claim_id
      join insurance_policies ip on ip.id = c.insurance_policy_id
), refused as (
    select a.payer_id, a.insurance_claim_id, (it ->> 'amount')::numeric as amount,
           concat_ws('-', it ->> 'group', it ->> 'reason') as code
      from answers a
      join lines l on l.answer_id = a.id and l.is_refused
     cross join jsonb_array_elements(l.adjustments) as it
     where it ->> 'group' <> 'OA' or it ->> 'reason' is distinct from '23'
), first_answers as (
    -- The first answer to each first claim: an adjudication, or a rejection, after which a claim never changes again.
    select ip.payer_id, not exists (select from lines l where l.answer_id = p.id and l.is_refused) as is_accepted
      from asked
      join claim_payments p on p.payment_date between asked.from_day and asked.to_day and not p.is_reversal
                           and not exists (select from claim_payments earlier
                                            where earlier.insurance_claim_id = p.insurance_claim_id
                                              and not earlier.is_reversal
                                              and (earlier.posted_at, earlier.id) < (p.posted_at, p.id))
      join insurance_claims c on c.id = p.insurance_claim_id and c.frequency_code = '1'
      join insurance_policies ip on ip.id = c.insurance_policy_id
    union all
    select ip.payer_id, false
      from asked
      join insurance_claims c on c.status = 'rejected' and c.frequency_code = '1'
                             and c.updated_at >= asked.from_at and c.updated_at < asked.until
      join insurance_policies ip on ip.id = c.insurance_policy_id
), rows as (
    -- For each payer a row of all codes together, and a row of each code.
    select payer_id, null as code, count(distinct insurance_claim_id) as denied, sum(amount) as amount
      from refused group by payer_id
    union all
    select payer_id, code, count(distinct insurance_claim_id), sum(amount) from refused group by payer_id, code
    union all
    select it.payer_id, null, 0, 0.00
      from (select payer_id from answers union select payer_id from first_answers) as it
     where it.payer_id not in (select payer_id from refused)
)
select r.payer_id, p.name as payer, r.code, it.adjudicated, r.denied,
       round(100.0 * r.denied / nullif(it.adjudicated, 0), 1) as rate, round(r.amount, 2) as amount,
       case when r.code is null then first.rate end as first_pass_rate
  from rows r
  join payers p on p.id = r.payer_id
 cross join lateral (
       select count(distinct a.insurance_claim_id) as adjudicated from answers a where a.payer_id = r.payer_id) as it
 cross join lateral (
       select round(100.0 * count(*) filter (where f.is_accepted) / nullif(count(*), 0), 1) as rate
         from first_answers f where f.payer_id = r.payer_id) as first
 order by p.name collate "C", r.payer_id, r.code collate "C" nulls first
