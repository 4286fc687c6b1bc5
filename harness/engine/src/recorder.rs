//! Writes the history while the run goes. Stamping and appending happen under one lock, so that the order in the file is
//! the order in time; turning events into text and writing them happen on a thread of their own, so that no client waits
//! for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use schism_history::{Event, Time, What, jsonl};
use thiserror::Error;

/// Clients wait when so many events are not written yet: a bound on memory, not a normal state.
const BACKLOG_MAX: usize = 1 << 20;

/// How many bytes of text are handed to the file at once.
const CHUNK_BYTES: usize = 1 << 18;

/// The history could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Records events in the order of time.
pub struct Recorder {
    start: Instant,
    path: PathBuf,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something to write, or the end.
    filled: Condvar,
    /// Room again.
    drained: Condvar,
}

#[derive(Default)]
struct Queue {
    events: Vec<Event>,
    writer_idle: bool,
    closed: bool,
    broken: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// Creates the file, which must not exist yet, and starts the run's clock.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError { path: path.into(), source };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(wrong)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || write_all(&theirs, file).inspect_err(|_| give_up(&theirs)))
            .map_err(wrong)?;
        Ok(Recorder { start: Instant::now(), path: path.into(), shared, writer: Some(writer) })
    }

    /// The moment at which the run's clock showed zero.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// What the run's clock shows.
    pub fn now(&self) -> Time {
        Time::from(self.start.elapsed())
    }

    /// Stamps an event and appends it. Returns the stamp. Waits only if the disk is far behind.
    pub fn record(&self, what: What) -> Time {
        let mut queue = self.shared.lock();
        while queue.events.len() >= BACKLOG_MAX && !queue.broken {
            queue = self.shared.drained.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let time = self.now();
        if !queue.broken {
            queue.events.push(Event { time, what });
        }
        if queue.writer_idle {
            queue.writer_idle = false;
            self.shared.filled.notify_one();
        }
        time
    }

    /// Whether the file could not be written on: time to stop the run.
    pub fn broken(&self) -> bool {
        self.shared.lock().broken
    }

    /// Writes what is left and closes the file.
    ///
    /// # Errors
    /// When any of it could not be written.
    pub fn finish(mut self) -> Result<(), RecordError> {
        self.close().map_err(|source| RecordError { path: self.path.clone(), source })
    }

    fn close(&mut self) -> io::Result<()> {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the recorder's thread panicked")),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Errors were for `finish` to tell; here a run is being abandoned.
        drop(self.close());
    }
}

fn write_all(shared: &Shared, mut file: File) -> io::Result<()> {
    let mut events = Vec::new();
    let mut text = Vec::with_capacity(2 * CHUNK_BYTES);
    let mut index = 0;
    loop {
        let mut queue = shared.lock();
        while queue.events.is_empty() {
            if queue.closed {
                return file.sync_data();
            }
            queue.writer_idle = true;
            queue = shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.writer_idle = false;
        std::mem::swap(&mut queue.events, &mut events);
        drop(queue);
        shared.drained.notify_all();
        for event in events.drain(..) {
            jsonl::write_event(&mut text, index, &event)?;
            index += 1;
            if text.len() >= CHUNK_BYTES {
                file.write_all(&text)?;
                text.clear();
            }
        }
        file.write_all(&text)?;
        text.clear();
    }
}

/// Lets clients go on, unrecorded, until the run notices.
fn give_up(shared: &Shared) {
    let mut queue = shared.lock();
    queue.broken = true;
    queue.events = Vec::new();
    shared.drained.notify_all();
}

#[cfg(test)]
mod tests {
    use schism_history::{Call, Outcome, Process, Ret};

    use super::*;

    /// Many threads at once: the file holds everything, in the order of time, and reads back as a history.
    #[test]
    fn order_in_the_file_is_order_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        std::thread::scope(|scope| {
            for process in 0..8 {
                let recorder = &recorder;
                scope.spawn(move || {
                    for value in 0..500 {
                        let process = Process(process);
                        let call = Call::Write { key: 0.into(), value: value.into() };
                        recorder.record(What::Invoke { process, node: None, call: call.clone() });
                        recorder.record(What::Complete { process, call, outcome: Outcome::Ok(Ret::Done) });
                    }
                });
            }
        });
        recorder.finish().unwrap();
        let recorded = jsonl::read(io::BufReader::new(File::open(&path).unwrap())).unwrap();
        assert_eq!((recorded.history.len(), recorded.cut), (4_000, None));
        assert!(Recorder::create(&path).is_err(), "an existing history must never be overwritten");
    }

    #[test]
    fn a_full_disk_is_an_error_not_a_hang() {
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
        let shared = Shared::default();
        shared.lock().events = vec![Event { time: Time(0), what: What::Phase("load".into()) }];
        shared.lock().closed = true;
        let error = write_all(&shared, full).inspect_err(|_| give_up(&shared)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(shared.lock().broken);
    }
}
