-- What is archived, for rebuilds of the read tables, which archive the same again, and for operators. Not part of a
-- backup: after a restore, nothing is archived until the next run.
create table log.archiving (
    only_row boolean     not null default true primary key check (only_row),
    before   timestamptz,           -- what was closed before this instant is archived; null: nothing is
    run_at   timestamptz            -- when the last run that archives ended; null: none has
);
insert into log.archiving default values;
grant select, update on log.archiving to hims_writer;
grant select on log.archiving to hims_projector;
