with asked as (
    select hims_identity.instant_of((it ->> 'from')::date::timestamp, it ->> 'time_zone', false) as from_at,
           hims_identity.instant_of((it ->> 'to')::date + interval '1 day', it ->> 'time_zone', false) as until,
           (it ->> 'test')::uuid as lab_test_id, it ->> 'priority' as priority
      from (values ($1::jsonb)) as given (it)
), examined as (
    -- The status of an item becomes `resulted` with the first final result, and nothing changes the item afterwards: a
    -- correction changes the result only. A result that is withdrawn opens the item again. Nobody here ordered what is
    -- recorded with an order that is unsolicited.
    select t.id as lab_test_id, t.code, t.name, o.priority, (t.turnaround_minutes ->> o.priority)::numeric as allowed,
           i.created_at as ordered_at, s.collected_at, i.updated_at as final_at,
           -- A test that was added later cannot begin before.
           case when i.added_as is not null and s.received_at < i.created_at then i.created_at
                else s.received_at end as received_at
      from asked
      join lab_order_items i on i.status = 'resulted' and i.updated_at >= asked.from_at and i.updated_at < asked.until
                            and coalesce(i.lab_test_id = asked.lab_test_id, true)
      join lab_orders o on o.id = i.lab_order_id and not o.is_unsolicited
                       and coalesce(o.priority = asked.priority, true)
      join lab_tests t on t.id = i.lab_test_id
      left join lab_results r on r.id = i.lab_result_id
      left join lateral (
           select s.collected_at, s.received_at from specimens s
            where s.lab_order_id = o.id
              and (s.id = r.specimen_id
                   or r.specimen_id is null and s.status <> 'rejected' and s.item_ids ? i.id::text)
            order by s.collected_at desc, s.id desc limit 1) as s on true
), timed as (
    select *, extract(epoch from final_at - ordered_at) / 60 as since_ordered,
           extract(epoch from final_at - collected_at) / 60 as since_collected,
           extract(epoch from final_at - received_at) / 60 as since_received
      from examined
)
select code as test_code, name as test, priority, count(*) as n,
       round(percentile_cont(0.5) within group (order by since_ordered)::numeric, 1) as ordered_median,
       round(percentile_cont(0.9) within group (order by since_ordered)::numeric, 1) as ordered_p90,
       round(percentile_cont(0.5) within group (order by since_collected)::numeric, 1) as collected_median,
       round(percentile_cont(0.9) within group (order by since_collected)::numeric, 1) as collected_p90,
       round(percentile_cont(0.5) within group (order by since_received)::numeric, 1) as received_median,
       round(percentile_cont(0.9) within group (order by since_received)::numeric, 1) as received_p90,
       allowed::bigint as turnaround_minutes,
       round(100.0 * count(*) filter (where since_received <= allowed)
             / nullif(count(*) filter (where since_received is not null and allowed is not null), 0), 1) as within_turnaround
  from timed
 group by lab_test_id, code, name, priority, allowed
 order by code collate "C", array_position(array['stat', 'urgent', 'high', 'normal', 'low'], priority::text)
