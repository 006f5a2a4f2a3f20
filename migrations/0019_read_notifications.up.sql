-- The tables are made in the schema hims, or in the schema that the setting hims.read_schema names in a rebuild.
select set_config('search_path', coalesce(nullif(current_setting('hims.read_schema', true), ''), 'hims') || ', public', true);

create table notifications (
    id                 uuid         not null primary key,
    type               varchar(50)  not null check (type in (
                           'appointment_reminder', 'appointment_changed', 'waitlist_offer', 'provider_leave',
                           'critical_result', 'critical_withdrawn', 'result_available', 'specimen_rejected',
                           'prescription_ready', 'low_stock', 'stock_expiring', 'claim_denied', 'report_ready', 'emergency_access', 'system')),
    priority           varchar(20)  not null check (priority in ('low', 'normal', 'high', 'urgent')),
    title              varchar(200),           -- null once the person was erased; likewise message
    message            text,
    action_url         varchar(500),           -- a path within the program
    action_label       varchar(100),
    expires_at         timestamptz,
    dedupe_key         varchar(200),           -- of one type, patient and key there is one notification
    subject_patient_id uuid         references patients (id) deferrable initially deferred,
    visit_starts_at    timestamptz,
    visit_time_zone    varchar(64),
    version            integer      not null,
    created_at         timestamptz  not null,
    updated_at         timestamptz  not null,
    created_by         uuid         references users (id) deferrable initially deferred,
    updated_by         uuid         references users (id) deferrable initially deferred,
    check ((visit_starts_at is null) = (visit_time_zone is null))
);
create index idx_notifications_type on notifications (type, created_at);
create index idx_notifications_priority on notifications (priority, created_at);
create index idx_notifications_created_at on notifications (created_at);
create index idx_notifications_expires_at on notifications (expires_at);
create index idx_notifications_subject_patient on notifications (subject_patient_id, created_at);
create index idx_notifications_created_by on notifications (created_by);
create index idx_notifications_updated_by on notifications (updated_by);

create table notification_recipients (
    id              uuid        not null primary key,
    notification_id uuid        not null references notifications (id) deferrable initially deferred,
    recipient_id    uuid        references users (id) deferrable initially deferred,
    patient_id      uuid        references patients (id) deferrable initially deferred,
    channel         varchar(20) not null check (channel in ('in_app', 'email', 'sms', 'push')),
    address         varchar(255),
    status          varchar(20) not null check (status in ('pending', 'sent', 'delivered', 'read', 'failed')),
    attempts        integer     not null check (attempts >= 0),
    next_attempt_at timestamptz,
    sent_at         timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    failed_at       timestamptz,
    failure_reason  text,
    version         integer     not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    created_by      uuid        references users (id) deferrable initially deferred,
    updated_by      uuid        references users (id) deferrable initially deferred,
    check (channel <> 'in_app' or address is null and recipient_id is not null),
    check (next_attempt_at is null or status = 'pending'),
    check ((status = 'failed') = (failed_at is not null and failure_reason is not null))
);
create index idx_notification_recipients_notification on notification_recipients (notification_id);
create index idx_notification_recipients_recipient on notification_recipients (recipient_id, created_at);
create index idx_notification_recipients_patient on notification_recipients (patient_id, created_at);
create index idx_notification_recipients_channel on notification_recipients (channel, created_at);
create index idx_notification_recipients_status on notification_recipients (status, created_at);
create index idx_notification_recipients_created_at on notification_recipients (created_at);
create index idx_notification_recipients_created_by on notification_recipients (created_by);
create index idx_notification_recipients_updated_by on notification_recipients (updated_by);

create table notification_preferences (
    id          uuid        not null primary key,
    user_id     uuid        unique references users (id) deferrable initially deferred,
    patient_id  uuid        unique references patients (id) deferrable initially deferred,
    channels    jsonb       not null,  -- {type: [channel]}; a type that is not there has its usual channels
    quiet_from  varchar(5),
    quiet_until varchar(5),
    time_zone   varchar(64),
    language    varchar(35),
    version     integer     not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    created_by  uuid        references users (id) deferrable initially deferred,
    updated_by  uuid        references users (id) deferrable initially deferred,
    check ((user_id is null) <> (patient_id is null))
);
create index idx_notification_preferences_created_by on notification_preferences (created_by);
create index idx_notification_preferences_updated_by on notification_preferences (updated_by);

-- A notification is read by its recipients and by its sender, who has written the rows of the recipients, too.
select hims_identity.readable('notification_recipients', 'oneself by recipient_id', 'oneself by created_by', 'own');
select hims_identity.readable('notifications', 'oneself by created_by', 'of notification_recipients by notification_id');
select hims_identity.readable('notification_preferences', 'oneself', 'own', 'all_patients where patient_id is not null');
