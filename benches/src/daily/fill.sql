-- Fills the read tables of an empty hospital as years of work would, for `{patients}` patients. With 100,000 these are the
-- document's volumes of patients, appointments, prescriptions, vital signs, laboratory orders with their results,
-- notifications and the audit log, and three fifths of its consultations and invoices. (A hospital with all of its
-- volumes is what `hims generate` makes.)
-- Rows are written straight into the tables, by a superuser: no events, and no trigger that would check what is known.
set local session_replication_role = replica;
set local search_path = hims, public;
set local maintenance_work_mem = '512MB';

-- Indexes are made after the rows, as a rebuild makes them. Constraints that exclude are not made again: no list reads
-- their indexes, and checking them would take longer than everything else.
create temporary table later on commit drop as
select i.indexrelid::regclass as name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as make
  from pg_index i join pg_class t on t.oid = i.indrelid
 where t.relnamespace = 'hims'::regnamespace and not t.relispartition
   and not exists (select from pg_constraint c where c.conindid = i.indexrelid);
do $$
declare
    it record;
begin
    for it in select name from later loop
        execute format('drop index %s', it.name);
    end loop;
    for it in select conrelid::regclass as of, conname as name from pg_constraint
               where connamespace = 'hims'::regnamespace and contype = 'x' loop
        execute format('alter table %s drop constraint %I', it.of, it.name);
    end loop;
end $$;

-- The key of the nth row of a kind. Keys grow with n, as those that the server issues grow with time.
create function pg_temp.key(kind integer, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;

-- A name of three syllables out of a hundred.
create function pg_temp.name(n bigint) returns text language sql immutable as $$
    select initcap(string_agg(syllable, '' order by place))
      from generate_series(0, 2) place,
           lateral (select (n * 7919 / (100 ^ place)::bigint % 100)::integer as nth) i,
           lateral (select substr('bcdfghjklmnprstvwxyz', nth / 5 + 1, 1) || substr('aeiou', nth % 5 + 1, 1)
                        as syllable) s
$$;

insert into user_roles (id, name, display_name, version, created_at, updated_at)
select pg_temp.key(1, 1), 'staff of the lists', 'Staff', 1, now(), now();

insert into departments (id, code, name, time_zone, is_active, version, created_at, updated_at)
select pg_temp.key(2, n), 'DEPT-' || n, 'Department ' || n, 'UTC', true, 1, now(), now()
  from generate_series(0::bigint, 19) n;

-- Ten providers in each department.
insert into users (id, email, password_hash, first_name, last_name, role_id, department_id, is_active,
                   is_email_verified, must_change_password, has_second_factor, is_service_account, version,
                   created_at, updated_at)
select pg_temp.key(3, n), 'provider' || n || '@lists.example', '!', 'Given' || n, 'Family' || n, pg_temp.key(1, 1),
       pg_temp.key(2, n % 20), true, true, false, false, false, 1, now(), now()
  from generate_series(0::bigint, 199) n;

insert into rooms (id, department_id, room_number, room_type, capacity, status, version, created_at, updated_at)
select pg_temp.key(4, n), pg_temp.key(2, n % 20), 'R' || n, 'exam', 1, 'active', 1, now(), now()
  from generate_series(0::bigint, 199) n;

-- A thousand family names, and five hundred given names.
insert into patients (id, mrn, first_name, last_name, name_folded, date_of_birth, gender, email, phone_primary, version,
                      created_at, updated_at)
with names as materialized (select nth, pg_temp.name(nth) as name from generate_series(0, 1499) nth)
select pg_temp.key(5, n), 'MRN-' || lpad(n::text, 10, '0'), given.name, family.name,
       lower(given.name || ' ' || family.name),
       case when n % 3 > 0 then date '1930-01-01' + (n * 37 % 33000)::integer end,
       case n % 2 when 0 then 'female' else 'male' end, 'patient' || n || '@lists.example',
       '+1212' || lpad(n::text, 7, '0'), 1, now() - n * interval '1 minute', now()
  from generate_series(0::bigint, {patients} - 1) n
  join names family on family.nth = n * 7 % 1000
  join names given on given.nth = 1000 + (n / 1000 + n) % 500
 order by n;

insert into patient_allergies (id, patient_id, allergen_type, allergen_name, severity, is_active, version, created_at,
                               updated_at)
select pg_temp.key(6, n), pg_temp.key(5, n / 2), 'drug', 'Allergen ' || n % 300, 'mild', n % 5 <> 0, 1, now(), now()
  from generate_series(0::bigint, {patients} - 1) n;

insert into emergency_contacts (id, patient_id, name, phone_primary, priority, version, created_at, updated_at)
select pg_temp.key(15, n), pg_temp.key(5, n), 'Contact ' || n, '+1212' || lpad(n::text, 7, '0'), 1, 1, now(), now()
  from generate_series(0::bigint, {patients} - 1) n;

insert into medical_history (id, patient_id, history_type, code_system, code, description, source, recorded_by, status,
                             version, created_at, updated_at)
select pg_temp.key(16, n), pg_temp.key(5, n / 3), (array['condition', 'surgery', 'immunization'])[n % 3 + 1],
       'http://snomed.info/sct', 100000 + n % 500, 'Entry ' || n % 500, 'patient', pg_temp.key(3, n % 200),
       case n % 50 when 0 then 'entered_in_error' else 'recorded' end, 1, now(), now()
  from generate_series(0::bigint, 3 * {patients} - 1) n;

-- Each provider sees sixteen patients a day, one after the other; four fifths of the days are over.
insert into appointments (id, patient_id, provider_id, department_id, room_id, appointment_type, scheduled_date,
                          scheduled_time, duration_minutes, time_zone, starts_at, ends_at, status, priority, version,
                          created_at, updated_at)
select pg_temp.key(7, n), pg_temp.key(5, n * 7919 % {patients}), pg_temp.key(3, n % 200), pg_temp.key(2, n % 20),
       pg_temp.key(4, n % 200), 'follow_up', starts_at::date, starts_at::time, 20, 'UTC', starts_at,
       starts_at + interval '20 minutes',
       case when starts_at < current_date
            then case n % 13 when 0 then 'cancelled' when 1 then 'no_show' else 'completed' end
            when starts_at < current_date + 1 and n % 3 = 1 then 'checked_in'
            when n % 3 = 0 then 'confirmed' else 'scheduled' end,
       'normal', 1, starts_at - interval '20 days', starts_at
  from generate_series(0::bigint, 5 * {patients} - 1) n,
       lateral (select n / 200 as slot) s,
       lateral (select current_date - ({patients} / 800)::integer + (slot / 16)::integer
                     + time '08:00' + slot % 16 * interval '20 minutes' as starts_at) t;

-- One patient in five is or was on the waiting list: of fifty of them, one waits for a provider and another for a
-- department. A few have an offer.
insert into waitlist_entries (id, patient_id, department_id, provider_id, appointment_type, duration_minutes, priority,
                              earliest, latest, time_zone, joined_at, status, offered_provider_id, offered_starts_at,
                              offered_ends_at, offer_expires_at, offers, unanswered_offers, version, created_at, updated_at)
select pg_temp.key(22, n), pg_temp.key(5, n * 5), case when n % 2 = 0 then pg_temp.key(2, n / 50 % 20) end,
       case when n % 2 = 1 then pg_temp.key(3, n / 50 % 200) end, 'follow_up', 20, 'normal', current_date - 30,
       current_date + 60, 'UTC', now() - n * interval '5 minutes', status,
       case when status = 'offered' then pg_temp.key(3, n % 200) end,
       case when status = 'offered' then offered_at end,
       case when status = 'offered' then offered_at + interval '20 minutes' end,
       case when status = 'offered' then offered_at - interval '1 hour' end, (status = 'offered')::integer, 0, 1, now(),
       now()
  from generate_series(0::bigint, {patients} / 5 - 1) n,
       lateral (select case when n % 50 in (0, 1) then 'waiting' when n % 200 = 2 then 'offered' else 'withdrawn' end
                           as status,
                       current_date + 700 + time '08:00' + n * interval '30 minutes' as offered_at) s;

-- A note on one of five appointments: the first ones.
insert into appointment_notes (id, appointment_id, patient_id, author_id, note_type, body, is_patient_visible, version,
                               created_at, updated_at)
select pg_temp.key(15, n), pg_temp.key(7, n), pg_temp.key(5, n * 7919 % {patients}), pg_temp.key(3, n % 200),
       (array['general', 'scheduling', 'clinical', 'billing', 'call_log'])[n % 5 + 1], 'Will come', n % 3 = 0, 1,
       t.at, t.at
  from generate_series(0::bigint, {patients} - 1) n,
       lateral (select now() - ({patients} - n) * interval '5 minutes' as at) t;

-- One patient in two came every week for a while.
insert into appointment_series (id, patient_id, provider_id, department_id, rrule, exclude_dates, time_zone, occurrences,
                                first_day, last_day, version, created_at, updated_at)
select pg_temp.key(50, n), pg_temp.key(5, n), pg_temp.key(3, n % 200), pg_temp.key(2, n % 20), 'FREQ=WEEKLY;COUNT=6',
       '[]', 'UTC', 6, first_day, first_day + 35, 1, now(), now()
  from generate_series(1::bigint, {patients} - 1, 2) n, lateral (select current_date - (n % 700)::integer as first_day) d;

-- Each provider is away for a week, again and again, and will be.
insert into provider_leaves (id, provider_id, starts_at, ends_at, kind, status, version, created_at, updated_at)
select pg_temp.key(51, n), pg_temp.key(3, n % 200), starts_at, starts_at + interval '7 days', 'vacation', 'active', 1,
       now(), now()
  from generate_series(0::bigint, 1999) n,
       lateral (select current_date + (n / 200 - 5)::integer * 90 + (n % 90)::integer + time '08:00' as starts_at) t;

-- Three of five appointments led to a consultation.
insert into consultations (id, appointment_id, patient_id, provider_id, consultation_type, workflow_type,
                           chief_complaint, assessment, status, started_at, version, created_at, updated_at)
select pg_temp.key(8, n), pg_temp.key(7, n), pg_temp.key(5, n * 7919 % {patients}), pg_temp.key(3, n % 200),
       'standard', 'standard', 'Cough for ' || case n / 2 % 30 when 0 then 'seven' else 'three' end || ' days',
       case n % 2 when 0 then 'Bronchitis' else 'A cold' end,
       case when n > 3 * {patients} - 100 then 'in_progress' else 'completed' end,
       current_date - ({patients} / 800)::integer + (n / 3200)::integer + time '08:00'
           + n / 200 % 16 * interval '20 minutes', 1, now(), now()
  from generate_series(0::bigint, 3 * {patients} - 1) n;

-- Two steps, one symptom and one diagnosis of each consultation, a treatment of every other one. One of three
-- consultations, the first ones, was amended.
insert into consultation_steps (id, consultation_id, patient_id, step_number, step_type, status, performed_by,
                                completed_at, version, created_at, updated_at)
select pg_temp.key(52, n), c.id, c.patient_id, n % 2 + 1, (array['triage', 'examination'])[n % 2 + 1], 'completed',
       c.provider_id, c.started_at, 1, c.started_at, c.started_at
  from generate_series(0::bigint, 6 * {patients} - 1) n join consultations c on c.id = pg_temp.key(8, n / 2);

insert into symptoms (id, consultation_id, patient_id, name, severity, is_negated, status, recorded_by, recorded_at,
                      version, created_at, updated_at)
select pg_temp.key(53, n), c.id, c.patient_id, 'Symptom ' || n % 300, 'mild', false,
       case n % 49 when 0 then 'entered_in_error' else 'recorded' end, c.provider_id, c.started_at, 1, c.started_at,
       c.started_at
  from generate_series(0::bigint, 3 * {patients} - 1) n join consultations c on c.id = pg_temp.key(8, n);

insert into diagnoses (id, consultation_id, patient_id, rank, code_system, code, description, diagnosis_type,
                       verification_status, clinical_status, diagnosed_by, diagnosed_at, version, created_at, updated_at)
select pg_temp.key(54, n), c.id, c.patient_id, 1, 'http://hl7.org/fhir/sid/icd-10-cm', 'J' || 10 + n % 80,
       'Diagnosis ' || n % 500, 'final', case n % 49 when 0 then 'entered_in_error' else 'confirmed' end,
       case when n % 49 <> 0 then (array['active', 'resolved', 'inactive'])[n % 3 + 1] end, c.provider_id, c.started_at, 1,
       c.started_at, c.started_at
  from generate_series(0::bigint, 3 * {patients} - 1) n join consultations c on c.id = pg_temp.key(8, n);

insert into treatments (id, consultation_id, patient_id, diagnosis_id, treatment_type, description, status, version,
                        created_at, updated_at)
select pg_temp.key(55, n), d.consultation_id, d.patient_id, d.id, 'therapy', 'Treatment ' || n % 200,
       (array['completed', 'in_progress', 'entered_in_error'])[n % 3 + 1], 1, d.diagnosed_at, d.diagnosed_at
  from generate_series(0::bigint, 3 * {patients} - 1) n join diagnoses d on d.id = pg_temp.key(54, n)
 where n % 2 = 0 or n < {patients};

insert into consultation_amendments (id, consultation_id, patient_id, number, reason, changes, amended_by, amended_at,
                                     version, created_at)
select pg_temp.key(56, n), c.id, c.patient_id, 1, 'mistyped', '{}', c.provider_id, c.started_at, 1, c.started_at
  from generate_series(0::bigint, {patients} - 1) n join consultations c on c.id = pg_temp.key(8, n);

insert into vital_signs (id, consultation_id, patient_id, recorded_by, recorded_at, heart_rate, temperature_unit,
                         status, version, created_at, updated_at)
select pg_temp.key(9, n), c.id, c.patient_id, c.provider_id, c.started_at + n % 7 * interval '5 minutes', 60 + n % 50,
       'C', 'final', 1, c.started_at, c.started_at
  from generate_series(0::bigint, 20 * {patients} - 1) n join consultations c on c.id = pg_temp.key(8, n * 3 / 20);

insert into prescriptions (id, consultation_id, patient_id, provider_id, prescription_number, status, priority, version,
                           created_at, updated_at)
select pg_temp.key(10, n), pg_temp.key(8, n), pg_temp.key(5, n * 7919 % {patients}), pg_temp.key(3, n % 200),
       'RX-' || lpad(n::text, 10, '0'),
       case when n < 3 * {patients} - 2000 then case n % 20 when 0 then 'cancelled' else 'dispensed' end
            else (array['pending', 'sent_to_pharmacy', 'ready'])[n % 3 + 1] end,
       'normal', 1, now() - (3 * {patients} - n) * interval '40 seconds', now()
  from generate_series(0::bigint, 3 * {patients} - 1) n;

insert into medications (id, name, controlled_substance, requires_prescription, is_active, version, created_at,
                         updated_at)
select pg_temp.key(11, n), initcap(substr(md5('medication' || n), 1, 9)) || ' ' || n % 50 || ' mg', false, true, true,
       1, now(), now()
  from generate_series(0::bigint, 1999) n;

insert into prescription_items (id, prescription_id, patient_id, line_number, medication_id, as_needed, quantity,
                                quantity_unit, substitution_allowed, status, version, created_at, updated_at)
select pg_temp.key(12, n), pg_temp.key(10, n / 2), pg_temp.key(5, n / 2 * 7919 % {patients}), n % 2 + 1,
       pg_temp.key(11, n % 2000), false, 20, 'tablet', true, 'active', 1, now(), now()
  from generate_series(0::bigint, 6 * {patients} - 1) n;

insert into prescription_alerts (id, prescription_id, item_id, patient_id, kind, severity, is_overridden, version,
                                 created_at)
select pg_temp.key(40, n), pg_temp.key(10, n / 2), pg_temp.key(12, n), pg_temp.key(5, n / 2 * 7919 % {patients}),
       'interaction', (array['minor', 'moderate', 'major'])[n % 3 + 1], false, 1, now()
  from generate_series(0::bigint, 6 * {patients} - 1) n;

insert into drug_interactions (id, profile_id, ingredient_a, ingredient_b, code_system, severity, is_conditional,
                               rule_count, source, version, created_at, updated_at)
select pg_temp.key(41, n), pg_temp.key(42, n % 900), (1000000 + n % 900)::text, (2000000 + n)::text,
       'http://www.nlm.nih.gov/research/umls/rxnorm', 'minor', false, 1, 'ANSM', 1, now(), now()
  from generate_series(0::bigint, 32999) n;

insert into lab_tests (id, code, name, turnaround_minutes, components, is_active, version, created_at, updated_at)
select pg_temp.key(96, n), n || '-1', initcap(substr(md5('test' || n), 1, 9)), '{}', '[]', true, 1, now(), now()
  from generate_series(0::bigint, 199) n;

insert into lab_orders (id, patient_id, provider_id, order_number, status, priority, is_fasting, is_unsolicited,
                        version, created_at, updated_at)
select pg_temp.key(97, n), pg_temp.key(5, n * 7919 % {patients}), pg_temp.key(3, n % 200),
       'LO-' || lpad(n::text, 10, '0'),
       case when n < 2 * {patients} - 900 then case n % 20 when 0 then 'cancelled' else 'completed' end
            else (array['ordered', 'collected', 'in_progress'])[n % 3 + 1] end,
       'normal', false, false, 1, now() - (2 * {patients} - n) * interval '2 minutes', now()
  from generate_series(0::bigint, 2 * {patients} - 1) n;

insert into lab_order_items (id, lab_order_id, patient_id, line_number, lab_test_id, diagnosis_ids, status, version,
                             created_at, updated_at)
select pg_temp.key(98, n), pg_temp.key(97, n / 5), o.patient_id, n % 5 + 1, pg_temp.key(96, n % 200), '[]',
       case o.status when 'completed' then 'resulted' else o.status end, 1, o.created_at, o.created_at
  from generate_series(0::bigint, 10 * {patients} - 1) n join lab_orders o on o.id = pg_temp.key(97, n / 5);

insert into specimens (id, lab_order_id, patient_id, specimen_number, item_ids, specimen_type, status, collected_at,
                       version, created_at, updated_at)
select pg_temp.key(99, n), o.id, o.patient_id, 'SP-' || lpad(n::text, 10, '0'), '[]', 'SER',
       case o.status when 'collected' then 'collected' else 'received' end, o.created_at, 1, o.created_at, o.created_at
  from generate_series(0::bigint, 2 * {patients} - 1) n join lab_orders o on o.id = pg_temp.key(97, n)
 where o.status <> 'ordered';

insert into lab_results (id, lab_order_id, lab_order_item_id, patient_id, test_code, test_name, status, result_status,
                         revision, result_value, result_unit, flag, is_abnormal, delta_flag, performed_at,
                         critical_raised_at, version, created_at, updated_at)
select i.id, i.lab_order_id, i.id, i.patient_id, t.code, t.name, it.status, 'F', 1, '4.1', 'mmol/L',
       case it.status when 'critical' then 'critical_high' else 'normal' end, it.status = 'critical', false,
       i.created_at, case it.status when 'critical' then i.created_at end, 1, i.created_at, i.created_at
  from lab_order_items i
  join lab_tests t on t.id = i.lab_test_id,
       lateral (select case when i.created_at > now() - interval '2 days' and i.line_number = 2 then 'critical'
                            when i.created_at > now() - interval '9 days' then 'completed' else 'reviewed' end
                       as status) it
 where i.status = 'resulted';

insert into lab_result_components (id, lab_result_id, patient_id, revision, is_current, sequence, component_code,
                                   code_system, component_name, value_numeric, unit, flag, version, created_at,
                                   updated_at)
select r.id, r.id, r.patient_id, 1, true, 1, r.test_code, 'http://loinc.org', r.test_name, 4.1, 'mmol/L', r.flag, 1,
       r.created_at, r.created_at
  from lab_results r;

insert into medication_lists (id, patient_id, version, created_at, updated_at)
select pg_temp.key(18, n), pg_temp.key(5, n), 1, now(), now() from generate_series(0::bigint, {patients} - 1) n;

insert into patient_medications (id, medication_list_id, patient_id, medication_id, prescription_item_id, status, source,
                                 version, created_at, updated_at)
select pg_temp.key(17, n), pg_temp.key(18, n / 2 * 7919 % {patients}), pg_temp.key(5, n / 2 * 7919 % {patients}),
       pg_temp.key(11, n % 2000), pg_temp.key(12, n),
       (array['completed', 'active', 'completed', 'stopped'])[n % 4 + 1], 'prescribed_here', 1, now(), now()
  from generate_series(0::bigint, 6 * {patients} - 1) n;

insert into medication_inventory (id, medication_id, location_id, lot_number, expiry_date, quantity_on_hand, unit,
                                  status, version, received_at, created_at, updated_at)
select pg_temp.key(13, n), pg_temp.key(11, n % 2000), pg_temp.key(4, n % 200), 'LOT-' || n,
       current_date + (n * 31 % 700)::integer, 100, 'tablet', 'available', 1, now(), now(), now()
  from generate_series(0::bigint, {patients} / 5 - 1) n;

insert into suppliers (id, code, name, is_active, version, created_at, updated_at)
select pg_temp.key(80, n), 'SUPPLIER-' || n, 'Supplier ' || n, true, 1, now(), now()
  from generate_series(0::bigint, 19) n;

-- Of every tenth article more is to be ordered.
insert into inventory_items (id, sku, name, category, unit, reorder_level, preferred_supplier_id, is_controlled,
                             is_active, reorder_flagged_at, version, created_at, updated_at)
select pg_temp.key(81, n), 'SKU-' || n, 'Article ' || n,
       (array['dressing', 'injection', 'protection', 'office', 'cleaning'])[n % 5 + 1], 'box', 10,
       pg_temp.key(80, n % 20), false, true, case when n % 10 = 0 then now() - n * interval '1 hour' end, 1, now(), now()
  from generate_series(0::bigint, 999) n;

insert into inventory_levels (id, inventory_item_id, location_id, quantity_on_hand, version, created_at, updated_at)
select pg_temp.key(82, n), pg_temp.key(81, n / 5), pg_temp.key(4, n % 200), 20, 1, now(), now()
  from generate_series(0::bigint, 4999) n;

-- Half of the movements are of lots, half of articles.
insert into inventory_transactions (id, inventory_item_id, inventory_level_id, medication_inventory_id,
                                    transaction_type, quantity, balance_after, performed_by, performed_at, version,
                                    created_at)
select pg_temp.key(83, n), case when n % 2 = 1 then pg_temp.key(81, n / 2 % 5000 / 5) end,
       case when n % 2 = 1 then pg_temp.key(82, n / 2 % 5000) end,
       case when n % 2 = 0 then pg_temp.key(13, n / 2 % ({patients} / 5)) end, 'adjustment', 1, 20,
       pg_temp.key(3, n % 200), now() - n * interval '1 minute', 1, now()
  from generate_series(0::bigint, 10 * {patients} - 1) n;

insert into payers (id, code, name, is_active, version, created_at, updated_at)
select pg_temp.key(15, n), 'PAYER-' || n, 'Payer ' || n, true, 1, now(), now() from generate_series(0::bigint, 19) n;

insert into insurance_policies (id, patient_id, payer_id, priority, member_id, relationship_to_subscriber,
                                effective_from, status, verification_method, version, created_at, updated_at)
select pg_temp.key(16, n), pg_temp.key(5, n / 2), pg_temp.key(15, n % 20), n % 2 + 1, 'M-' || n, 'self', '2020-01-01',
       'active', 'card', 1, now(), now()
  from generate_series(0::bigint, 2 * {patients} - 1) n;

insert into billing_records (id, patient_id, invoice_number, status, currency, total_amount, tax_amount, discount_amount,
                             adjustment_amount, written_off_amount, paid_amount, credit_amount, insurance_due,
                             opened_on, due_date, billed_at, version, created_at, updated_at)
select pg_temp.key(20, n), pg_temp.key(5, n * 7919 % {patients}), 'INV-' || n,
       case when n % 10 = 0 then 'billed' else 'paid' end, 'USD', 200, 0, 0, 0, 0,
       case when n % 10 = 0 then 0 else 200 end, 0, 0, current_date - (n % 700)::integer,
       current_date - (n % 700)::integer + 30, now(), 1, now() - n * interval '1 minute', now()
  from generate_series(0::bigint, 3 * {patients} - 1) n;

insert into billing_items (id, billing_record_id, patient_id, line_number, service_date, code_system, code, modifiers,
                           diagnosis_pointers, quantity, unit_price, discount_amount, tax_rate, tax_amount, needs_price,
                           status, version, created_at, updated_at)
select pg_temp.key(21, n), pg_temp.key(20, n / 2), pg_temp.key(5, n / 2 * 7919 % {patients}), n % 2 + 1,
       current_date - (n / 2 % 700)::integer, 'urn:local', 'VISIT', '[]', '[]', 1,
       case when n % 500 = 0 then null else 100 end, 0, 0, 0, n % 500 = 0,
       case when n % 500 = 0 then 'planned' else 'billed' end, 1, now(), now()
  from generate_series(0::bigint, 6 * {patients} - 1) n;

insert into billing_payments (id, billing_record_id, patient_id, kind, method, amount, receipt_number, received_at,
                              version, created_at)
select pg_temp.key(22, n), pg_temp.key(20, n), pg_temp.key(5, n * 7919 % {patients}), 'payment', 'card', 200, 'RC-' || n,
       now() - n * interval '1 minute', 1, now()
  from generate_series(0::bigint, 3 * {patients} - 1) n;

insert into billing_adjustments (id, billing_record_id, patient_id, kind, amount, reason, adjusted_at, version,
                                 created_at)
select pg_temp.key(57, n), pg_temp.key(20, n), pg_temp.key(5, n * 7919 % {patients}), 'courtesy', 5, 'waited long',
       now() - n * interval '1 minute', 1, now()
  from generate_series(1::bigint, 3 * {patients} - 1, 3) n;

insert into price_list_items (id, price_id, price_list, code_system, code, description, unit_price, tax_rate,
                              effective_from, effective_to, version, created_at, updated_at)
select pg_temp.key(58, n), pg_temp.key(59, n / 2), 'standard', 'urn:local', 'SERVICE-' || n / 2, 'Service ' || n / 2,
       100 + n % 2, 0, date '2025-01-01' + (n % 2)::integer * 365, case n % 2 when 0 then date '2025-12-31' end, 1, now(),
       now()
  from generate_series(0::bigint, 3999) n;

insert into insurance_claims (id, billing_record_id, insurance_policy_id, patient_id, claim_number, claim_type,
                              frequency_code, service_date, diagnoses, lines, billed_amount, paid_amount, status,
                              denial_codes, submitted_at, version, created_at, updated_at)
select pg_temp.key(23, n), pg_temp.key(20, n), pg_temp.key(16, 2 * (n * 7919 % {patients})),
       pg_temp.key(5, n * 7919 % {patients}), 'CLM-' || n, 'professional', '1', current_date - (n % 700)::integer,
       '[]', '[]', 200, case when n % 10 = 0 then 0 else 180 end, case when n % 10 = 0 then 'accepted' else 'paid' end,
       '[]', now() - n * interval '1 minute', 3, now() - n * interval '1 minute', now()
  from generate_series(0::bigint, 2 * {patients} - 1) n;

insert into claim_payments (id, insurance_claim_id, patient_id, trace_number, payment_method, payment_date,
                            claim_status_code, paid_amount, patient_responsibility, adjustments, is_reversal, posted_at,
                            version, created_at)
select pg_temp.key(24, n), pg_temp.key(23, n), pg_temp.key(5, n * 7919 % {patients}), 'TRN-' || n, 'ACH',
       current_date - (n % 700)::integer, '1', 180, 20, '[]', false, now(), 3, now()
  from generate_series(0::bigint, 2 * {patients} - 1) n where n % 10 <> 0;

-- Ten notifications about each patient, five to the patient and five to a user.
insert into notifications (id, type, priority, title, message, subject_patient_id, version, created_at, updated_at)
select pg_temp.key(30, n), 'appointment_reminder', 'normal', 'Reminder of your visit', 'You are expected on Monday.',
       pg_temp.key(5, n / 10), 1, now() - n * interval '1 minute', now()
  from generate_series(0::bigint, 10 * {patients} - 1) n;
insert into notification_recipients (id, notification_id, recipient_id, patient_id, channel, address, status, attempts,
                                     delivered_at, version, created_at, updated_at)
select pg_temp.key(31, n), pg_temp.key(30, n), case n % 2 when 0 then pg_temp.key(3, n / 2 % 200) end,
       case n % 2 when 1 then pg_temp.key(5, n / 10) end, case n % 2 when 0 then 'in_app' else 'sms' end,
       case n % 2 when 1 then '+12125550177' end, 'delivered', n % 2, now(), 1, now() - n * interval '1 minute', now()
  from generate_series(0::bigint, 10 * {patients} - 1) n;

-- Each user had fifty reports made.
insert into reports (id, code, name, description, category, contains_phi, definition_version, parameters_schema, columns,
                     output_formats, required_permission, version, created_at, updated_at)
select pg_temp.key(60, 1), 'daily-schedule', 'Schedule', 'The day', 'scheduling', true, 1, '[]', '[]', '["csv"]',
       'read:all_appointments', 1, now(), now();
insert into report_executions (id, report_id, requested_by, recipients, parameters, output_format, as_of_position,
                               is_late, status, progress, row_count, byte_count, output_sha256, queued_at, finished_at,
                               version, created_at, updated_at)
select pg_temp.key(61, n), pg_temp.key(60, 1), pg_temp.key(3, n % 200), '[]', '{}', 'csv', n, false, 'succeeded', 100, 1,
       10, md5('one') || md5('other'), at, at, 3, at, at
  from generate_series(0::bigint, 9999) n, lateral (select now() - n * interval '1 minute' as at) t;

-- One patient in two hundred has a second record.
insert into patient_links (id, duplicate_id, patient_id, merged_into_id, version, created_at, updated_at)
select pg_temp.key(5, n), pg_temp.key(5, n), pg_temp.key(5, n + 1), pg_temp.key(5, n + 1), 1, now(), now()
  from generate_series(0::bigint, {patients} - 2, 200) n;

-- A year of the audit log, up to this month.
select create_monthly_partition('audit_logs', (now() - month * interval '1 month')::date)
  from generate_series(0, 12) month;
insert into audit_logs (id, position, user_id, action, resource_type, resource_id, patient_id, new_values, "timestamp",
                        success, version)
select pg_temp.key(14, n), n, pg_temp.key(3, n * 31 % 200), (array['appointment.scheduled', 'record.read',
       'vital_signs.recorded', 'prescription.written'])[n % 4 + 1],
       (array['appointment', 'patient', 'vital_signs', 'prescription'])[n % 4 + 1],
       pg_temp.key(7, n * 104729 % (5 * {patients})), pg_temp.key(5, n * 7919 % {patients}),
       '{"status": "final", "heart_rate": 72}',
       now() - (100 * {patients} - n) * (interval '360 days' / (100 * {patients})), true, 1
  from generate_series(1::bigint, 100 * {patients}) n;

do $$
declare
    it record;
begin
    for it in select make from later loop
        execute it.make;
    end loop;
end $$;
