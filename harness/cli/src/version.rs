//! Asks a store's program which version it is, for the record: a run that cannot say what it tested cannot be compared.
//!
//! Cannot find out whether the program tells the truth; its checksum stands beside it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a program may take to say it. One that does not end was no such program, or does not know these arguments.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what it printed may take to arrive once it has ended.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// More than any first line: what a program prints beyond that is not read, and it is ended.
const MOST_BYTES: u64 = 4096;

/// The first line that it prints, on either of its outputs.
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
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    let said = outputs.map(|pipe| {
        let (says, said) = mpsc::channel();
        std::thread::spawn(move || says.send(pipe.map_or(String::new(), first_line)));
        said
    });
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && child.try_wait().is_ok_and(|ended| ended.is_none()) {
        std::thread::sleep(Duration::from_millis(2));
    }
    // Ended or not, it is over; what it had said until then counts.
    drop(child.kill());
    drop(child.wait());
    // A pipe may stay open in the hands of a process that the program left behind: that one is not waited for.
    let mut lines = said.iter().map(|said| said.recv_timeout(LEFT_OPEN).unwrap_or_default());
    lines.find(|line| !line.is_empty()).ok_or_else(|| "nothing".into())
}

fn first_line(pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    drop(pipe.take(MOST_BYTES).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_string()
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
        assert_eq!(shell("true"), Err("nothing".into()));
        assert!(said_by(Path::new("/nowhere/store"), &[]).unwrap_err().starts_with("nothing: "));
    }

    #[test]
    fn one_that_prints_for_ever_is_ended() {
        assert_eq!(shell("echo store; exec yes"), Ok("store".into()));
    }
}
