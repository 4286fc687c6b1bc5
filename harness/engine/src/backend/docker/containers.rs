//! The two containers of a node, as they are asked for: its sidecar, and its store's.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType,
    NetworkingConfig, PortBinding,
};

use super::labels::Controller;
use super::subnet::Subnet;
use super::{DATA, Options, SIDECAR_COMMAND, Way};
use crate::cluster::{Node, Program};

/// What a sidecar may use; it needs a few megabytes.
const SIDECAR_MEMORY: i64 = 128 << 20;

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
        // Only where it is to change the node's files.
        mounts: options.edits.then(|| vec![data(controller, node)]),
        extra_hosts: Some(names.chain([format!("clients:{}", subnet.gateway())]).collect()),
        auto_remove: Some(true),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities(options)),
        memory: Some(SIDECAR_MEMORY),
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
    // To hold processes that may do more than it may itself, to write their memory and to see what they use.
    if options.traces {
        capabilities.push("SYS_PTRACE".into());
    }
    // To limit those of another user, and to change their files.
    if options.traces && others {
        capabilities.push("SYS_RESOURCE".into());
    }
    if options.edits && others {
        capabilities.push("DAC_OVERRIDE".into());
    }
    capabilities
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
    let memory = i64::try_from(options.limits.memory_bytes).unwrap_or(i64::MAX);
    let host = HostConfig {
        network_mode: Some(sidecar.clone()),
        pid_mode: Some(sidecar),
        mounts: Some(vec![data(controller, node)]),
        memory: Some(memory),
        // The same: no swap, in which a node would be slow rather than out of memory.
        memory_swap: Some(memory),
        nano_cpus: options.limits.cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: Some(i64::from(options.limits.pids)),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(options.image.id.clone()),
        entrypoint: Some(options.image.entrypoint.clone()),
        cmd: Some(program.arguments.clone()),
        env: Some(program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(controller.labels("node")),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
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
            edits: false,
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
        assert_eq!(granted(|options| options.edits = true), "NET_ADMIN");
        let all = granted(|options| {
            (options.foreign_users, options.traces, options.edits) = (true, true, true);
        });
        assert_eq!(all, "NET_ADMIN KILL SYS_PTRACE SYS_RESOURCE DAC_OVERRIDE");
    }

    fn body_network(config: &Option<NetworkingConfig>) -> Option<String> {
        config.as_ref()?.endpoints_config.as_ref()?.keys().next().cloned()
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
