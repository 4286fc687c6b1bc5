//! Where clusters can run, and what a plan may set there.

use std::path::Path;
use std::sync::Arc;

use schism_engine::backend::docker::{Limits, Reach, Way};
use schism_engine::backend::{Capture, ShapedBy, SkewedBy};
use schism_engine::plan::{BackendEntry, BackendPlan, SettingEntry, Values, size};
use schism_engine::target::Setting;

/// Clusters in namespaces of this machine.
pub const SANDBOX: &str = "sandbox";
/// Clusters of containers.
pub const DOCKER: &str = "docker";

/// The file of a run's packets.
pub const CAPTURE: &str = "capture.pcapng";

/// A backend as a plan may name it.
pub struct Entry {
    /// Its name in plans.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What a plan may set.
    pub settings: &'static [Setting],
}

const READY: Setting = Setting {
    name: "ready",
    about: "how a node is found to be ready: health (the target's own question), http:PORT/PATH, tcp:PORT, log:WORDS or \
            command:PROGRAM ARGUMENTS (in docker inside the container; $NODE_ADDRESS is the node's); health by default",
};

const SHAPING: Setting = Setting {
    name: "shaping",
    about: "by what links are made late, lossy and slow: best, nfqueue, tc or switch; best by default, which is the kernel's \
            packet queue, or where there is none tc if that can do what is asked, else in the sandbox a switch in user space, \
            which cuts as well",
};

const CLOCKS: Setting = Setting {
    name: "clocks",
    about: "by what clocks are skewed: best, vdso or library; best by default, which is a patch of each process's vDSO, or \
            where those cannot be patched, a library that dynamic programs load",
};

const CAPTURES: Setting = Setting {
    name: "capture",
    about: "packets of all links are written into capture.pcapng, this many bytes at most, and what faults did to them is \
            said there; nothing by default",
};

/// Every backend.
pub const ALL: &[Entry] = &[
    Entry {
        name: SANDBOX,
        about: "namespaces of this machine; limits nothing",
        settings: &[READY, SHAPING, CLOCKS, CAPTURES],
    },
    Entry {
        name: DOCKER,
        about: "containers, in the local engine or where DOCKER_HOST points",
        settings: &[
            READY,
            SHAPING,
            CAPTURES,
            Setting { name: "memory", about: "the most a node may use, swap included; 2GiB by default" },
            Setting { name: "cpus", about: "processors a node may use, such as 1.5; all by default" },
            Setting { name: "pids", about: "processes and threads a node may have; 8192 by default" },
            Setting {
                name: "reach",
                about: "how clients reach nodes: found (at their own addresses if the engine's network is one of this \
                        machine's, else published) or published (at ports of the engine's machine); found by default",
            },
            Setting {
                name: "cuts",
                about: "by what sidecars choose packets: best, nftables, iptables-nft or iptables-legacy; best by \
                        default, which is nftables, or iptables-legacy where the kernel has none",
            },
            Setting {
                name: "foreign-users",
                about: "whether a store that starts as root changes to another user: its sidecar then gets the \
                        capability KILL; false by default",
            },
        ],
    },
];

/// What the plan's reader needs to know of one.
pub fn entry(backend: &Entry) -> BackendEntry {
    let settings =
        backend.settings.iter().map(|setting| SettingEntry::new(setting.name, values(setting.name)));
    BackendEntry { name: backend.name.into(), settings: settings.collect() }
}

fn values(setting: &str) -> Values {
    match setting {
        "ready" => Values::Ready,
        // Less than that no container is started with.
        "memory" => Values::Size(8 << 20),
        // A packet and all that a file has besides fit into that.
        "capture" => Values::Size(1 << 20),
        "cpus" => Values::Number(1024),
        "pids" => Values::Whole(2, 4_000_000),
        "reach" => Values::words(&["found", "published"]),
        "shaping" => Values::words(&ShapedBy::ALL.map(|(word, _)| word)),
        "clocks" => Values::words(&SkewedBy::ALL.map(|(word, _)| word)),
        "cuts" => Values::words(&Way::ALL.map(|(word, _)| word)),
        "foreign-users" => Values::Switch,
        _ => Values::Any,
    }
}

/// The limits of a plan that has been checked.
pub fn limits(plan: &BackendPlan) -> Limits {
    let usual = Limits::default();
    let set = |name: &str| plan.settings.get(name);
    Limits {
        memory_bytes: set("memory").and_then(|text| size(text).ok()).unwrap_or(usual.memory_bytes),
        cpus: set("cpus").and_then(|text| text.parse().ok()),
        pids: set("pids").and_then(|text| text.parse().ok()).unwrap_or(usual.pids),
    }
}

/// Whether packets are captured in this folder, and how many bytes of them, by a plan that has been checked.
pub fn capture(plan: &BackendPlan, folder: &Path) -> Option<Capture> {
    let bytes = plan.settings.get("capture").and_then(|text| size(text).ok())?;
    Some(Capture { file: folder.join(CAPTURE), bytes, told: Arc::default() })
}

/// By what sidecars choose packets, by a plan that has been checked.
pub fn cuts(plan: &BackendPlan) -> Way {
    let word = plan.settings.get("cuts");
    let found = word.and_then(|word| Way::ALL.into_iter().find(|(known, _)| known == word));
    found.map(|(_, way)| way).unwrap_or_default()
}

/// By what links are shaped, by a plan that has been checked.
pub fn shaped_by(plan: &BackendPlan) -> ShapedBy {
    let word = plan.settings.get("shaping");
    let found = word.and_then(|word| ShapedBy::ALL.into_iter().find(|(known, _)| known == word));
    found.map(|(_, way)| way).unwrap_or_default()
}

/// By what clocks are skewed, by a plan that has been checked.
pub fn skewed_by(plan: &BackendPlan) -> SkewedBy {
    let word = plan.settings.get("clocks");
    let found = word.and_then(|word| SkewedBy::ALL.into_iter().find(|(known, _)| known == word));
    found.map(|(_, way)| way).unwrap_or_default()
}

/// How clients reach nodes, by a plan that has been checked.
pub fn reach(plan: &BackendPlan) -> Reach {
    match plan.settings.get("reach").map(String::as_str) {
        Some("published") => Reach::Published,
        _ => Reach::Found,
    }
}
