//! The daemon of the tests: a line of text in, a line of text out, over TCP; and whatever a case needs a daemon to do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const COMMAND: &str = "daemon";
pub const PORT: u16 = 7000;

/// What arrived, and when.
type Datagrams = Arc<Mutex<Vec<(String, Instant)>>>;

pub fn main() -> ExitCode {
    if std::env::args().nth(2).as_deref() == Some("sleep") {
        loop {
            thread::park();
        }
    }
    if std::env::args().nth(2).as_deref() == Some("nothing") {
        return ExitCode::SUCCESS;
    }
    if std::env::args().nth(2).as_deref() == Some("becoming") {
        use std::os::unix::process::CommandExt;
        let error = Command::new("/proc/self/exe").args([COMMAND, "becoming"]).exec();
        panic!("becoming another program: {error}");
    }
    if std::env::args().nth(2).as_deref() == Some("clock") {
        println!("{}", clock());
        return ExitCode::SUCCESS;
    }
    println!("daemon {} is here", std::process::id());
    let descriptors = list("/proc/self/fd");
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("listening");
    let datagrams = Datagrams::default();
    let socket = Arc::new(UdpSocket::bind(("0.0.0.0", PORT)).expect("a datagram socket"));
    let (receiver, received) = (socket.clone(), datagrams.clone());
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok(length) = receiver.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            received.lock().expect("no panic").push((text, Instant::now()));
        }
    });
    for stream in listener.incoming() {
        // Where there is no descriptor left there may be one later.
        let Ok(stream) = stream else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let socket = socket.clone();
        let (datagrams, descriptors) = (datagrams.clone(), descriptors.clone());
        thread::spawn(move || converse(&stream, &socket, &datagrams, &descriptors));
    }
    ExitCode::SUCCESS
}

fn converse(stream: &TcpStream, socket: &UdpSocket, datagrams: &Datagrams, descriptors: &str) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["echo", text] => text.to_owned(),
            ["visit", address, patience] => {
                visit(address, patience).unwrap_or_else(|error| format!("error {error}"))
            }
            ["send", address, text] => socket
                .send_to(text.as_bytes(), resolve(address))
                .map_or_else(|e| e.to_string(), |_| "sent".into()),
            ["flood", address, count, bytes] => flood(socket, address, count, bytes)
                .map_or_else(|error| error.to_string(), |()| "sent".into()),
            ["tally"] => {
                let mut seen = datagrams.lock().expect("no panic");
                seen.clear();
                "0".into()
            }
            ["look"] => tally(&datagrams.lock().expect("no panic")),
            ["datagrams"] => {
                let texts = datagrams.lock().expect("no panic");
                texts.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(",")
            }
            ["append", text] => append(text),
            ["contents"] => fs::read_to_string("file").unwrap_or_default().replace('\n', ","),
            ["descriptors"] => descriptors.to_owned(),
            ["list", path] => list(path),
            ["read", path] => fs::read_to_string(path).unwrap_or_else(|e| e.to_string()).replace('\n', ";"),
            ["write", path] => fs::write(path, "1").map_or_else(|e| e.to_string(), |()| "written".into()),
            ["put", path, text] => said(fs::write(path, text)),
            ["fsync", path] => said(fs::File::open(path).and_then(|file| file.sync_all())),
            ["open", path] => said(fs::OpenOptions::new().write(true).truncate(false).open(path).map(drop)),
            ["poke", path, text] => said(poke(path, text)),
            ["cut", path] => {
                said(fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0)))
            }
            ["rename", from, to] => said(fs::rename(from, to)),
            ["remove", path] => said(fs::remove_file(path)),
            ["folder", path] => said(fs::create_dir(path)),
            ["link", from, to] => said(fs::hard_link(from, to)),
            ["symlink", from, to] => said(std::os::unix::fs::symlink(from, to)),
            ["pipe", path] => said(pipe(path)),
            ["nameless"] => said(nameless()),
            ["through", path, text] => said(through(path, text)),
            ["ring"] => ring(),
            ["offspring"] => offspring("sleep"),
            ["becoming"] => offspring("becoming"),
            ["spawning"] => {
                begin("spawner", || {
                    loop {
                        // It waits in the middle of a call until its child is another program.
                        let ended = Command::new("/proc/self/exe").args([COMMAND, "nothing"]).status();
                        assert!(ended.is_ok_and(|status| status.success()), "a child that does nothing");
                    }
                });
                "spawning".into()
            }
            ["spin", name] => {
                begin(name, || {
                    let mut sum = 0u64;
                    loop {
                        sum = std::hint::black_box(sum.wrapping_add(1));
                    }
                });
                "spinning".into()
            }
            ["allocate", mebibytes] => {
                let bytes = mebibytes.parse::<usize>().expect("a number") << 20;
                let mut room = Vec::<u8>::new();
                let made = room.try_reserve_exact(bytes);
                std::hint::black_box(&mut room);
                if made.is_ok() { "allocated".into() } else { "refused".into() }
            }
            ["spin"] => {
                thread::spawn(|| {
                    let mut sum = 0u64;
                    loop {
                        sum = std::hint::black_box(sum.wrapping_add(1));
                    }
                });
                "spinning".into()
            }
            ["clock"] => clock(),
            ["since", "boot"] => since_boot(),
            ["swing", milliseconds] => swing(milliseconds),
            ["back"] => back(),
            ["new", "program"] => new_program(Command::new("/proc/self/exe").args([COMMAND, "clock"])),
            // Searched for in every folder of the path: most attempts fail.
            ["found", "program"] => new_program(Command::new("date").arg("+%s%N")),
            ["shell"] => new_program(Command::new("sh").args(["-c", "exec sh -c 'sh -c \"date +%s%N\"'"])),
            ["ticking", threads] => ticking(threads),
            ["environment"] => {
                std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
            }
            ["exit", status] => std::process::exit(status.parse().expect("a status")),
            ["abort"] => std::process::abort(),
            _ => format!("error: what is {line:?}"),
        };
        let mut stream = stream;
        if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}

/// Begins a thread of this name. When it returns, the thread has it.
fn begin(name: &str, work: impl FnOnce() + Send + 'static) {
    let (begins, begun) = std::sync::mpsc::channel();
    let work = move || {
        begins.send(()).expect("somebody waits");
        work();
    };
    thread::Builder::new().name(name.into()).spawn(work).expect("a thread");
    begun.recv().expect("it begins");
}

/// The time of day, in nanoseconds since 1970, as this process has it.
fn clock() -> String {
    now().to_string()
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos())
}

/// What the clocks show that count from the last boot, in nanoseconds: the monotonic one, and the one that counts suspended time.
pub fn since_boot() -> String {
    let shown = |clock| {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel fills a live timespec.
        assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
        (time.tv_sec * 1_000_000_000 + time.tv_nsec).to_string()
    };
    [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME].map(shown).join(",")
}

/// How far the time of day gets away from the monotonic clock in so many milliseconds, least and most, from now on.
fn swing(milliseconds: &str) -> String {
    let (begun, start) = (Instant::now(), now() as i128);
    let lasts = Duration::from_millis(milliseconds.parse().expect("milliseconds"));
    let (mut least, mut most) = (0, 0);
    while begun.elapsed() < lasts {
        let (before, shown, after) = (begun.elapsed(), now(), begun.elapsed());
        // Not while this thread waits for its turn in between.
        if after - before < Duration::from_millis(1) {
            let off = shown as i128 - start - before.as_nanos() as i128;
            (least, most) = (off.min(least), off.max(most));
        }
    }
    format!("{least},{most}")
}

/// Waits until the time of day is earlier than it was a moment ago, and says by how much.
fn back() -> String {
    let mut last = now();
    loop {
        let next = now();
        if next < last {
            return (last - next).to_string();
        }
        last = next;
    }
}

/// What another program says.
fn new_program(command: &mut Command) -> String {
    let output = command.output().expect("running a program");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Threads that look at the clock all the time, by every function there is for it, and make others that do.
fn ticking(threads: &str) -> String {
    for _ in 0..threads.parse().expect("a number") {
        thread::spawn(|| {
            loop {
                for _ in 0..1000 {
                    std::hint::black_box(now());
                    // SAFETY: the first takes a null pointer, the second a live timeval and no time zone.
                    unsafe {
                        libc::time(std::ptr::null_mut());
                        let mut time: libc::timeval = std::mem::zeroed();
                        libc::gettimeofday(&raw mut time, std::ptr::null_mut());
                    }
                }
                thread::spawn(now).join().expect("no panic");
            }
        });
    }
    "ticking".into()
}

/// Starts a process that does nothing for ever, or becomes another program for ever, and says its id.
#[expect(clippy::zombie_processes, reason = "it is there to be left behind")]
fn offspring(what: &str) -> String {
    let child = Command::new("/proc/self/exe").args([COMMAND, what]).spawn().expect("a child");
    child.id().to_string()
}

/// Sends numbered datagrams of so many bytes, a few at a time, so that neither side's buffer is ever full.
fn flood(socket: &UdpSocket, address: &str, count: &str, bytes: &str) -> std::io::Result<()> {
    let to = resolve(address);
    let (count, bytes): (u32, usize) = (count.parse().expect("a number"), bytes.parse().expect("bytes"));
    for number in 0..count {
        socket.send_to(format!("{number:0bytes$}").as_bytes(), to)?;
        if number % 8 == 7 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// How many datagrams have come, how many different ones, how many behind a later one, and the microseconds from the first to
/// the last.
fn tally(datagrams: &[(String, Instant)]) -> String {
    let numbers: Vec<u32> = datagrams.iter().filter_map(|(text, _)| text.parse().ok()).collect();
    let different = numbers.iter().collect::<std::collections::BTreeSet<_>>().len();
    let mut latest = 0;
    let behind = numbers.iter().filter(|number| {
        latest = latest.max(**number);
        **number < latest
    });
    let behind = behind.count();
    let span = match datagrams {
        [(_, first), .., (_, last)] => last.duration_since(*first).as_micros(),
        _ => 0,
    };
    format!("{},{different},{behind},{span}", numbers.len())
}

fn resolve(address: &str) -> SocketAddr {
    (address, PORT).to_socket_addrs().expect("a known name").next().expect("an address")
}

/// Says a word to another node's daemon and returns its answer; waits so many milliseconds for it to come.
fn visit(address: &str, patience: &str) -> std::io::Result<String> {
    let patience = Duration::from_millis(patience.parse().expect("milliseconds"));
    let mut stream = TcpStream::connect_timeout(&resolve(address), patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"echo hello\n")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

fn said(done: std::io::Result<()>) -> String {
    done.map_or_else(|error| error.to_string(), |()| "done".into())
}

/// Writes over a file's beginning.
fn poke(path: &str, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    fs::OpenOptions::new().write(true).open(path)?.write_all_at(text.as_bytes(), 0)
}

/// Writes to a file that is written through.
fn through(path: &str, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().create(true).append(true).custom_flags(libc::O_DSYNC).open(path);
    file?.write_all(text.as_bytes())
}

/// Makes a file that is a pipe.
fn pipe(path: &str) -> std::io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    // SAFETY: the path ends in a zero and lives through the call.
    match unsafe { libc::mkfifo(path.as_ptr(), 0o600) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Makes a file without a name.
fn nameless() -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(".").map(drop)
}

/// Whether calls can be made by a ring of memory.
fn ring() -> String {
    // SAFETY: the kernel looks at the null pointer only after everything else, and says that it is none of ours.
    unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null_mut::<u8>()) };
    std::io::Error::last_os_error().to_string()
}

fn append(text: &str) -> String {
    let file = fs::OpenOptions::new().create(true).append(true).open("file");
    file.and_then(|mut file| writeln!(file, "{text}"))
        .map_or_else(|error| error.to_string(), |()| "appended".into())
}

fn list(path: &str) -> String {
    let names = fs::read_dir(path)
        .map(|names| names.flatten().map(|name| name.file_name().to_string_lossy().into_owned()).collect());
    let mut names: Vec<String> = names.unwrap_or_default();
    names.sort();
    names.join(",")
}
