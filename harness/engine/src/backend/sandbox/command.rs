//! A short command on this machine in the calling thread's network: a plan's own way to see that a node is ready.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::system::die_with_parent;

/// How often it is looked whether it has ended.
const GLANCE: Duration = Duration::from_millis(2);

/// Runs it, for `limit` at most. The error is its last words, or why there are none.
pub(super) fn run(words: &[String], address: Ipv4Addr, limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("there is no command".into()) };
    let mut command = Command::new(program);
    command.args(arguments).env("NODE_ADDRESS", address.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: all that happens between fork and exec is one system call.
    unsafe { command.pre_exec(die_with_parent) };
    let failed = |error: io::Error| format!("{program}: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let ended = await_end(&mut child, limit);
    if matches!(ended, Ok(None)) {
        child.kill().and_then(|()| child.wait()).map_err(failed)?;
    }
    match ended.map_err(failed)? {
        None => Err(format!("{program}: not done after {limit:?}")),
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let mut said = Vec::new();
            // Its last words are taken as far as they are here: its own children may hold the pipe for ever.
            if let Some(mut stderr) = child.stderr.take() {
                // SAFETY: a plain system call on a descriptor that is ours.
                unsafe { libc::fcntl(stderr.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
                let mut buffer = [0; 4096];
                let length = stderr.read(&mut buffer).unwrap_or_default();
                said.extend(&buffer[..length]);
            }
            let said = String::from_utf8_lossy(&said);
            let last = said.lines().next_back().unwrap_or_default();
            Err(format!("{program}: {status}: {last}").trim_end_matches(": ").into())
        }
    }
}

fn await_end(child: &mut Child, limit: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() >= deadline {
            return Ok(ended);
        }
        std::thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_succeeds_fails_with_its_words_or_runs_out_of_time() {
        let run = |script: &str, limit| {
            let words = ["sh", "-c", script].map(String::from);
            run(&words, Ipv4Addr::new(10, 0, 0, 7), limit)
        };
        let long = Duration::from_secs(60);
        assert_eq!(run("test $NODE_ADDRESS = 10.0.0.7", long), Ok(()));
        assert_eq!(
            run("echo one >&2; echo not yet >&2; exit 3", long),
            Err("sh: exit status: 3: not yet".into())
        );
        assert!(run("sleep 60", Duration::ZERO).is_err_and(|why| why.contains("not done")));
        let nobody = ["/nowhere/at-all".to_owned()];
        assert!(super::run(&nobody, Ipv4Addr::LOCALHOST, long).is_err_and(|why| why.contains("nowhere")));
    }
}
