with asked as (
    select (it ->> 'from')::date as from_day, (it ->> 'to')::date as to_day, it ->> 'by' as by,
           it ->> 'time_zone' as time_zone,
           hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until
      from (values ($1::jsonb)) as given (it)
), answers as (
    -- What payers answered. What a reversal takes back is negative. A claim that was replaced or cancelled lowers
    -- nothing any more, but what was paid for it was paid.
    select p.id, c.billing_record_id, ip.payer_id, p.payment_date as day,
           case when p.is_reversal then -1 else 1 end * case when c.status = 'cancelled' then 0 else 1 end * (
               select coalesce(sum((it ->> 'amount')::numeric), 0.00)
                 from jsonb_array_elements(p.adjustments) as line, jsonb_array_elements(line -> 'adjustments') as it
                where it ->> 'group' in ('CO', 'PI') or it ->> 'group' = 'OA' and it ->> 'reason' is distinct from '23'
           ) as adjusted
      from asked
      join claim_payments p on p.payment_date between asked.from_day and asked.to_day
      join insurance_claims c on c.id = p.insurance_claim_id
      join insurance_policies ip on ip.id = c.insurance_policy_id
), movements as (
    -- What was charged, by the day of the service.
    select i.billing_record_id, i.service_date as day, null::uuid as payer_id, true as is_charge,
           round(i.quantity * coalesce(i.unit_price, 0), 2) as charges, i.discount_amount as discount,
           i.tax_amount as tax, 0.00 as adjusted, 0.00 as lowered, 0.00 as written_off, 0.00 as paid, 0.00 as refunded
      from asked
      join billing_items i on i.service_date between asked.from_day and asked.to_day and i.status <> 'aborted'
    union all
    -- What came in, by the day on which it came. The day of a payer is the day that the payer gives.
    select billing_record_id, day, payer_id, false, 0.00, 0.00, 0.00, adjusted, 0.00, 0.00, 0.00, 0.00 from answers
    union all
    select p.billing_record_id, a.day, a.payer_id, false, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00,
           case when p.kind = 'payer' then p.amount else 0.00 end,
           case when p.kind = 'reversal' then p.amount else 0.00 end
      from answers a
      join billing_payments p on p.claim_payment_id = a.id
    union all
    select p.billing_record_id, (p.received_at at time zone asked.time_zone)::date, null, false, 0.00, 0.00, 0.00, 0.00,
           0.00, 0.00,
           case when p.kind in ('payment', 'copay', 'deposit') then p.amount else 0.00 end,
           case when p.kind = 'refund' then p.amount else 0.00 end
      from asked
      join billing_payments p on p.received_at >= asked.from_at and p.received_at < asked.until
                             and p.kind in ('payment', 'copay', 'deposit', 'refund')
    union all
    -- What the hospital lowered or gave up, by the day on which it did so. Nothing is charged by a record that was
    -- cancelled since, so nothing of it was lowered.
    select t.billing_record_id, (t.adjusted_at at time zone asked.time_zone)::date, null, false, 0.00, 0.00, 0.00, 0.00,
           case when t.kind <> 'write_off' then t.amount else 0.00 end,
           case when t.kind = 'write_off' then t.amount else 0.00 end, 0.00, 0.00
      from asked
      join billing_adjustments t on t.adjusted_at >= asked.from_at and t.adjusted_at < asked.until
      join billing_records r on r.id = t.billing_record_id and r.status <> 'cancelled'
), grouped as (
    select m.*, r.currency, case when asked.by = 'month' then to_char(m.day, 'YYYY-MM') end as month,
           case asked.by
               -- Where the patient was: the department of the appointment, or else of the provider.
               when 'department' then (
                   select coalesce(a.department_id, u.department_id)
                     from consultations c
                     left join appointments a on a.id = c.appointment_id
                     left join users u on u.id = c.provider_id
                    where c.id = r.consultation_id)
               -- Who is asked first for a charge, and who paid; nobody where it is the patient.
               when 'payer' then case when not m.is_charge then m.payer_id else (
                   select ip.payer_id
                     from insurance_claims c join insurance_policies ip on ip.id = c.insurance_policy_id
                    where c.billing_record_id = r.id and c.status not in ('rejected', 'cancelled')
                    order by ip.priority, c.created_at, c.id limit 1) end
           end as group_id
      from asked
     cross join movements m
      join billing_records r on r.id = m.billing_record_id
)
select g.group_id, coalesce(g.month, d.name, p.name) as group_name, g.currency, sum(g.charges) as charges,
       sum(g.discount) as discount, sum(g.tax) as tax, round(sum(g.adjusted), 2) as payer_adjustments,
       sum(g.lowered) as hospital_adjustments, sum(g.written_off) as written_off, sum(g.paid) as payments,
       sum(g.refunded) as refunds
  from grouped g
  left join departments d on d.id = g.group_id
  left join payers p on p.id = g.group_id
 group by g.group_id, g.month, d.name, p.name, g.currency
 order by coalesce(g.month, d.name, p.name) collate "C", g.group_id, g.currency collate "C"
