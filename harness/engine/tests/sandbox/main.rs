//! Real sandboxes: each case makes a cluster out of namespaces, in a process of its own, as root and as an ordinary user.
//!
//! The same program plays every part, told by its first argument: the test run itself, one case, a node's agent, the
//! daemon of a node, or a controller that is there to be killed. It finds out whether faults really happen and whether
//! anything stays behind; it cannot find what only another kernel would do.

#[cfg(target_os = "linux")]
#[path = "../captured/mod.rs"]
mod captured;
#[cfg(target_os = "linux")]
mod captures;
#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod clocks;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod killed;
#[cfg(target_os = "linux")]
mod links;
#[cfg(target_os = "linux")]
mod reboots;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod strains;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use schism_engine::backend::sandbox::{AGENT_COMMAND, agent_main};
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [AGENT_COMMAND, ..] => agent_main(),
        [daemon::COMMAND, ..] => daemon::main(),
        [runner::CASE, name] => cases::run(name),
        [killed::VICTIM] => killed::victim(),
        _ => runner::main(&words),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: sandbox: it needs Linux");
}
