with asked as (
    select (it ->> 'from')::date as from_day, (it ->> 'to')::date as to_day, (it ->> 'location')::uuid as location_id
      from (values ($1::jsonb)) as given (it)
), lots as (
    -- Days are those of the department in which the lot is kept.
    select l.id, l.lot_number, l.unit, m.name, m.dea_schedule, r.room_number,
           hims_identity.instant_of(asked.from_day::timestamp, d.time_zone, false) as from_at,
           hims_identity.instant_of(asked.to_day + interval '1 day', d.time_zone, false) as until
      from asked
      join medication_inventory l on coalesce(l.location_id = asked.location_id, true)
      join medications m on m.id = l.medication_id and m.controlled_substance
      join rooms r on r.id = l.location_id
      join departments d on d.id = r.department_id
), moved as (
    select l.id, t.transaction_type as type, t.quantity, t.witnessed_by is not null as is_witnessed,
           t.performed_at >= l.from_at as is_in_span
      from lots l
      join inventory_transactions t on t.medication_inventory_id = l.id and t.performed_at < l.until
), summed as (
    select id, coalesce(sum(quantity) filter (where not is_in_span), 0.000) as opening,
           coalesce(sum(quantity) filter (where is_in_span
                        and type in ('receipt', 'transfer_in', 'return')), 0.000) as added,
           coalesce(-sum(quantity) filter (where is_in_span
                        and type in ('dispense', 'issue', 'transfer_out', 'return_to_supplier')), 0.000) as taken,
           coalesce(-sum(quantity) filter (where is_in_span and type = 'waste'), 0.000) as wasted,
           coalesce(-sum(quantity) filter (where is_in_span and type = 'waste' and is_witnessed),
                    0.000) as wasted_with_witness,
           coalesce(sum(quantity) filter (where is_in_span and type = 'adjustment'), 0.000) as counted,
           sum(quantity) as closing, bool_or(is_in_span) as was_moved
      from moved
     group by id
)
-- The row of a lot adds up: opening + added - taken - wasted + counted = closing.
select l.name as medication, l.dea_schedule as schedule, l.room_number as room, l.lot_number, l.unit, s.opening, s.added,
       s.taken, s.wasted, s.wasted_with_witness, s.counted, s.closing
  from summed s
  join lots l on l.id = s.id
 where s.was_moved or s.opening <> 0
 order by l.name collate "C", l.room_number collate "C", l.lot_number collate "C", l.id
