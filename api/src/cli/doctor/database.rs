//! The database: its version, roles, owners, grants, extensions, durability, time limits and clock.

use chrono::{DateTime, TimeDelta, Utc};
use hims_event_store::{MasterKeys, PgEventStore, StoreError, VaultError};
use hims_projections::{Standing, migrations};
use sqlx::{PgPool, Row as _};

use super::Findings;

/// How many connections a server needs with the default settings.
const CONNECTIONS: i32 = 40;

/// Checks the database with the server's login.
pub(super) async fn examine(pool: &PgPool, keys: Option<MasterKeys>, found: &mut Findings) -> Result<(), sqlx::Error> {
    settings(pool, found).await?;
    clock(pool, found).await?;
    login(pool, found).await?;
    extensions(pool, found).await?;
    let pending = migrations::status(pool).await?.into_iter().filter(|it| it.applied_at.is_none()).count();
    if pending > 0 {
        // The log may not even exist, so nothing in it can be checked.
        found.fault(format!("migrations: {pending} migrations are not applied: run `hims migrate up`"));
        return Ok(());
    }
    found.fine("migrations: all are applied");
    owners(pool, found).await?;
    grants(pool, found).await?;
    tables(pool, found).await?;
    if let Some(keys) = keys {
        master_keys(pool, &keys, found).await;
    }
    Ok(())
}

/// Whether the master keys of this program open the keys of people, and whether a rotation was left in the middle.
async fn master_keys(pool: &PgPool, keys: &MasterKeys, found: &mut Findings) {
    match PgEventStore::prove_keys(pool.clone(), keys).await {
        Ok(()) => found.fine("keys: the master key opens the keys of this hospital's people"),
        Err(StoreError::Vault(VaultError::OtherMasterKey(id))) => {
            return found.fault(format!(
                "keys: the master key belongs to another hospital: restore the master key {id} of this hospital"
            ));
        }
        Err(error) => return found.fault(format!("keys: {error}")),
    }
    match hims_event_store::master_keys(pool).await {
        Ok(used) if used.len() > 1 => {
            found.advice(
                "keys: a new master key has taken the place of a former one only in part: run `hims keys rotate`",
            );
        }
        Ok(used) if used.iter().any(|it| it.id != keys.newest().id()) => {
            found.advice("keys: there is a newer master key, which wraps nothing yet: run `hims keys rotate`");
        }
        Ok(_) if keys.ids().count() > 1 => {
            found.advice("keys: only the newest master key is used: take the former ones out, and keep them apart");
        }
        Ok(_) => {}
        Err(error) => found.fault(format!("keys: {error}")),
    }
}

/// Settings of the server on which it depends whether an answered command survives a crash.
async fn settings(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "select current_setting('server_version_num')::int, pg_is_in_recovery(), pg_encoding_to_char(encoding)::text,
                current_setting('max_connections')::int, current_setting('data_checksums')
           from pg_database where datname = current_database()",
    )
    .fetch_one(pool)
    .await?;
    let (version, is_standby, encoding): (i32, bool, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut faults = Vec::new();
    if version < 150_000 {
        faults.push(format!("database: PostgreSQL {} is too old: use 15 or later", version / 10_000));
    }
    if is_standby {
        faults
            .push("database: this is a standby, which takes no commands: name the primary in DATABASE_URL".to_owned());
    }
    if encoding != "UTF8" {
        faults.push(format!("database: its encoding is {encoding}: make a database with encoding 'UTF8'"));
    }
    found.faults_or(faults, &format!("database: PostgreSQL {}, UTF8", version / 10_000));
    if row.try_get::<i32, _>(3)? < CONNECTIONS + 10 {
        found.advice(format!("database: a server needs {CONNECTIONS} connections: raise max_connections"));
    }
    if row.try_get::<&str, _>(4)? == "off" {
        found.advice("database: data_checksums are off, so damage of the disk goes unnoticed: see pg_checksums");
    }
    // The server sets some of these for its own sessions; the values here are those with which a session begins.
    let begun: Vec<(String, String)> = sqlx::query_as(
        "select name, reset_val from pg_settings
          where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'statement_timeout',
                         'synchronous_standby_names') order by name",
    )
    .fetch_all(pool)
    .await?;
    let value = |name: &str| begun.iter().find(|it| it.0 == name).map_or("", |it| it.1.as_str());
    let mut faults = Vec::new();
    // No connection is opened where synchronous_commit is off.
    for name in ["fsync", "full_page_writes"] {
        if value(name) == "off" {
            faults.push(format!("durability: {name} is off, so an answered command may be lost: set it to on"));
        }
    }
    if !value("synchronous_standby_names").is_empty() && value("synchronous_commit") == "local" {
        faults
            .push("durability: synchronous_commit does not wait for the synchronous standby: set it to on".to_owned());
    }
    found.faults_or(faults, "durability: fsync, full_page_writes and synchronous_commit are on");
    match value("statement_timeout").parse::<u64>() {
        Ok(1..60_000) => found.advice(
            "time limits: the login has a statement_timeout below a minute, which ends rebuilds and checks of the log: \
             run `alter role … reset statement_timeout` (the server sets limits for itself)",
        ),
        _ => found.fine("time limits: the login's statement_timeout does not disturb rebuilds"),
    }
    Ok(())
}

/// How far the clock of this machine is from the database's.
async fn clock(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    #[expect(clippy::disallowed_methods, reason = "the clocks are compared")]
    let now = Utc::now;
    // The first statement may open the connection, which would count as time on the way.
    pool.acquire().await?;
    let before = now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await?;
    let ours = before + (now() - before) / 2;
    judge_clock(theirs - ours, found);
    Ok(())
}

fn judge_clock(ahead: TimeDelta, found: &mut Findings) {
    let text = format!("clock: the database's clock differs from this machine's by {} ms", ahead.num_milliseconds());
    match ahead.abs().num_seconds() {
        0 => found.fine(text),
        1..30 => found.advice(format!("{text}: synchronise both clocks (NTP)")),
        _ => found.fault(format!("{text}: synchronise both clocks (NTP)")),
    }
}

/// What the server's login is and may become.
async fn login(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    let roles: Vec<(String, bool, bool)> = sqlx::query_as(
        "select wanted.name, it.rolname is not null, coalesce(it.rolcanlogin, false)
           from unnest(array['hims_owner', 'hims_tables', 'hims_writer', 'hims_projector', 'hims_reader']) wanted (name)
                left join pg_roles it on it.rolname = wanted.name",
    )
    .fetch_all(pool)
    .await?;
    let mut faults = Vec::new();
    for (name, exists, can_log_in) in &roles {
        if !exists {
            faults.push(format!("roles: {name} is missing: make the roles (docs/operators.md, \"Your own database\")"));
        } else if *can_log_in {
            faults.push(format!("roles: somebody could log in as {name}: run `alter role {name} nologin`"));
        }
    }
    let all_exist = roles.iter().all(|it| it.1);
    found.faults_or(faults, "roles: all exist, and nobody can log in with one of them");
    let row = sqlx::query(
        "select rolname::text, rolsuper, rolcreaterole, rolbypassrls,
                pg_has_role(oid, (select datdba from pg_database where datname = current_database()), 'member')
           from pg_roles where rolname = session_user",
    )
    .fetch_one(pool)
    .await?;
    let name: String = row.try_get(0)?;
    let mut faults = Vec::new();
    for (index, is, change) in [
        (1, "is a superuser", "give the server a login of its own"),
        (2, "may make itself a member of any role", "run `alter role … nocreaterole`"),
        (3, "reads past row-level security", "run `alter role … nobypassrls`"),
        (4, "owns the database and could drop it", "run `alter database … owner to hims_owner`"),
    ] {
        // A superuser is a member of every role, which one fault says already.
        if row.try_get(index)? && (index == 1 || !row.try_get::<bool, _>(1)?) {
            faults.push(format!("roles: the server's login {name} {is}: {change}"));
        }
    }
    if all_exist && !row.try_get::<bool, _>(1)? {
        let is_member = "select pg_has_role(session_user, $1, 'member')";
        for role in ["hims_tables", "hims_writer", "hims_projector", "hims_reader"] {
            if !sqlx::query_scalar::<_, bool>(is_member).bind(role).fetch_one(pool).await? {
                faults.push(format!("roles: {name} is no member of {role}: run `grant {role} to {name}`"));
            }
        }
        if sqlx::query_scalar(is_member).bind("hims_owner").fetch_one(pool).await? {
            faults.push(format!(
                "roles: the server's login {name} may change what is recorded: run `revoke hims_owner from {name}`, and \
                 run migrations with another login"
            ));
        }
    }
    found.faults_or(faults, &format!("roles: the server's login {name} may do what it needs, and not change the log"));
    if all_exist {
        let pretenders: Vec<String> = sqlx::query_scalar(
            "select rolname::text from pg_roles
              where rolcanlogin and not rolsuper and rolname <> session_user and pg_has_role(oid, 'hims_writer', 'member')
              order by 1",
        )
        .fetch_all(pool)
        .await?;
        if !pretenders.is_empty() {
            let who = pretenders.join(", ");
            found.advice(format!("roles: {who} can pretend to be any user, as members of hims_writer: is that meant?"));
        }
    }
    Ok(())
}

async fn extensions(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    let there: Vec<String> = sqlx::query_scalar("select extname::text from pg_extension").fetch_all(pool).await?;
    let is_there = |name: &&str| there.iter().any(|it| it == name);
    let missing: Vec<_> = ["btree_gist", "pg_trgm"].into_iter().filter(|it| !is_there(it)).collect();
    let fault = |name| format!("extensions: {name} is missing: install PostgreSQL's contrib package and migrate");
    found.faults_or(missing.into_iter().map(fault).collect(), "extensions: btree_gist and pg_trgm are there");
    for (name, purpose) in [
        ("pg_stat_statements", "shows which statements take long; without it, the view query_performance is empty"),
        ("amcheck", "checks indexes for damage"),
    ] {
        match is_there(&name) {
            true => found.fine(format!("extensions: {name} is there")),
            false => found.fine(format!(
                "extensions: {name} is not installed, which is no fault (it {purpose}; a superuser may create it)"
            )),
        }
    }
    if is_there(&"pg_stat_statements") {
        statements(pool, found).await?;
    }
    Ok(())
}

/// Whether the view `query_performance` can show what `pg_stat_statements` counts.
async fn statements(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    /// What PostgreSQL answers if the library of the extension is not loaded: `object_not_in_prerequisite_state`.
    const NOT_LOADED: &str = "55000";
    let home: String = sqlx::query_scalar(
        "select format('%I', n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
          where e.extname = 'pg_stat_statements'",
    )
    .fetch_one(pool)
    .await?;
    let count = sqlx::AssertSqlSafe(format!("select dealloc from {home}.pg_stat_statements_info"));
    match sqlx::query(count).fetch_one(pool).await {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|it| it == NOT_LOADED) => found.advice(
            "extensions: pg_stat_statements counts nothing, so query_performance is empty: add it to \
             shared_preload_libraries and restart PostgreSQL",
        ),
        counted => drop(counted?),
    }
    let reads_all: bool =
        sqlx::query_scalar("select pg_has_role('hims_owner', 'pg_read_all_stats', 'member')").fetch_one(pool).await?;
    if !reads_all {
        found.advice(
            "extensions: query_performance hides the statements of the server: as a superuser, run `grant \
             pg_read_all_stats to hims_owner`",
        );
    }
    Ok(())
}

/// Who owns the log, its functions and the read tables, and whether the triggers of the log are on.
async fn owners(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    let strange: Vec<String> = sqlx::query_scalar(
        "select format('%s %s belongs to %s and should belong to %s', it.kind, it.name, it.owner::regrole, it.right_owner)
           from (select 'schema', nspname::text, nspowner, 'hims_owner' from pg_namespace where nspname = 'log' union all
                 select 'table', oid::regclass::text, relowner, 'hims_owner' from pg_class
                  where relnamespace = to_regnamespace('log') and relkind in ('r', 'p', 'v') union all
                 select 'function', oid::regprocedure::text, proowner, 'hims_owner' from pg_proc
                  where pronamespace = to_regnamespace('log') union all
                 select 'schema', nspname::text, nspowner, 'hims_tables' from pg_namespace where nspname = 'hims' union all
                 select 'table', oid::regclass::text, relowner, 'hims_tables' from pg_class
                  where relnamespace = to_regnamespace('hims') and relkind in ('r', 'p')
                ) as it (kind, name, owner, right_owner)
          where it.owner::regrole::text <> it.right_owner order by 1",
    )
    .fetch_all(pool)
    .await?;
    let fault = |it| format!("owners: {it}: run `alter … owner to …`");
    found.faults_or(strange.into_iter().map(fault).collect(), "owners: the log belongs to hims_owner");
    let may_rebuild = "select has_database_privilege('hims_tables', current_database(), 'create')";
    if !sqlx::query_scalar::<_, bool>(may_rebuild).fetch_one(pool).await? {
        found.fault("owners: hims_tables may not make new read tables: run `hims migrate up`, which gives the right");
    }
    let off: Vec<String> = sqlx::query_scalar(
        "select wanted.name
           from (values ('events_append_only', 'log.events'), ('head_stays', 'log.head')) wanted (name, home)
                left join pg_trigger t on t.tgname = wanted.name and t.tgrelid = to_regclass(wanted.home)
          where t.oid is null or t.tgenabled not in ('O', 'A')",
    )
    .fetch_all(pool)
    .await?;
    let fault = |it| format!("triggers: {it} is off or missing, so the log could be changed: find out who did it");
    found.faults_or(off.into_iter().map(fault).collect(), "triggers: changes of the log are refused");
    Ok(())
}

/// Who else than its owner may change or delete what is recorded.
async fn grants(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    let granted: Vec<String> = sqlx::query_scalar(
        "select format('%s may %s %s', coalesce(nullif(g.grantee, 0)::regrole::text, 'everybody'),
                       lower(g.privilege_type), c.oid::regclass)
           from pg_class c, aclexplode(c.relacl) g
          where c.oid in (to_regclass('log.events'), to_regclass('log.head')) and g.grantee <> c.relowner
            and (g.privilege_type in ('DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
                 or g.privilege_type = 'UPDATE' and c.oid = to_regclass('log.events')
                 or g.privilege_type in ('INSERT', 'UPDATE') and g.grantee::regrole::text <> 'hims_writer')
          order by 1",
    )
    .fetch_all(pool)
    .await?;
    let fault = |it| format!("grants: {it}: run `revoke … on … from …`");
    found.faults_or(granted.into_iter().map(fault).collect(), "grants: nobody may change or delete an event");
    Ok(())
}

/// Whether the read tables are of this program's form and fit the log.
async fn tables(pool: &PgPool, found: &mut Findings) -> Result<(), sqlx::Error> {
    match migrations::standing(pool).await? {
        Standing::Current => found.fine("read tables: of this program's form"),
        Standing::Newer => {
            found.advice("read tables: a newer release works with the database; this program only reads them");
        }
        Standing::Due | Standing::TakenBack => {
            found.advice("read tables: missing or of another form: a server or `hims rebuild` makes new ones");
        }
        Standing::Beyond => found.fault(
            "read tables: they show events that the log does not hold: find out what happened to the log first, then \
             run `hims rebuild`",
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn a_clock_that_is_half_a_minute_off_is_a_fault() {
        let judged = |milliseconds| {
            let mut found = Findings::default();
            judge_clock(TimeDelta::milliseconds(milliseconds), &mut found);
            found.0.pop()
        };
        assert!(matches!(judged(-999), Some(Finding::Fine(_))));
        assert!(matches!(judged(-1_000), Some(Finding::Advice(_))));
        assert!(matches!(judged(29_999), Some(Finding::Advice(_))));
        assert!(matches!(judged(30_000), Some(Finding::Fault(_))));
    }
}
