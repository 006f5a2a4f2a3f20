drop schema hims_identity cascade;
revoke all on schema log from hims_writer, hims_projector, hims_reader;
revoke all on all tables in schema log from hims_writer, hims_projector, hims_reader;
-- The roles themselves are kept, since other databases of the cluster may use them.
