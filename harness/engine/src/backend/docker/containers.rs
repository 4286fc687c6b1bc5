//! The two containers of a node, as they are asked for: its sidecar, and its store's.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType,
    MountVolumeOptions, NetworkingConfig, PortBinding,
};

use super::labels::Controller;
use super::subnet::Subnet;
use super::{DATA, LAUNCH_COMMAND, Options, SIDECAR_COMMAND, Way, own};
use crate::cluster::{Node, Program};
use crate::disk::Watch;

/// What a sidecar may use; it needs a few megabytes.
const SIDECAR_MEMORY: i64 = 128 << 20;
/// The same where it keeps what a node's files held, or what of them is durable.
const LEDGER_MEMORY: i64 = 1 << 30;
/// The volume from which stores are started that have to be heard of: our own program, as it is in its image.
pub(super) const PROGRAM: &str = "program";

/// The name of something of a run.
pub(super) fn name(controller: &Controller, what: &str) -> String {
    format!("schism-{}-{what}", controller.run())
}

/// A sidecar's name, and what it is. `publish`: its ports are published on the engine's machine.
pub(super) fn sidecar(
    controller: &Controller,
    options: &Options,
    node: Node,
    subnet: Subnet,
    publish: bool,
) -> (String, ContainerCreateBody) {
    let network = name(controller, "network");
    let ports: Vec<String> = options.client_ports.iter().map(|port| format!("{port}/tcp")).collect();
    let anywhere = || Some(vec![PortBinding::default()]);
    let names = (0..options.nodes).map(|index| format!("{}:{}", Node(index), subnet.node(index)));
    let address = EndpointIpamConfig {
        ipv4_address: Some(subnet.node(node.0).to_string()),
        ..EndpointIpamConfig::default()
    };
    let endpoint = EndpointSettings { ipam_config: Some(address), ..EndpointSettings::default() };
    let host = HostConfig {
        network_mode: Some(network.clone()),
        port_bindings: publish.then(|| ports.iter().map(|port| (port.clone(), anywhere())).collect()),
        mounts: Some(mounts(controller, options, node)),
        extra_hosts: Some(names.chain([format!("clients:{}", subnet.gateway())]).collect()),
        auto_remove: Some(true),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities(options)),
        memory: Some(if options.watch().remembers() { LEDGER_MEMORY } else { SIDECAR_MEMORY }),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(options.own.id.clone()),
        entrypoint: Some(options.own.entrypoint.clone()),
        cmd: Some(vec![SIDECAR_COMMAND.into()]),
        hostname: Some(node.to_string()),
        labels: Some(controller.labels("sidecar")),
        open_stdin: Some(true),
        // When whoever is attached goes away, the engine closes it: this is the lifeline.
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        exposed_ports: publish.then_some(ports),
        host_config: Some(host),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network, endpoint)])),
        }),
        ..ContainerCreateBody::default()
    };
    (name(controller, &format!("{node}-sidecar")), body)
}

/// What a sidecar may do: choose this node's packets. More only where the run cannot be carried out without.
fn capabilities(options: &Options) -> Vec<String> {
    let mut capabilities = vec!["NET_ADMIN".to_owned()];
    // To send copies of packets, and for the program `iptables-legacy`, which asks the kernel through a raw socket.
    if options.raw_sockets || options.cuts == Way::IptablesLegacy {
        capabilities.push("NET_RAW".into());
    }
    // To signal processes of another user than its own, which is root.
    let others = options.foreign_users || !options.image.runs_as_root;
    if others {
        capabilities.push("KILL".into());
    }
    // To hold processes that may do more than it may itself, to write their memory and to see what they use or call for.
    if options.traces || !options.watch().is_empty() {
        capabilities.push("SYS_PTRACE".into());
    }
    // To limit those of another user, and to change their files.
    if options.traces && others {
        capabilities.push("SYS_RESOURCE".into());
    }
    if !options.disks.is_empty() && others {
        capabilities.push("DAC_OVERRIDE".into());
    }
    // To make their files again as they were.
    if options.watch().keeps_ledger && others {
        capabilities.extend(["CHOWN".into(), "FOWNER".into()]);
    }
    capabilities
}

/// What a sidecar has of volumes: the node's data where it is to change that, and one of them our own program, which the engine then
/// copies there.
fn mounts(controller: &Controller, options: &Options, node: Node) -> Vec<Mount> {
    let data = (!options.disks.is_empty()).then(|| data(controller, node));
    let program = || Mount { read_only: None, volume_options: None, ..own_program(controller) };
    let program = (node == Node(0) && is_launched_from_outside(options)).then(program);
    data.into_iter().chain(program).collect()
}

/// Whether stores are started by our own program, which is not in their image.
pub(super) fn is_launched_from_outside(options: &Options) -> bool {
    !options.watch().is_empty() && options.image.id != options.own.id
}

/// Our own program, as a store's container has it.
fn own_program(controller: &Controller) -> Mount {
    let volume_options = MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() };
    Mount {
        target: Some(own::ROOT.into()),
        source: Some(name(controller, PROGRAM)),
        typ: Some(MountType::VOLUME),
        read_only: Some(true),
        volume_options: Some(volume_options),
        ..Mount::default()
    }
}

/// A node's data.
fn data(controller: &Controller, node: Node) -> Mount {
    Mount {
        target: Some(DATA.into()),
        source: Some(name(controller, &format!("{node}-data"))),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    }
}

/// The store's container of a node, which joins its sidecar's network and processes.
pub(super) fn store(
    controller: &Controller,
    options: &Options,
    node: Node,
    program: &Program,
) -> ContainerCreateBody {
    let sidecar = format!("container:{}", name(controller, &format!("{node}-sidecar")));
    let from_outside = is_launched_from_outside(options).then(|| own_program(controller));
    let watch = options.watch();
    let launched = if watch.is_empty() { Vec::new() } else { launcher(&options.own.entrypoint, &watch) };
    let memory = i64::try_from(options.limits.memory_bytes).unwrap_or(i64::MAX);
    let host = HostConfig {
        network_mode: Some(sidecar.clone()),
        pid_mode: Some(sidecar),
        mounts: Some([data(controller, node)].into_iter().chain(from_outside).collect()),
        memory: Some(memory),
        // The same: no swap, in which a node would be slow rather than out of memory.
        memory_swap: Some(memory),
        nano_cpus: options.limits.cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: Some(i64::from(options.limits.pids)),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(options.image.id.clone()),
        entrypoint: Some([&launched[..], &options.image.entrypoint].concat()),
        cmd: Some(program.arguments.clone()),
        env: Some(program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(controller.labels("node")),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// The words that start a store of whose calls this has to be heard, before its own.
fn launcher(own: &[String], watch: &Watch) -> Vec<String> {
    let watch = serde_json::to_string(watch).expect("it has a JSON text");
    own.iter().cloned().chain([LAUNCH_COMMAND.into(), watch]).collect()
}

/// The addresses of a cluster's nodes.
pub(super) fn addresses(subnet: Subnet, nodes: usize) -> Vec<Ipv4Addr> {
    (0..nodes).map(|index| subnet.node(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Image, Limits, Reach};
    use super::*;
    use crate::backend::ShapedBy;
    use crate::disk::{self, Edit, Harm, Pattern};

    fn options() -> Options {
        let image = Image {
            choice: "own".into(),
            reference: "x:y".into(),
            digest: "sha256:1".into(),
            id: "sha256:1".into(),
            entrypoint: vec!["/x".into()],
            runs_as_root: true,
        };
        Options {
            nodes: 3,
            folder: "/nowhere".into(),
            own: image.clone(),
            image,
            client_ports: vec![80],
            reach: Reach::Found,
            limits: Limits { memory_bytes: 64 << 20, cpus: Some(1.5), pids: 77 },
            cuts: Way::Best,
            shaped_by: ShapedBy::Best,
            capture: None,
            shapes: Vec::new(),
            raw_sockets: false,
            foreign_users: false,
            traces: false,
            disks: Vec::new(),
            seed: 1,
        }
    }

    #[test]
    fn a_sidecar_may_administer_its_network_and_nothing_else_unless_it_has_to() {
        let granted = |change: fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            let subnet = super::super::subnet::free(&[], 0).next().expect("one is free");
            let (_, body) = sidecar(&Controller::own(), &options, Node(1), subnet, false);
            let host = body.host_config.expect("it has one");
            assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
            assert_eq!(
                (host.privileged, host.network_mode.as_deref()),
                (None, body_network(&body.networking_config).as_deref())
            );
            host.cap_add.expect("some").join(" ")
        };
        assert_eq!(granted(|_| {}), "NET_ADMIN");
        assert_eq!(granted(|options| options.raw_sockets = true), "NET_ADMIN NET_RAW");
        assert_eq!(granted(|options| options.cuts = Way::IptablesLegacy), "NET_ADMIN NET_RAW");
        assert_eq!(granted(|options| options.image.runs_as_root = false), "NET_ADMIN KILL");
        assert_eq!(granted(|options| options.foreign_users = true), "NET_ADMIN KILL");
        assert_eq!(granted(|options| options.traces = true), "NET_ADMIN SYS_PTRACE");
        fn edit() -> disk::Wrong {
            disk::Wrong::Edit(Edit { harm: Harm::Tear, files: Pattern::ALL, seed: 1 })
        }
        assert_eq!(granted(|options| options.disks = vec![edit()]), "NET_ADMIN");
        assert_eq!(granted(|options| options.disks = vec![disk::Wrong::Lie]), "NET_ADMIN SYS_PTRACE");
        let all = granted(|options| {
            (options.foreign_users, options.traces, options.disks) = (true, true, vec![edit()]);
        });
        assert_eq!(all, "NET_ADMIN KILL SYS_PTRACE SYS_RESOURCE DAC_OVERRIDE");
        let loses = granted(|options| {
            (options.foreign_users, options.disks) = (true, vec![disk::Wrong::Lose(disk::Loss::All)]);
        });
        assert_eq!(loses, "NET_ADMIN KILL SYS_PTRACE DAC_OVERRIDE CHOWN FOWNER");
    }

    fn body_network(config: &Option<NetworkingConfig>) -> Option<String> {
        config.as_ref()?.endpoints_config.as_ref()?.keys().next().cloned()
    }

    #[test]
    fn a_store_that_is_heard_of_is_launched_by_our_own_program() {
        let started = |change: fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            let body = store(&Controller::own(), &options, Node(0), &Program::default());
            let mounts = body.host_config.and_then(|host| host.mounts).expect("its data at least");
            (
                body.entrypoint.expect("one"),
                mounts.into_iter().filter_map(|mount| mount.target).collect::<Vec<_>>(),
            )
        };
        assert_eq!(started(|_| {}), (vec!["/x".to_owned()], vec![DATA.to_owned()]));
        let lies = |options: &mut Options| options.disks = vec![disk::Wrong::Lie];
        let (words, mounts) = started(lies);
        assert_eq!(
            (&words[..2], &words[3..]),
            (&["/x".to_owned(), LAUNCH_COMMAND.into()][..], &["/x".to_owned()][..])
        );
        assert!(serde_json::from_str::<Watch>(&words[2]).is_ok_and(|watch| !watch.is_empty()));
        assert_eq!(mounts, [DATA], "it has the program already");
        let (words, mounts) = started(|options| {
            options.disks = vec![disk::Wrong::Lie];
            options.image.id = "sha256:2".into();
            options.image.entrypoint = vec!["store".into()];
        });
        assert_eq!((&words[..1], &words[3..]), (&["/x".to_owned()][..], &["store".to_owned()][..]));
        assert_eq!(mounts, [DATA, own::ROOT]);
    }

    #[test]
    fn a_store_gets_its_limits_and_no_capability() {
        let body = store(&Controller::own(), &options(), Node(0), &Program::default());
        let host = body.host_config.expect("it has one");
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.nano_cpus, host.pids_limit), (Some(1_500_000_000), Some(77)));
        assert_eq!((host.cap_add, host.privileged), (None, None));
        assert!(
            host.pid_mode.is_some_and(|mode| mode.starts_with("container:") && mode.ends_with("-n1-sidecar"))
        );
    }
}
