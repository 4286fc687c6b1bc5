//! `schism clean`: removes whatever a killed run left behind.
//!
//! A sandbox leaves nothing: its nodes, links, rules and mounts are the kernel's to take back when the controller dies.
//! This looks for it all the same, since a promise that is never checked is none. In Docker, what a run has made carries its
//! labels, and the faults in it have ended by themselves.

use std::fs;

use schism_engine::backend::docker::{self, Engine};

use crate::args;
use crate::failure::{Exit, Failure};

/// Looks, removes, and says what it found.
pub fn run(_: &args::Clean) -> Result<Exit, Failure> {
    let strays = strays();
    for (pid, command) in &strays {
        // SAFETY: a plain system call; the process was found to be a sandbox's agent whose controller is gone.
        let killed = unsafe { libc::kill(*pid, libc::SIGKILL) } == 0;
        println!("{} {pid}: {command}", if killed { "killed" } else { "could not kill" });
    }
    if strays.is_empty() {
        println!("nothing to clean: no sandbox outlived its controller");
    }
    in_docker()
}

/// The same in the Docker engine, if there is one: most users have none, and then nothing of ours can be in it.
fn in_docker() -> Result<Exit, Failure> {
    let asked_for = std::env::var_os("DOCKER_HOST").is_some();
    let engine = match Engine::connect() {
        Ok(engine) => engine,
        Err(error) if asked_for => return Err(error.into()),
        Err(error) => {
            eprintln!("note: not looked at: {error}");
            return Ok(Exit::Valid);
        }
    };
    let cleaned = docker::clean(&engine)?;
    for left in &cleaned.removed {
        println!("removed run {}:", left.run);
        for (what, names) in
            [("containers", &left.containers), ("volumes", &left.volumes), ("networks", &left.networks)]
        {
            if !names.is_empty() {
                println!("  {what}: {}", names.join(" "));
            }
        }
    }
    for (run, why) in &cleaned.kept {
        println!("left alone: run {run}: {why}");
    }
    if cleaned.programs > 0 {
        println!("removed {} images of this program that nobody uses", cleaned.programs);
    }
    if cleaned.removed.is_empty() && cleaned.programs == 0 {
        println!("nothing to clean: no killed run has left anything in docker");
    }
    Ok(Exit::Valid)
}

/// Agents of sandboxes whose controller is gone: they have been handed to process 1, or to a reaper of the user's session.
fn strays() -> Vec<(i32, String)> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words: Vec<String> = command
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let is_agent = words.get(1).is_some_and(|word| word == agent_command());
            (is_agent && !has_controller(pid)).then(|| (pid, words.join(" ").trim().to_string()))
        })
        .collect()
}

fn agent_command() -> &'static str {
    #[cfg(target_os = "linux")]
    return schism_engine::backend::sandbox::AGENT_COMMAND;
    #[cfg(not(target_os = "linux"))]
    "sandbox-agent"
}

/// Whether the parent runs the same program.
fn has_controller(pid: i32) -> bool {
    let parent = || -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let program = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    parent().is_some_and(|parent| parent > 1 && program(parent).is_some() && program(parent) == program(pid))
}
