//! An engine that lies or goes away: everything said to the real one and back passes through here, and some words are
//! replaced by others of the same length on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const SOCKET: &str = "/var/run/docker.sock";

type Replaced = Arc<Vec<(Vec<u8>, Vec<u8>)>>;

/// Stands between a run and the engine of this machine.
pub struct Between {
    port: u16,
    open: Arc<Mutex<Vec<(TcpStream, UnixStream)>>>,
}

impl Between {
    /// Replaces each first word by the second, in both directions. A word must pass in one piece, which short ones do.
    pub fn new(words: &[(&str, &str)]) -> Self {
        assert!(words.iter().all(|(from, to)| from.len() == to.len()), "lengths are part of what is said");
        let words: Replaced =
            Arc::new(words.iter().map(|(from, to)| (from.as_bytes().into(), to.as_bytes().into())).collect());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let open = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&open);
        std::thread::spawn(move || {
            for ours in listener.incoming().flatten() {
                let Ok(theirs) = UnixStream::connect(SOCKET) else { return };
                let copies = (ours.try_clone().expect("a copy"), theirs.try_clone().expect("a copy"));
                connections.lock().expect("nobody panics").push(copies);
                let (to, from) = (theirs.try_clone().expect("a copy"), ours.try_clone().expect("a copy"));
                let there = Arc::clone(&words);
                let back = Arc::clone(&words);
                std::thread::spawn(move || {
                    pass(from, &to, &there);
                    // Half of a connection may end before the other: a hijacked one does.
                    let _ = to.shutdown(Shutdown::Write);
                });
                std::thread::spawn(move || {
                    pass(theirs, &ours, &back);
                    let _ = ours.shutdown(Shutdown::Write);
                });
            }
        });
        Between { port, open }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection there is, so long after something holds. New ones are let through.
    pub fn breaks_when(&self, holds: impl Fn() -> bool + Send + 'static, after: Duration) -> JoinHandle<()> {
        let open = Arc::clone(&self.open);
        std::thread::spawn(move || {
            while !holds() {
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(after);
            for (ours, theirs) in open.lock().expect("nobody panics").drain(..) {
                // One that has ended by itself is as broken.
                let _ = ours.shutdown(Shutdown::Both);
                let _ = theirs.shutdown(Shutdown::Both);
            }
        })
    }
}

fn pass(mut from: impl Read, mut to: impl Write, words: &Replaced) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let part = &mut buffer[..length];
        for (word, other) in words.iter() {
            let found: Vec<usize> = part
                .windows(word.len())
                .enumerate()
                .filter(|(_, seen)| seen == word)
                .map(|(at, _)| at)
                .collect();
            found.into_iter().for_each(|at| part[at..at + other.len()].copy_from_slice(other));
        }
        if to.write_all(part).is_err() {
            return;
        }
    }
}
