//! The launcher: our own binary in a hidden mode, the first program of a store's container in runs that break disks.
//!
//! It has the sidecar of its node hear of the container's calls on files, by a filter that its process keeps when it becomes
//! another program, and then becomes the store. They meet at an abstract socket, which is the node's own as its network is:
//! nothing of the image is needed for it, and it needs no right that the container does not have. From then on nothing in the
//! container can get more rights by a file's mode (`no_new_privs`): a store that starts others by `sudo` does not start.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::{DATA, IDLE, LAUNCH_COMMAND};
use crate::backend::kernel::disk::Disks;
use crate::backend::kernel::{execs, filter, system};
use crate::disk::Watch;

/// Where launcher and sidecar meet.
const DOOR: &str = "schism-launch";

/// What a container exits with whose store could not be started, as shells have it.
const CANNOT: u8 = 126;

/// How often an idle store does something.
const NOW_AND_THEN: Duration = Duration::from_millis(20);

/// Becomes the store that its arguments name, behind those that say what is to be heard of; or one that does nothing.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2).peekable();
    if arguments.peek().is_some_and(|word| word == IDLE) {
        idle();
    }
    let watch = arguments.next().and_then(|text| serde_json::from_str(text.to_str()?).ok());
    let Some(watch) = watch else {
        eprintln!(
            "error: {LAUNCH_COMMAND} is for schism itself: it is the first program of a store's container"
        );
        return ExitCode::from(64);
    };
    let words: Vec<OsString> = arguments.collect();
    let Err(error) = launch(&watch, &words);
    eprintln!("schism: launching {}: {error}", words.first().cloned().unwrap_or_default().display());
    ExitCode::from(CANNOT)
}

/// A store that does nothing but what it takes to see whether its disk is broken.
fn idle() -> ! {
    let written = File::create(Path::new(DATA).join(IDLE));
    loop {
        // Whatever comes of it is what is to be seen.
        let _ = written.as_ref().map(File::sync_all);
        std::thread::sleep(NOW_AND_THEN);
    }
}

/// Where the sidecar waits for launchers.
///
/// # Errors
/// When somebody else waits there.
pub(super) fn door() -> io::Result<UnixListener> {
    let door = UnixListener::bind_addr(&SocketAddr::from_abstract_name(DOOR)?)?;
    door.set_nonblocking(true).map(|()| door)
}

fn launch(watch: &Watch, words: &[OsString]) -> io::Result<Infallible> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::Error::other("nothing to launch"));
    };
    let mut sidecar = UnixStream::connect_addr(&SocketAddr::from_abstract_name(DOOR)?)?;
    // What is there before it runs is durable; when that has been seen, it may.
    sidecar.read_exact(&mut [0])?;
    let mut calls = filter::program(&Disks::new("", watch.clone()).rules());
    system::renounce()?;
    execs::tell(sidecar.as_raw_fd(), &mut calls)?;
    sidecar.shutdown(Shutdown::Write)?;
    let refused = |_| io::Error::other("the kernel does not let its sidecar hear of its calls (seccomp)");
    sidecar.read_exact(&mut [0]).map_err(refused)?;
    drop(sidecar);
    Err(Command::new(program).args(arguments).exec())
}
