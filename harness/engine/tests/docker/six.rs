//! IPv6, which nodes do not have: no way round a cut even if somebody gives them addresses.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use schism_engine::backend::docker::{Engine, Reach, Way};
use schism_engine::backend::{Backend, BackendError};

use super::{PORT, cluster};

/// Makes this program wait for a datagram by IPv6, and end well if one comes.
pub const LISTENER: &str = "listener";
/// Makes it send datagrams by IPv6 until it is killed.
pub const SPEAKER: &str = "speaker";

pub fn listen() -> ExitCode {
    let socket = UdpSocket::bind(("::", PORT)).expect("the port is free");
    socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a limit");
    println!("here");
    let heard = socket.recv(&mut [0; 16]).is_ok();
    if heard { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub fn speak() -> ! {
    let to = std::env::args().nth(2).expect("an address");
    let socket = UdpSocket::bind("[::]:0").expect("a socket");
    loop {
        // Not to be let is as good an answer as none.
        let _ = socket.send_to(b"!", &to);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a datagram comes from one process's network to this address and port in another's.
fn comes(from: &str, to: &str, address: &str) -> bool {
    let inside = |pid: &str, words: &[&str]| {
        let mut command = std::process::Command::new("nsenter");
        command.args(["--target", pid, "--net", "--"]);
        command.arg(std::env::current_exe().expect("this program has a file")).args(words);
        command.stdout(Stdio::piped()).spawn().expect("there is an nsenter")
    };
    let mut listener = inside(to, &[LISTENER]);
    let output = listener.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut String::new()).expect("it says that it is there");
    let mut speaker = inside(from, &[SPEAKER, address]);
    let heard = listener.wait().expect("it ends").success();
    speaker.kill().expect("it is our child");
    speaker.wait().expect("it is our child");
    heard
}

/// Somebody gives nodes IPv6 addresses behind our back: it is no way round a cut.
pub fn nothing_comes_by_ipv6(engine: &Arc<Engine>, way: Way) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cluster = cluster(engine, Reach::Found, way, folder.path())?;
    let said = |program: &str, words: &[&str]| {
        let output = std::process::Command::new(program).args(words).output().expect("the program is there");
        assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let own = format!("name=schism-{}-.*-n[12]-sidecar", std::process::id());
    let containers = said("docker", &["ps", "--quiet", "--filter", &own]);
    let pids: Vec<String> = containers
        .lines()
        .map(|container| said("docker", &["inspect", "--format", "{{.State.Pid}}", container]))
        .collect();
    assert_eq!(pids.len(), 2, "{containers}");
    for (at, pid) in pids.iter().enumerate() {
        let script = format!(
            "cd /proc/sys/net/ipv6/conf && echo 0 >eth0/accept_dad && echo 0 >lo/disable_ipv6 && \
             echo 0 >eth0/disable_ipv6 && ip address add fd5c:15::{}/64 dev eth0 nodad",
            at + 1
        );
        said("nsenter", &["--target", pid, "--net", "--", "sh", "-c", &script]);
    }
    let [first, second] = [&pids[0], &pids[1]];
    assert!(comes(second, second, &format!("[::1]:{PORT}")), "what a node says to itself is heard");
    assert!(!comes(first, second, &format!("[fd5c:15::2]:{PORT}")), "by an address of its own");
    cluster.stop()
}
