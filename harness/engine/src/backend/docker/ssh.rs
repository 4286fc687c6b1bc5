//! An engine behind ssh: every connection to it is a process of your own `ssh`, with `docker system dial-stdio` at its other
//! end, as the official client does it.
//!
//! The process speaks through one end of a socket pair, and we hold the other. It ends with its connection, and on Linux with
//! us, `kill -9` included: to lose its input would not be enough where the engine goes on telling something. Nothing is
//! written anywhere, and no process is shared between connections. A password cannot be asked for: there may be many
//! connections, and nobody at a terminal.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// How long an engine may take for an answer, in seconds; what takes longer sends some of it meanwhile.
const TIMEOUT_S: u64 = 120;
/// How much of what ssh says of itself is kept.
const SAID: usize = 4096;
/// What no configuration may change: never ask, never give up silently, never stay behind for later connections.
const OPTIONS: [&str; 3] = ["BatchMode=yes", "ConnectTimeout=30", "ControlMaster=no"];

/// Who is meant by `ssh://user@name:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    user: Option<String>,
    name: String,
    port: Option<u16>,
}

impl Destination {
    /// What stands behind `ssh://`; else what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        if place.trim_end_matches('/').contains('/') {
            return Err("nothing can stand behind the machine: the engine is where that `docker` finds it");
        }
        let place = place.trim_end_matches('/');
        let (name, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(name, port)| (name, Some(port))),
        };
        let port = port.map(str::parse).transpose().map_err(|_| "its port is not a number")?;
        if name.is_empty() || name.starts_with('-') || user.is_some_and(str::is_empty) {
            return Err("it names no machine");
        }
        Ok(Destination { user: user.map(str::to_owned), name: name.into(), port })
    }

    /// The machine that is meant, as a configuration of ssh may say.
    pub(super) fn machine(&self) -> Option<String> {
        let said = self.to("-G").output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.lines().find_map(|line| line.strip_prefix("hostname ")).map(|name| name.trim().into())
    }

    fn command(&self) -> Command {
        let mut command = self.to("-T");
        command.args(["docker", "system", "dial-stdio"]);
        command
    }

    /// What starts ssh in this way with this machine.
    fn to(&self, way: &str) -> Command {
        let mut command = Command::new("ssh");
        command.arg(way).args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", &self.name]).stdin(Stdio::null());
        command
    }
}

/// A client whose connections are made so.
pub(super) fn client(destination: Destination) -> Result<Docker, bollard::errors::Error> {
    let client = Client::builder(TokioExecutor::new()).build(Connector(destination));
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async { Ok(answer.await?) }
    };
    // The name is for the request's head alone: who is connected to is known already.
    Docker::connect_with_custom_transport(send, Some("http://docker"), TIMEOUT_S, API_DEFAULT_VERSION)
}

#[derive(Clone)]
struct Connector(Destination);

impl tower_service::Service<hyper::Uri> for Connector {
    type Response = TokioIo<Dialled>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Dialled>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: hyper::Uri) -> Self::Future {
        let command = self.0.command();
        // Where tasks run there is the one thread that lives as long as the client does: the process is bound to it.
        let started = tokio::spawn(async { Dialled::start(command) });
        Box::pin(async { Ok(TokioIo::new(started.await.map_err(io::Error::other)??)) })
    }
}

/// A connection: a process, and what is said to it and by it.
struct Dialled {
    // Closed before the process is ended and waited for.
    line: UnixStream,
    complaints: UnixStream,
    said: Vec<u8>,
    answered: bool,
    process: Process,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself. Either way there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Dialled {
    fn start(mut command: Command) -> io::Result<Self> {
        let (ours, theirs) = Pair::pair()?;
        let (hears, complains) = Pair::pair()?;
        let output = OwnedFd::from(theirs.try_clone()?);
        command.stdin(OwnedFd::from(theirs)).stdout(output).stderr(OwnedFd::from(complains));
        #[cfg(target_os = "linux")]
        // SAFETY: between fork and exec the closure makes one system call, and nothing that allocates.
        unsafe {
            use std::os::unix::process::CommandExt;
            command.pre_exec(crate::backend::kernel::system::die_with_parent);
        }
        let started = command.spawn();
        let process = Process(started.map_err(|error| {
            let program = command.get_program().display();
            io::Error::new(error.kind(), format!("{program} cannot be started: {error}"))
        })?);
        let awaited = |pair: Pair| pair.set_nonblocking(true).and_then(|()| UnixStream::from_std(pair));
        Ok(Dialled {
            line: awaited(ours)?,
            complaints: awaited(hears)?,
            said: Vec::new(),
            answered: false,
            process,
        })
    }

    /// Why nothing ever came: what the process said before it ended.
    fn why(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut room = [0; 1024];
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.complaints).poll_read(context, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.said.len() < SAID => {
                    self.said.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) => break,
            }
        }
        let said = String::from_utf8_lossy(&self.said);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = match self.process.0.try_wait() {
            _ if !lines.is_empty() => lines.join("; "),
            Ok(Some(status)) => format!("it ended without a word ({status})"),
            _ => "it was silent".into(),
        };
        Poll::Ready(io::Error::other(format!("ssh: {said}")))
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.line).poll_read(context, buffer);
        let silent = matches!(read, Poll::Ready(_)) && buffer.filled().len() == before;
        if silent && !self.answered {
            return self.why(context).map(Err);
        }
        self.answered |= buffer.filled().len() > before;
        read
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.line).poll_write(context, bytes) {
            // It has ended; reading tells why.
            Poll::Ready(Err(_)) if !self.answered => self.why(context).map(Err),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(context)
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn places_are_read_as_the_official_client_reads_them() {
        let words = |text: &str| -> Vec<String> {
            let command = Destination::parse(text).expect("it names a machine").command();
            let words = command.get_args().skip(1 + 2 * OPTIONS.len());
            words.map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let dial = ["docker", "system", "dial-stdio"];
        assert_eq!(words("there"), [&["--", "there"][..], &dial].concat());
        assert_eq!(words("me@there:2222/"), [&["-l", "me", "-p", "2222", "--", "there"][..], &dial].concat());
        assert_eq!(words("[::1]:22"), [&["-p", "22", "--", "::1"][..], &dial].concat());
        for wrong in ["", "me@", "@there", "-oProxyCommand=x", "there:x", "there/run/docker.sock"] {
            assert!(Destination::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    fn dialled(script: &str, work: impl AsyncFnOnce(&mut Dialled)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            work(&mut Dialled::start(command).expect("there is a shell")).await;
        });
    }

    #[test]
    fn what_is_said_comes_back_and_the_process_ends_with_its_input() {
        dialled("cat; exit 7", async |line| {
            line.write_all(b"words").await.expect("it listens");
            let mut back = [0; 5];
            line.read_exact(&mut back).await.expect("it answers");
            assert_eq!(&back, b"words");
            line.shutdown().await.expect("it is open");
            assert_eq!(line.read(&mut back).await.expect("an end is no error"), 0);
            assert_eq!(line.process.0.wait().expect("it is our child").code(), Some(7));
        });
    }

    #[test]
    fn who_cannot_connect_says_why() {
        dialled("echo 'Permission denied (publickey).' >&2; exit 255", async |line| {
            let error = line.read(&mut [0; 5]).await.expect_err("there was no answer");
            assert_eq!(error.to_string(), "ssh: Permission denied (publickey).");
        });
    }
}
