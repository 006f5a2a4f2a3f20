drop schema log cascade;
drop extension if exists btree_gist;
