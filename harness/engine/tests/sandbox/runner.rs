//! The test run: every case as every user that can be had here, one line each, and the sum.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use crate::cases::CASES;
use crate::host::Host;
use crate::killed;
use crate::stage::{FOLDER, SHAPED_BY};

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

/// By what links are shaped where nothing is said.
const USUAL: &str = "best";

/// Every case by its name, and by what links are shaped in it. Those that are about links are there for each way that can do
/// everything.
fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let about_links = [CASES, crate::links::CASES, crate::captures::CASES].concat();
    let others = [
        crate::links::BY_TC,
        crate::clocks::CASES,
        crate::disks::CASES,
        crate::reboots::CASES,
        crate::strains::CASES,
    ]
    .concat();
    let each = |way, cases: Vec<(&'static str, fn())>| {
        cases.into_iter().map(move |(name, _)| (way, name)).chain([(way, killed::NAME)])
    };
    let usual = [about_links.clone(), others].concat();
    each(USUAL, usual).chain(each("switch", about_links))
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
        for (way, name) in cases() {
            let title = if way == USUAL { name.to_owned() } else { format!("by {way}: {name}") };
            if !wanted(&title) {
                continue;
            }
            let result = if name == killed::NAME {
                killed::check(&runner, user, way)
            } else {
                let mut case = runner.command(user, &[CASE, name]);
                judge(&case.env(SHAPED_BY, way).output().expect("running a case"))
            };
            note(user, &title, result);
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
