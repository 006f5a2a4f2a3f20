//! A load of mixed operations on a hospital whose nodes and database are killed, stopped and paused, and a check of
//! everything that was answered: no command is lost or doubled, and there is one order of all operations.

mod history;
mod invariants;
mod order;
mod planted;
