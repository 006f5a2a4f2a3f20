//! What the program prints about itself, whatever its settings are.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Subcommand};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use hims_commands::Registry;

use super::{Cli, Failure, say};
use crate::settings;

#[derive(Debug, Subcommand)]
pub(super) enum Printed {
    /// Print the settings: their names, environment variables, flags, defaults and meanings
    Settings {
        /// Print them as a page in Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Print the script that completes commands and flags in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// The folder for the pages, which is made if it is missing
        folder: PathBuf,
    },
}

impl Printed {
    pub(super) fn print(self) -> Result<(), Failure> {
        match self {
            Self::Settings { markdown: false } => say(settings::text())?,
            Self::Settings { markdown: true } => say(settings::markdown())?,
            Self::Openapi => say(serde_json::to_string_pretty(&crate::openapi_document(&Registry::hospital()))?)?,
            Self::Completions { shell } => {
                let mut script = Vec::new();
                generate(shell, &mut Cli::command(), "hims", &mut script);
                say(String::from_utf8_lossy(&script).trim_end())?;
            }
            Self::Man { folder } => write_pages(&folder)
                .map_err(|error| format!("the manual pages cannot be written to {}: {error}", folder.display()))?,
        }
        Ok(())
    }
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write_page(&program, folder)
}

/// Writes the page of a command, and those of the commands below it.
fn write_page(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    Man::new(command.clone())
        .source(concat!("hims ", env!("CARGO_PKG_VERSION")))
        .manual("AROCORD-HIMS")
        .generate_to(folder)?;
    command.get_subcommands().try_for_each(|it| write_page(it, folder))
}
