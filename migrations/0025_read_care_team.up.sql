-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table care_team_assignments (
    id            uuid        not null primary key,
    patient_id    uuid        not null references patients (id) deferrable initially deferred,
    user_id       uuid        not null references users (id) deferrable initially deferred,
    participation varchar(10) not null check (participation in ('lead', 'member')),
    starts_at     timestamptz not null,
    ends_at       timestamptz check (ends_at >= starts_at),
    status        varchar(10) not null check (status in ('active', 'ended')),
    reason        text,
    version       integer     not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    created_by    uuid        references users (id) deferrable initially deferred,
    updated_by    uuid        references users (id) deferrable initially deferred
);
create index idx_care_team_patient on care_team_assignments (patient_id, starts_at);
create index idx_care_team_user on care_team_assignments (user_id, starts_at);
create index idx_care_team_starts_at on care_team_assignments (starts_at);
create index idx_care_team_created_by on care_team_assignments (created_by);
create index idx_care_team_updated_by on care_team_assignments (updated_by);

create table emergency_accesses (
    id          uuid        not null primary key,
    patient_id  uuid        not null references patients (id) deferrable initially deferred,
    user_id     uuid        not null references users (id) deferrable initially deferred,
    seconded_by uuid        references users (id) deferrable initially deferred,
    awaits_second boolean   not null,
    reason      text,
    granted_at  timestamptz not null,
    ends_at     timestamptz not null check (ends_at >= granted_at),
    review      varchar(15) not null check (review in ('open', 'justified', 'not_justified')),
    reviewed_by uuid        references users (id) deferrable initially deferred,
    reviewed_at timestamptz,
    review_note text,
    version     integer     not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    created_by  uuid        references users (id) deferrable initially deferred,
    updated_by  uuid        references users (id) deferrable initially deferred,
    constraint chk_reviewed check ((review = 'open') = (reviewed_at is null)),
    constraint chk_seconded_by_another check (seconded_by <> user_id),
    constraint chk_reviewed_by_another check (reviewed_by <> user_id and reviewed_by <> seconded_by)
);
create index idx_emergency_patient on emergency_accesses (patient_id, granted_at);
create index idx_emergency_user on emergency_accesses (user_id, granted_at);
create index idx_emergency_review on emergency_accesses (review, granted_at);
create index idx_emergency_granted_at on emergency_accesses (granted_at);
create index idx_emergency_seconded_by on emergency_accesses (seconded_by);
create index idx_emergency_reviewed_by on emergency_accesses (reviewed_by);
create index idx_emergency_created_by on emergency_accesses (created_by);
create index idx_emergency_updated_by on emergency_accesses (updated_by);

-- The patients of the caller: those who visit the caller's department from yesterday to tomorrow or are seen by one of
-- its providers, those to whose care team the caller belongs, and those to whose records the caller took access in an
-- emergency.
create or replace view visiting_patients as
    select patient_id from appointments
     where department_id = (select hims_identity.assigned_department_id()) and status <> 'cancelled'
       and scheduled_date - (now() at time zone time_zone)::date between -1 and 1
       -- No such visit is further away, not even where clocks change. The planner knows how many visits these bounds
       -- leave.
       and starts_at > now() - interval '49 hours' and starts_at < now() + interval '49 hours'
    union all
    select c.patient_id from consultations c join users u on u.id = c.provider_id
     where u.department_id = (select hims_identity.assigned_department_id()) and c.status = 'in_progress'
    union all
    select patient_id from care_team_assignments
     where user_id = (select hims_identity.assigned_user_id()) and starts_at <= now()
       and coalesce(ends_at > now(), true)
    union all
    select patient_id from emergency_accesses
     where user_id = (select hims_identity.assigned_user_id()) and granted_at <= now() and ends_at > now();

select hims_identity.readable('care_team_assignments', 'all_patients', 'clinical_records', 'assigned', 'own');
-- Whoever took access sees that, and so does the patient.
select hims_identity.readable('emergency_accesses', 'audit_logs', 'oneself', 'own');
