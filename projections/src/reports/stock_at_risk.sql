with asked as (
    select (it ->> 'days')::integer as days, (it ->> 'location')::uuid as location_id,
           (it ->> 'as_of')::timestamptz as as_of
      from (values ($1::jsonb)) as given (it)
), lots as (
    -- Today is the day in the department in which the lot is kept.
    select l.*, m.name, r.room_number, asked.as_of, asked.days, (asked.as_of at time zone d.time_zone)::date as today
      from asked
      join medication_inventory l on l.quantity_on_hand > 0 and coalesce(l.location_id = asked.location_id, true)
      join medications m on m.id = l.medication_id
      join rooms r on r.id = l.location_id
      join departments d on d.id = r.department_id
), risky as (
    select l.*, l.expiry_date < l.today as is_expired,
           case when l.status = 'available' and l.expiry_date >= l.today
                then l.quantity_on_hand - l.quantity_reserved - l.quantity_pending else 0.000 end as usable
      from lots l
     where l.expiry_date <= l.today + l.days
)
select l.name as medication, l.lot_number, l.room_number as room, l.expiry_date, l.is_expired, l.status,
       l.quantity_on_hand as on_hand, l.usable, l.unit, round(l.quantity_on_hand * l.unit_cost, 2) as value,
       round(used.per_day, 3) as use_per_day, round(l.usable / nullif(used.per_day, 0), 1) as days_of_cover
  from risky l
 cross join lateral (
       -- What was given out of all lots of the medication at the place, less what came back, in the last 90 days.
       select greatest(coalesce(-sum(t.quantity), 0), 0) / 90.0 as per_day
         from medication_inventory other
         join inventory_transactions t on t.medication_inventory_id = other.id
        where other.medication_id = l.medication_id and other.location_id = l.location_id and other.unit = l.unit
          and t.transaction_type in ('dispense', 'issue', 'return')
          and t.performed_at > l.as_of - interval '2160 hours') as used
 order by l.is_expired desc, l.expiry_date, l.name collate "C", l.room_number collate "C", l.lot_number collate "C", l.id
