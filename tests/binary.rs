//! Runs the real `schism` binary, as its users do.

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The binary under test.
pub fn schism() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schism"));
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

/// What came of a finished command, in words a failed test can show.
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said.
    pub err: String,
}

impl Ended {
    /// The exit code must be this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// It must have said this, on stderr.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "{words:?} is not in\n{}", self.err);
        self
    }

    /// It must have printed this, on stdout.
    #[track_caller]
    pub fn prints(self, words: &str) -> Self {
        assert!(self.out.contains(words), "{words:?} is not in\n{}", self.out);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs it with these words, in this folder.
pub fn run(folder: &Path, words: &[&str]) -> Ended {
    schism().current_dir(folder).args(words).output().expect("the binary starts").into()
}

/// One that has been started. A test that fails meanwhile leaves none of them at work.
pub struct Started(Option<Child>);

/// Starts it and does not wait.
pub fn start(folder: &Path, words: &[&str]) -> Started {
    let mut command = schism();
    command.current_dir(folder).args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
    Started(Some(command.spawn().expect("the binary starts")))
}

impl Started {
    /// What came of it, when it has ended.
    pub fn ended(mut self) -> Ended {
        let child = self.0.take().expect("until here it is there");
        child.wait_with_output().expect("it is our child").into()
    }
}

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("until its end it is there")
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("until its end it is there")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended, and been waited for.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Waits until something holds; a test that waits longer than a minute has failed.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited a minute until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Real clusters one at a time: they would disturb one another on a small machine. What a test or a run that was killed has left
/// behind goes first: it would be taken for what the next one leaves.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Whether there is anything to be cleaned, and an engine to ask, is not what is tested.
    run(Path::new("."), &["clean"]);
    alone
}

/// Whether sandboxes can be made here. Where not, the test is skipped by name, and in CI that is a failure.
pub fn sandboxes(test: &str) -> bool {
    let doctor = run(Path::new("."), &["doctor", "sandbox"]);
    doctor.code == Some(0) || skipped(test, &format!("no sandboxes here:\n{}{}", doctor.out, doctor.err))
}

/// Reports a skipped test past the test runner's capture. Always false.
pub fn skipped(test: &str, why: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {test}: {why}");
    drop(writeln!(std::io::stderr(), "skipped: {test}: {why}"));
    false
}

/// A new folder that any user may use.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))
            .expect("its owner may");
    }
    folder
}

/// Writes a file into a folder.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder is writable");
    path
}
