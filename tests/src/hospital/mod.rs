//! The hospital as its users meet it: over a socket, and on the command line.

mod access;
mod answer;
mod client;
mod command_line;
mod crash;
mod day;
mod declarations;
mod demo;
mod docs;
mod events;
mod everything;
mod fixture;
mod health;
mod idempotency;
mod nodes;
mod pages;
mod plans;
mod problems;
mod process;
mod projections;
mod races;
mod reader_roles;
mod refusals;
mod secrecy;
mod streams;
mod tables;

pub(crate) use answer::Answer;
pub(crate) use client::Client;
pub(crate) use fixture::Hospital;
pub(crate) use process::Process;
