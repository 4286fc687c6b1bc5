//! `schism`: breaks clusters on purpose and proves what they kept.
//!
//! The only place that prints, and the only one that knows every target, workload and nemesis by name. The straight line
//! of a run is [`commands::run`].

mod args;
mod backends;
mod catalogue;
mod cell;
mod cluster;
mod commands;
mod comparisons;
mod demos;
mod failure;
mod folder;
mod in_parts;
mod input;
mod judge;
mod models;
mod parquet;
mod progress;
mod screen;
mod version;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use failure::{Exit, Failure};

fn main() -> ExitCode {
    // Inside a sandbox this same program is what keeps a node, before anything else is looked at.
    #[cfg(target_os = "linux")]
    if std::env::args().nth(1).as_deref() == Some(schism_engine::backend::sandbox::AGENT_COMMAND) {
        return schism_engine::backend::sandbox::agent_main();
    }
    // Inside a container it is what keeps a node there.
    #[cfg(target_os = "linux")]
    if std::env::args().nth(1).as_deref() == Some(schism_engine::backend::docker::SIDECAR_COMMAND) {
        return schism_engine::backend::docker::sidecar_main();
    }
    // And it is by what a store is started there that has to be heard of.
    #[cfg(target_os = "linux")]
    if std::env::args().nth(1).as_deref() == Some(schism_engine::backend::docker::LAUNCH_COMMAND) {
        return schism_engine::backend::docker::launch_main();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors, and clap prints them where they belong.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Valid };
            drop(error.print());
            return exit.into();
        }
    };
    let result = match arguments.command {
        Command::Run(run) => commands::run::run(&run),
        Command::Compare(compare) => commands::compare::run(&compare),
        Command::Check(check) => commands::check::run(&check),
        Command::Shrink(shrink) => commands::shrink::run(&shrink),
        Command::Export(export) => commands::export::run(&export),
        Command::Demo(demo) => commands::demo::run(&demo),
        Command::List(list) => commands::list::run(&list),
        Command::Doctor(doctor) => commands::doctor::run(&doctor),
        Command::Clean(clean) => commands::clean::run(&clean),
        Command::Images(images) => commands::images::run(&images),
        Command::Node(node) => commands::node::run(node),
    };
    result.unwrap_or_else(Failure::show).into()
}
