//! The roles of the database: who owns what, and with which rights the server works.
//!
//! `hims_owner` owns the log and runs the migrations, `hims_tables` owns the read tables, and the server works as
//! `hims_writer`, `hims_projector` and `hims_reader`. Nobody logs in with one of these roles. The login for migrations
//! is a member of `hims_owner`; the login of the server is a member of the other roles, but not of `hims_owner`, so the
//! server cannot change what is recorded.

use hims_event_store::bounded::{LONG_ANSWER, lend, within};
use sqlx::{Executor as _, PgConnection, PgPool};

/// The statements with which a superuser makes the roles and both logins, once in a cluster. The logins have no
/// passwords yet.
pub const ROLES: &str = include_str!("roles.sql");

/// The role that owns the read tables.
pub(crate) const TABLES_OWNER: &str = "hims_tables";

/// The advisory lock of the process that makes roles ("himo" in ASCII).
const LOCK: i64 = 0x6869_6d6f;

/// Makes roles that are missing, and gives their rights on this database, if the login may do so. A login that may make
/// roles and is no member of `hims_owner` becomes a member of all roles, so that one login is enough for a trial.
const MAKE: &str = "
    do $$
    declare
        name text;
    begin
        foreach name in array array['hims_owner', 'hims_tables', 'hims_writer', 'hims_projector', 'hims_reader'] loop
            if not exists (select from pg_roles where rolname = name) then
                begin
                    execute format('create role %I', name);
                exception when duplicate_object or unique_violation then
                    null;  -- the migration of another database made the role at the same moment
                end;
            end if;
        end loop;
        if not pg_has_role('hims_tables', 'hims_projector', 'member') then
            grant hims_projector to hims_tables;
        end if;
        if not pg_has_role('hims_owner', 'hims_tables', 'member') then
            grant hims_tables to hims_owner;
        end if;
        if not pg_has_role(session_user, 'hims_owner', 'member') then
            execute format('grant hims_owner, hims_tables, hims_writer, hims_projector, hims_reader to %I',
                           session_user);
        end if;
        foreach name in array array['hims_owner', 'hims_tables'] loop
            if not has_database_privilege(name, current_database(), 'create') then
                execute format('grant create on database %I to %I', current_database(), name);
            end if;
        end loop;
        if not has_schema_privilege('hims_owner', 'public', 'create') then
            grant create on schema public to hims_owner;
        end if;
    end $$";

/// Makes roles that are missing, and takes up the role `hims_owner`.
///
/// # Errors
/// When the login may neither make roles nor take up `hims_owner`.
pub(crate) async fn become_owner(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut *session).await?;
    session.execute(MAKE).await?;
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(&mut *session).await?;
    session.execute("set role hims_owner").await.map(drop)
}

/// Whether the login may run migrations, since it is a member of `hims_owner` or may make itself one. Such a login may
/// also switch off what protects the log, so a server should not have it.
///
/// # Errors
/// When the database does not answer.
pub async fn may_migrate(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let sql = "select login.rolsuper or login.rolcreaterole
                      or exists (select from pg_roles owner
                                  where owner.rolname = 'hims_owner' and pg_has_role(session_user, owner.oid, 'member'))
                 from pg_roles login where login.rolname = session_user";
    let mut db = lend(pool).await?;
    let may = within(LONG_ANSWER, sqlx::query_scalar(sql).fetch_one(&mut *db)).await;
    db.back(may)
}
