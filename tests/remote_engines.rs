//! Engines that are reached over tcp and over ssh, with nodes' ports published as from another machine: the same run, the
//! same faults, the same verdict. Both ways lead to this machine's engine in the end; what is shown is that nothing of a
//! run needs the controller's files or network where the engine is.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::binary::{Ended, alone, folder, run, schism, skipped, wait_until};
use crate::docker_runs::{all_faults_bit, docker, ours};
use crate::engine_between::Between;

/// Where a debian package puts it: not on the path of ordinary users.
const SSHD: &str = "/usr/sbin/sshd";

/// A run of etcd with cuts, also between clients and nodes, and reboots, against that engine; the packets of its links are captured here.
fn a_whole_run(host: &str, home: Option<&Home>) {
    let folder = folder();
    let line = "run --backend docker --set backend.reach=published --target etcd --nodes 3 --time-limit 16s --seed 3 \
                --nemesis partition:shape=clients:schedule=periodic:every=6s:lasts=2s,reboot:schedule=periodic:every=6s:lasts=2s \
                --capture --out a";
    let mut command = schism();
    command.current_dir(folder.path()).env("DOCKER_HOST", host);
    if let Some(home) = home {
        home.of(&mut command);
    }
    let ended: Ended = command.args(line.split_whitespace()).output().expect("the binary starts").into();
    ended.expect(0).prints("VALID").says("packets in capture.pcapng");
    all_faults_bit(&folder.path().join("a"), &["partition", "reboot"]);
    for node in 1..=3 {
        let log = fs::read_to_string(folder.path().join(format!("a/nodes/n{node}/node.log")));
        assert!(
            log.is_ok_and(|log| log.contains("start 1: etcd ") && log.lines().count() > 5),
            "n{node} has a log"
        );
    }
    let plan = fs::read_to_string(folder.path().join("a/plan.toml")).expect("a run leaves plan.toml");
    assert!(plan.contains(&format!(" at {host}")), "{host} is not in\n{plan}");
    assert_eq!(ours(), [""; 0], "nothing is left in the engine");
}

#[test]
fn an_engine_over_tcp_does_the_same() {
    if !docker("engine over tcp") {
        return;
    }
    let _alone = alone();
    a_whole_run(&Between::new(&[]).host(), None);
}

#[test]
fn an_engine_over_ssh_does_the_same() {
    if !docker("engine over ssh") {
        return;
    }
    if !Path::new(SSHD).exists()
        && !skipped("engine over ssh", "no sshd here: apt-get install openssh-server")
    {
        return;
    }
    let _alone = alone();
    let server = Server::start();
    let home = Home::new(&server);
    a_whole_run(&server.host(), Some(&home));
    assert_eq!(server.clients(), [0; 0], "no ssh is left");
    assert_eq!(home.files(), [""; 0], "no file is left");
    // Killed in the middle of a run, it takes every ssh along.
    let folder = folder();
    let mut command = schism();
    home.of(command.current_dir(folder.path()).env("DOCKER_HOST", server.host()));
    let line = "run --backend docker --nodes 1 --time-limit 60s --nemesis none --out a";
    let mut child =
        command.args(line.split_whitespace()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let history = folder.path().join("a/history.jsonl");
    wait_until("the load has begun", || fs::metadata(&history).is_ok_and(|file| file.len() > 10_000));
    assert!(!server.clients().is_empty(), "it is connected");
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    wait_until("no ssh is left", || server.clients().is_empty());
    assert_eq!(home.files(), [""; 0], "no file is left");
    wait_until("nothing is left", || {
        run(folder.path(), &["clean"]).expect(0);
        ours().is_empty()
    });
}

#[test]
fn who_is_not_let_in_by_ssh_is_told_why() {
    if !Path::new(SSHD).exists() && !skipped("refused by ssh", "no sshd here: apt-get install openssh-server")
    {
        return;
    }
    let (server, folder) = (Server::start(), folder());
    fs::write(server.folder.path().join("authorized"), "").expect("the folder is writable");
    let home = Home::new(&server);
    let mut command = schism();
    home.of(command.current_dir(folder.path()).env("DOCKER_HOST", server.host()));
    let words = ["run", "--backend", "docker", "--out", "a"];
    let ended: Ended = command.args(words).output().expect("the binary starts").into();
    ended.expect(3).says("there is no docker engine at ssh://").says("Permission denied").says("hint:");
    assert_eq!(server.clients(), [0; 0], "no ssh is left");
    assert_eq!(home.files(), [""; 0], "no file is left");
}

/// A home with nothing in it, for whoever runs the program, and its own `ssh` on the path.
struct Home {
    folder: TempDir,
    path: OsString,
}

impl Home {
    fn new(server: &Server) -> Self {
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let all = [server.client()].into_iter().chain(std::env::split_paths(&usual));
        Home { folder: folder(), path: std::env::join_paths(all).expect("no colon is in it") }
    }

    fn of(&self, command: &mut Command) {
        command.env("PATH", &self.path).env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        for name in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"] {
            command.env_remove(name);
        }
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("it can be read");
        entries.map(|entry| entry.expect("it can be read").path().display().to_string()).collect()
    }
}

/// An ssh server of the test's own on this machine, with keys that nobody else has.
struct Server {
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            assert!(made.expect("ssh-keygen is there").success(), "a key is made");
        }
        fs::copy(at("user.pub"), at("authorized")).expect("the key is there");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        // StrictModes would ask whose the temporary folder's parents are.
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n",
            at("host"),
            at("authorized")
        );
        fs::write(at("sshd_config"), settings).expect("the folder is writable");
        let client = format!(
            "Host 127.0.0.1\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n",
            at("user"),
            at("known")
        );
        fs::write(at("ssh_config"), client).expect("the folder is writable");
        let key = fs::read_to_string(at("host.pub")).expect("the key is there");
        fs::write(at("known"), format!("[127.0.0.1]:{port} {key}")).expect("the folder is writable");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stderr(fs::File::create(at("log")).expect("the folder is writable"))
            .spawn()
            .expect("sshd is there");
        let server = Server { folder, child, port };
        wait_until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn host(&self) -> String {
        let user = Command::new("id").arg("-un").output().expect("there is an id").stdout;
        format!("ssh://{}@127.0.0.1:{}", String::from_utf8_lossy(&user).trim(), self.port)
    }

    /// The processes of its clients.
    fn clients(&self) -> Vec<u32> {
        let config = self.folder.path().join("ssh_config").display().to_string();
        let is_client = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&config)
        };
        let entries = fs::read_dir("/proc").expect("it can be read");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(is_client).collect()
    }

    /// A folder with an `ssh` that knows the keys, and touches nothing of whoever runs the test.
    fn client(&self) -> PathBuf {
        let folder = self.folder.path().join("bin");
        fs::create_dir_all(&folder).expect("the folder is writable");
        let config = self.folder.path().join("ssh_config");
        let file = folder.join("ssh");
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", config.display());
        fs::write(&file, script).expect("the folder is writable");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}
