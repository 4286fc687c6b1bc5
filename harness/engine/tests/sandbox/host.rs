//! The machine as seen from outside a sandbox: what must be the same before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What could be left behind, or changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    interfaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    rules: Option<String>,
    forwarding: String,
    name: String,
    /// Processes of this program, by id and arguments.
    pub processes: BTreeSet<String>,
}

impl Host {
    /// Looks. Processes are told by the file that they execute, which also finds those that have not yet become anything
    /// else; a namespace is told by the processes in it.
    pub fn look(program: &Path) -> Self {
        let lines = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let interfaces = lines("/proc/net/dev");
        let interfaces =
            interfaces.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        // A docker engine here may take its time to forget containers that have ended.
        let mounts = lines("/proc/self/mountinfo");
        let mounts = mounts.lines().filter(|line| !line.contains("/docker/")).map(str::to_owned).collect();
        // Without counters: somebody may speak to this machine meanwhile.
        let rules = Command::new("nft").args(["--stateless", "list", "ruleset"]).output().ok();
        let (mut namespaces, mut processes) = (BTreeSet::new(), BTreeSet::new());
        for process in fs::read_dir("/proc").expect("/proc").flatten() {
            let path = process.path();
            if fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program) {
                let arguments =
                    fs::read_to_string(path.join("cmdline")).unwrap_or_default().replace('\0', " ");
                processes.insert(format!("{} {arguments}", process.file_name().to_string_lossy()));
                for kind in ["net", "mnt", "pid", "uts", "ipc", "user"] {
                    let link = fs::read_link(path.join("ns").join(kind));
                    namespaces.extend(link.ok().map(|link| link.display().to_string()));
                }
            }
        }
        Host {
            interfaces: interfaces.collect(),
            mounts,
            namespaces,
            rules: rules.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()),
            forwarding: lines("/proc/sys/net/ipv4/ip_forward"),
            name: lines("/proc/sys/kernel/hostname"),
            processes,
        }
    }
}
