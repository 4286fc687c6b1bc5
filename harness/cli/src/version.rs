//! Asks a store's program which version it is, for the record: a run that cannot say what it tested cannot be compared.
//!
//! Cannot find out whether the program tells the truth; its checksum stands beside it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to say it. One that does not end was no such program, or does not know these arguments.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what it printed may take to arrive once it has ended. A pipe may stay open in the hands of a process that the
/// program left behind: that one is not waited for.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// How often it is looked whether the program has ended.
const LOOK_MS: i32 = 5;

/// More than any first line: what a program prints beyond that is not read, and it is ended.
const MOST_BYTES: usize = 4096;

/// The first line that it prints, on either of its outputs. Starts no thread: a process that is about to enter a sandbox
/// must have none, and one that has ended may be counted for a while still.
///
/// # Errors
/// Why there is none, in words.
pub fn said_by(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nothing: {error}"))?;
    let mut outputs = [Output::of(child.stdout.take()), Output::of(child.stderr.take())];
    let mut deadline = Instant::now() + PATIENCE;
    let mut ended = false;
    while Instant::now() < deadline && outputs.iter().any(Output::open) {
        read_what_is_there(&mut outputs);
        if !ended && child.try_wait().is_ok_and(|status| status.is_some()) {
            ended = true;
            deadline = deadline.min(Instant::now() + LEFT_OPEN);
        }
    }
    // Ended or not, it is over; what it had said until then counts.
    drop(child.kill());
    drop(child.wait());
    let mut lines = outputs.iter().map(Output::first_line);
    lines.find(|line| !line.is_empty()).ok_or_else(|| "nothing".into())
}

/// One of a program's outputs, and what has come out of it.
struct Output {
    /// Nothing once it has ended or enough has been read.
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl Output {
    fn of(pipe: Option<impl Into<OwnedFd>>) -> Self {
        Output { pipe: pipe.map(|pipe| File::from(pipe.into())), bytes: Vec::new() }
    }

    fn open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Does not block if there is something to read, or the end.
    fn read(&mut self) {
        let mut buffer = [0; MOST_BYTES];
        let read = self.pipe.as_mut().map_or(0, |pipe| pipe.read(&mut buffer).unwrap_or(0));
        self.bytes.extend_from_slice(&buffer[..read]);
        if read == 0 || self.bytes.len() >= MOST_BYTES {
            self.pipe = None;
        }
    }

    fn first_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_string()
    }
}

/// Waits for a moment until there is something to read, and reads it once.
fn read_what_is_there(outputs: &mut [Output; 2]) {
    let mut polled = [0, 1].map(|at: usize| libc::pollfd {
        // A negative descriptor is left out.
        fd: outputs[at].pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the array lives and is as long as is said; the descriptors are open, as their owners live.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, LOOK_MS) };
    if ready > 0 {
        for (output, _) in outputs.iter_mut().zip(&polled).filter(|(_, polled)| polled.revents != 0) {
            output.read();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<String, String> {
        said_by(Path::new("/bin/sh"), &["-c", script])
    }

    #[test]
    fn the_first_line_of_either_output() {
        assert_eq!(shell("echo; echo store 1.2; echo more"), Ok("store 1.2".into()));
        assert_eq!(shell("echo store 1.3 >&2; exit 1"), Ok("store 1.3".into()));
        assert_eq!(shell("echo aside >&2; echo store 1.4"), Ok("store 1.4".into()));
        assert_eq!(shell("true"), Err("nothing".into()));
        assert!(said_by(Path::new("/nowhere/store"), &[]).unwrap_err().starts_with("nothing: "));
    }

    #[test]
    fn one_that_prints_for_ever_is_ended() {
        assert_eq!(shell("echo store; exec yes"), Ok("store".into()));
    }
}
