//! The network of a run: a bridge with a subnet that nobody else uses, and how clients reach nodes in it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::SocketAddr;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, PortBinding};
use bollard::query_parameters::ListNetworksOptions;

use super::containers::name;
use super::engine::Engine;
use super::labels::Controller;
use super::subnet::{self, Subnet};
use crate::backend::BackendError;
use crate::cluster::Node;

/// How many networks are tried when others take them at the same time.
const TRIES: usize = 16;

/// Makes it.
///
/// # Errors
/// What the engine refused, or that no subnet is free.
pub(super) fn make(engine: &Engine, controller: &Controller) -> Result<Subnet, BackendError> {
    let docker = engine.docker();
    let networks = engine.ask("listing networks", docker.list_networks(None::<ListNetworksOptions>))?;
    let configs = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
    let mut taken: Vec<_> =
        configs.filter_map(|config| config.subnet).filter_map(|text| subnet::parse(&text)).collect();
    // Of an engine elsewhere, nobody here knows the routes; it refuses by itself what overlaps with its own.
    taken.extend(subnet::routed(&fs::read_to_string("/proc/net/route").unwrap_or_default()));
    let mut refused = String::new();
    for subnet in subnet::free(&taken, std::process::id()).take(TRIES) {
        let config = IpamConfig {
            subnet: Some(subnet.text()),
            gateway: Some(subnet.gateway().to_string()),
            ..IpamConfig::default()
        };
        let request = NetworkCreateRequest {
            name: name(controller, "network"),
            driver: Some("bridge".into()),
            // Said, since an engine may be told to think otherwise: nodes have no way round a cut.
            enable_ipv6: Some(false),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            labels: Some(controller.labels("network")),
            ..NetworkCreateRequest::default()
        };
        match engine.ask("making the cluster's network", docker.create_network(request)) {
            Ok(_) => return Ok(subnet),
            Err(error) if error.to_string().to_lowercase().contains("overlap") => {
                refused = format!(": {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Err(BackendError::Unsupported {
        problem: format!("no network of 198.18.0.0/15 is free in the docker engine{refused}"),
        remedy: "`schism clean` removes those of killed runs, `docker network ls` shows the others".into(),
    })
}

/// Where a node's published ports are reached.
///
/// # Errors
/// When the engine has not published one of them, or nobody knows its machine.
pub(super) fn published(
    engine: &Engine,
    node: Node,
    wanted: &[u16],
    ports: &HashMap<String, Option<Vec<PortBinding>>>,
) -> Result<BTreeMap<u16, SocketAddr>, BackendError> {
    let host = engine.address()?;
    let reached = |port: &u16| {
        let bound = ports.get(&format!("{port}/tcp"))?.as_ref()?;
        let number = bound.iter().find_map(|one| one.host_port.as_ref()?.parse().ok())?;
        Some((*port, SocketAddr::new(host, number)))
    };
    let all: Option<BTreeMap<_, _>> = wanted.iter().map(reached).collect();
    let problem = || "the engine has not published its ports".to_owned();
    all.ok_or_else(|| BackendError::Node { node, problem: problem() })
}
