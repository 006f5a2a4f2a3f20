drop table log.archiving;
