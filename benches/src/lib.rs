//! What the benches and the tests share: the lists that people read every day, and tables that are full enough to show
//! what a list costs.

pub mod daily;
