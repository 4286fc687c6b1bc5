//! The test run: every case as every user that can be had here, one line each, and the sum.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use crate::cases::CASES;
use crate::host::Host;
use crate::killed;
use crate::stage::FOLDER;

pub const CASE: &str = "case";

/// Nobody in particular: an ordinary user without any rights.
const ORDINARY: u32 = 65534;

/// Under which name a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    Root,
    User,
    Ourselves,
}

/// What all runs have in common: a copy of this program that every user may execute, in a folder of its own.
pub struct Runner {
    pub program: PathBuf,
    scratch: tempfile::TempDir,
    runs: std::cell::Cell<u32>,
}

impl Runner {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        open_to_all(scratch.path());
        let program = scratch.path().join("schism-sandbox-test");
        fs::copy("/proc/self/exe", &program).expect("copying the program");
        open_to_all(&program);
        Runner { program, scratch, runs: 0.into() }
    }

    /// The program in one of its other parts, as this user, with a folder that is this user's.
    pub fn command(&self, user: As, arguments: &[&str]) -> Command {
        self.runs.set(self.runs.get() + 1);
        let folder = self.scratch.path().join(self.runs.get().to_string());
        fs::create_dir(&folder).expect("a folder");
        let mut command = Command::new(&self.program);
        command.args(arguments).env(FOLDER, &folder).current_dir("/");
        if user == As::User {
            chown(&folder, Some(ORDINARY), Some(ORDINARY)).expect("giving the folder away");
            command.uid(ORDINARY).gid(ORDINARY);
        }
        command
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("letting everybody in");
}

pub fn main(filters: &[&str]) -> ExitCode {
    let filters: Vec<&str> = filters.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    be_a_machine();
    let runner = Runner::new();
    let before = Host::look(&runner.program);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut note = |user: As, name: &str, result: Result<(), String>| {
        match &result {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        println!("{} {user:?}: {name}", if result.is_ok() { "passed" } else { "FAILED" });
        if let Err(why) = result {
            println!("{}", why.trim_end());
        }
    };
    for user in users() {
        if let Some(reason) = impossible(&runner, user) {
            println!("skipped: sandbox: {user:?}: {reason}");
            skipped += 1;
            continue;
        }
        for (name, _) in CASES
            .iter()
            .chain(crate::links::CASES)
            .chain(crate::captures::CASES)
            .chain(crate::clocks::CASES)
            .chain(crate::disks::CASES)
            .chain(crate::reboots::CASES)
            .chain(crate::strains::CASES)
            .filter(|(name, _)| wanted(name))
        {
            note(user, name, judge(&runner.command(user, &[CASE, name]).output().expect("running a case")));
        }
        if wanted(killed::NAME) {
            note(user, killed::NAME, killed::check(&runner, user));
        }
    }
    let after = Host::look(&runner.program);
    let same = if before == after { Ok(()) } else { Err(format!("before: {before:#?}\nafter: {after:#?}")) };
    note(As::Ourselves, "the machine is as it was before", same);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let lacking = skipped > 0 && std::env::var_os("CI").is_some();
    if failed > 0 || lacking { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Makes this process's network, name and mounts a machine of their own, as far as we may: what happens on the real one in the
/// meantime is not our doing. Its mounts are shared, as on most machines: one that a sandbox did not keep to itself shows up.
fn be_a_machine() {
    // SAFETY: plain system calls on strings that live; before any thread exists.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWUTS) == 0 {
            for sharing in [libc::MS_PRIVATE, libc::MS_SHARED] {
                let (root, none) = (c"/".as_ptr(), std::ptr::null());
                assert_eq!(libc::mount(none, root, none, libc::MS_REC | sharing, none.cast()), 0);
            }
        }
    }
}

fn users() -> Vec<As> {
    // SAFETY: plain system call that cannot fail.
    if unsafe { libc::geteuid() } == 0 { vec![As::Root, As::User] } else { vec![As::Ourselves] }
}

/// Why no sandbox can be made here by this user.
fn impossible(runner: &Runner, user: As) -> Option<String> {
    let output = runner.command(user, &[killed::VICTIM]).env(killed::ONCE, "1").output().expect("running");
    (output.status.code() == Some(killed::IMPOSSIBLE.into()))
        .then(|| String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

fn judge(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
