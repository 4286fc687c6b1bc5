//! A Docker engine of the test's own, beside the machine's: with other folders, and with network, mounts and processes in
//! namespaces of its own, so that it can be restarted and filled up, and leaves nothing when it is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::binary::{Ended, schism, wait_until};

/// Keeps an engine going: one that ends is started again. `$1` is its folder, `$2` how it stores images, `$3` the
/// size of the disk for its data.
const KEEPER: &str = r#"
mount --make-rprivate /
ip link set lo up
mkdir -p "$1/data" "$1/exec"
echo '{}' >"$1/config"
[ -z "$3" ] || mount -t tmpfs -o "size=$3" data "$1/data"
while :; do
  dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/socket" \
    --config-file "$1/config" --bridge none --storage-driver "$2" >>"$1/log" 2>&1
  rm -f "$1/pid"
done
"#;

/// The engine; killed when dropped, with all that runs in it.
pub struct Second {
    folder: TempDir,
    keeper: Child,
}

impl Second {
    /// Starts one with that much room for its data, or as much as there is.
    pub fn start(room: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_str().expect("the path is text");
        // What the machine's engine can do here, another can.
        let driver = Command::new("docker").args(["info", "--format", "{{.Driver}}"]).output();
        let driver =
            String::from_utf8_lossy(&driver.expect("the engine's client is there").stdout).into_owned();
        let namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let keeper = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", KEEPER, "keeper", path, driver.trim(), room])
            .stdin(Stdio::null())
            .spawn()
            .expect("there is an unshare");
        let second = Second { folder, keeper };
        wait_until("the second engine answers", || second.answers());
        second
    }

    fn host(&self) -> String {
        format!("unix://{}/socket", self.folder.path().display())
    }

    fn answers(&self) -> bool {
        self.docker(&["version"]).is_some()
    }

    /// What it says to a command of its client; nothing if it refuses.
    pub fn docker(&self, words: &[&str]) -> Option<String> {
        let output = Command::new("docker").args(["--host", &self.host()]).args(words).output();
        let output = output.expect("the engine's client is there");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Everything in it that carries our labels.
    pub fn ours(&self) -> Vec<String> {
        let label = "--filter=label=schism.run";
        let said = |words: &[&str]| self.docker(words).expect("it answers");
        let lists = [
            said(&["ps", "-aq", label]),
            said(&["volume", "ls", "-q", label]),
            said(&["network", "ls", "-q", label]),
        ];
        lists.iter().flat_map(|list| list.lines()).map(str::to_owned).collect()
    }

    /// Runs our program in the engine's network, where its nodes can be reached.
    pub fn run(&self, folder: &Path, words: &[&str]) -> Ended {
        let program = schism().get_program().to_owned();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.first())).arg("--").arg(program).args(words);
        command.current_dir(folder).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        command.output().expect("there is an nsenter").into()
    }

    /// Ends the engine as an update of it does. It comes back by itself.
    pub fn restart(&self) {
        let engine = child_of(self.first()).expect("it runs");
        // SAFETY: a plain system call; the process is a child of one that we have started.
        unsafe { libc::kill(engine, libc::SIGTERM) };
        wait_until("another engine runs", || child_of(self.first()).is_some_and(|now| now != engine));
    }

    /// The first process of its namespaces, as the machine counts.
    fn first(&self) -> i32 {
        child_of(self.keeper.id() as i32).expect("it has been started")
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // The kernel kills everything in its namespaces.
        self.keeper.kill().expect("it is our child");
        self.keeper.wait().expect("it is our child");
    }
}

fn child_of(pid: i32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
