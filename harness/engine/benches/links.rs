//! How exact the faults of links are: what was asked for beside what a datagram between the clients and a node met.
//!
//! Delays are the difference of the median round trips with and without the fault, so that the machine's own share falls
//! out. What is not measured: how exact they are under load, which is the machine's affair.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: links: they need Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::UdpSocket;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    use schism_engine::backend::sandbox::{AGENT_COMMAND, Fabric, Options, Sandbox, agent_main, enter};
    use schism_engine::backend::{Backend, ShapedBy, SkewedBy};
    use schism_engine::cluster::{Change, Desired, Endpoint, Node, Program};
    use schism_engine::link::{Delay, Loss, Share, Wrong};

    const ECHO: &str = "echo";
    const PORT: u16 = 7000;
    const TRIPS: usize = 101;
    const PACKETS: u32 = 10_000;

    pub fn main() -> ExitCode {
        match std::env::args().nth(1).as_deref() {
            Some(AGENT_COMMAND) => agent_main(),
            Some(ECHO) => echo(),
            _ => {
                let fabric = enter().expect("entering");
                for way in [ShapedBy::Queue, ShapedBy::Switch] {
                    measure(&fabric, way);
                }
                ExitCode::SUCCESS
            }
        }
    }

    /// A node's daemon: every datagram goes back to where it came from.
    fn echo() -> ExitCode {
        let socket = UdpSocket::bind(("0.0.0.0", PORT)).expect("a socket");
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
            socket.send_to(&buffer[..length], from).expect("sending it back");
        }
    }

    fn measure(fabric: &Fabric, shaped_by: ShapedBy) {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            nodes: 1,
            folder: folder.path().into(),
            run: "bench".into(),
            seed: 7,
            shaped_by,
            capture: None,
            shapes: Vec::new(),
            disks: Vec::new(),
            skews: false,
            skewed_by: SkewedBy::Best,
            fast_heal: false,
        };
        let mut sandbox = Sandbox::create(fabric, &options).expect("creating");
        let arguments = vec![ECHO.to_owned()];
        sandbox.start(Node(0), Program { arguments, ..Program::default() }).expect("starting");
        let clients = sandbox.client_network();
        let bound = std::thread::spawn(move || {
            clients.enter().expect("entering the clients' network");
            UdpSocket::bind("0.0.0.0:0").expect("a socket")
        });
        let socket = bound.join().expect("a socket");
        socket.connect((sandbox.nodes()[0].address, PORT)).expect("connecting");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
        while trip(&socket, 0).is_none() {}

        println!("{shaped_by:?}: {}", sandbox.mechanisms().join("; "));
        println!("{:<24} {:>12} {:>12}", "asked", "met", "deviation");
        let well = median(&socket);
        println!("{:<24} {:>9.3} ms", "nothing", well.as_secs_f64() * 1e3);
        let mut exact = true;
        for asked in [1, 10, 100].map(Duration::from_millis) {
            set(&mut sandbox, Some(Wrong::Delay(Delay { mean: asked, ..Delay::default() })));
            let added = median(&socket).saturating_sub(well);
            let off = added.abs_diff(asked);
            exact &= off <= Duration::from_micros(500).max(asked * 3 / 100);
            let (asked, added, off) = (asked.as_millis(), added.as_secs_f64() * 1e3, off.as_secs_f64() * 1e3);
            println!("{:<24} {added:>9.3} ms {off:>9.3} ms", format!("delay {asked} ms"));
        }
        for asked in [1, 10, 30] {
            set(&mut sandbox, Some(Wrong::Loss(Loss::Random(Share::percent(asked)))));
            let met = 100.0 * f64::from(PACKETS - answered(&socket)) / f64::from(PACKETS);
            let off = (met / f64::from(asked) - 1.0).abs();
            println!("{:<24} {met:>9.2} %  {:>9.1} % of it", format!("loss {asked} %"), off * 100.0);
        }
        for asked in [1u64, 10, 100] {
            set(&mut sandbox, Some(Wrong::Rate(asked * 1_000_000)));
            let met = rate(&socket, asked);
            let off = (met / asked as f64 - 1.0).abs();
            exact &= off <= 0.1;
            println!("{:<24} {met:>9.2} Mbit/s {:>5.1} % of it", format!("rate {asked} Mbit/s"), off * 100.0);
        }
        set(&mut sandbox, None);
        println!("all within 0.5 ms or 3 % (delay) and 10 % (rate): {}", if exact { "yes" } else { "NO" });
    }

    fn set(sandbox: &mut Sandbox, wrong: Option<Wrong>) {
        let (from, to) = (Endpoint::Clients, Endpoint::Node(Node(0)));
        let changes: Vec<Change> = wrong.map(|wrong| Change::Link { from, to, wrong }).into_iter().collect();
        sandbox.apply(&Desired::of(&changes)).expect("applying");
    }

    fn trip(socket: &UdpSocket, number: u32) -> Option<Duration> {
        let begun = Instant::now();
        socket.send(&number.to_ne_bytes()).ok()?;
        socket.recv(&mut [0; 2000]).ok()?;
        Some(begun.elapsed())
    }

    fn median(socket: &UdpSocket) -> Duration {
        let mut trips: Vec<Duration> = (0..TRIPS).filter_map(|_| trip(socket, 0)).collect();
        trips.sort();
        trips[trips.len() / 2]
    }

    /// How many of the packets are answered, a few of them on the way at a time.
    fn answered(socket: &UdpSocket) -> u32 {
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a limit");
        let mut answered = 0;
        for first in (0..PACKETS).step_by(50) {
            for number in first..first + 50 {
                socket.send(&number.to_ne_bytes()).expect("sending");
            }
            let mut here = 0;
            while here < 50 && socket.recv(&mut [0; 2000]).is_ok() {
                here += 1;
            }
            answered += here;
        }
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
        answered
    }

    /// Mbit/s from the first answer to the last of as much as passes in 200 ms, sent at once.
    fn rate(socket: &UdpSocket, asked_mbit: u64) -> f64 {
        const BYTES: usize = 972;
        let count = (asked_mbit * 1_000_000 / 5 / 8 / 1000) as usize;
        for _ in 0..count {
            socket.send(&[7; BYTES]).expect("sending");
        }
        let mut moments = Vec::new();
        while moments.len() < count && socket.recv(&mut [0; 2000]).is_ok() {
            moments.push(Instant::now());
        }
        let span = moments[moments.len() - 1].duration_since(moments[0]).as_secs_f64();
        (moments.len() - 1) as f64 * (BYTES + 28) as f64 * 8.0 / span / 1e6
    }
}
