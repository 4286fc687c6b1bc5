//! What a cluster of five nodes and a partition of it cost, made by us and made by the usual programs, in one run.
//!
//! Times are the machine's; the ratios are what may be compared. Each side works in a throw-away network of its own. What
//! is not measured: the daemons, and what a program run by hand costs in fork and exec when the caller is large.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: sandbox: it needs Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::{Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};

    use schism_engine::backend::sandbox::{AGENT_COMMAND, Options, Sandbox, agent_main, enter};
    use schism_engine::backend::{Backend, ShapedBy, SkewedBy};
    use schism_engine::cluster::{Change, Desired, Endpoint, Node};
    use schism_engine::link::{Cut, Wrong};

    const NODES: usize = 5;
    const ROUNDS: usize = 9;
    /// The kernel goes on cleaning up after a network namespace is gone, and holds its lock of all links meanwhile. Before each
    /// round, on either side, it is left alone.
    const QUIET: Duration = Duration::from_millis(300);

    pub fn main() -> ExitCode {
        match std::env::args().nth(1).as_deref() {
            Some(AGENT_COMMAND) => return agent_main(),
            Some("ours") => ours(),
            Some("ip") => by_ip(),
            Some("iptables") => by_iptables(),
            _ => compare(),
        }
        ExitCode::SUCCESS
    }

    fn compare() {
        let ours = part("ours").expect("sandboxes work here");
        let show = |what: &str, [median, best]: [f64; 2]| {
            println!("{what:<56} {:>9.3} ms {:>9.3} ms", median * 1e3, best * 1e3);
        };
        let ratio = |what: &str, theirs: [f64; 2], ours: [f64; 2]| {
            println!("{what:<56} {:>9.1} x  {:>9.1} x", theirs[0] / ours[0], theirs[1] / ours[1]);
        };
        println!(
            "{:<56} {:>12} {:>12}",
            format!("{NODES} nodes and the clients, {ROUNDS} rounds"),
            "median",
            "best"
        );
        show("namespaces made and first processes born", ours[0]);
        show("links up and addresses set", ours[1]);
        show("agents ready for commands", ours[2]);
        show("all taken down", ours[3]);
        show("2|3 partition (12 pairs) in", ours[4]);
        show("2|3 partition (12 pairs) out", ours[5]);
        match part("ip") {
            None => println!("skipped: there is no `ip` here"),
            Some(by_ip) => {
                show("namespaces and links by `ip`, one run a step", by_ip[0]);
                ratio("  against ours, links up", by_ip[0], ours[1]);
                ratio("  against ours, agents ready", by_ip[0], ours[2]);
            }
        }
        match part("iptables") {
            None => println!("skipped: there is no `iptables` here"),
            Some(rules) => {
                show("2|3 partition in by 12 runs of `iptables`", rules[0]);
                show("2|3 partition out by 12 runs of `iptables`", rules[1]);
                ratio("  against ours, in", rules[0], ours[4]);
                ratio("  against ours, out", rules[1], ours[5]);
            }
        }
    }

    /// Runs one side in a process of its own, which prints a line for each time taken: median and best, in seconds.
    fn part(name: &str) -> Option<Vec<[f64; 2]>> {
        if name != "ours"
            && !Command::new(name).arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success())
        {
            return None;
        }
        let output = Command::new("/proc/self/exe")
            .arg(name)
            .stderr(Stdio::inherit())
            .output()
            .expect("running a part");
        assert!(output.status.success(), "{name}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("numbers");
        let number = |text: &str| text.parse().expect("a number");
        let line = |line: &str| line.split_once(' ').map(|(median, best)| [number(median), number(best)]);
        Some(text.lines().map(|text| line(text).expect("two numbers")).collect())
    }

    fn print(mut times: Vec<Duration>) {
        times.sort();
        println!("{} {}", times[times.len() / 2].as_secs_f64(), times[0].as_secs_f64());
    }

    fn split() -> Desired {
        let side = |index: usize| index < 2;
        let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
        let across = pairs.filter(|(from, to)| side(*from) != side(*to));
        let node = |index| Endpoint::Node(Node(index));
        let cut = |(from, to)| Change::Link { from: node(from), to: node(to), wrong: Wrong::Cut(Cut::Drop) };
        Desired::of(&across.map(cut).collect::<Vec<_>>())
    }

    fn ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let fabric = enter().expect("entering");
        let mut times: [Vec<Duration>; 6] = Default::default();
        for _ in 0..ROUNDS {
            std::thread::sleep(QUIET);
            let options = Options {
                nodes: NODES,
                folder: folder.path().into(),
                run: "bench".into(),
                seed: 7,
                shaped_by: ShapedBy::Best,
                capture: None,
                shapes: Vec::new(),
                disks: Vec::new(),
                skews: false,
                skewed_by: SkewedBy::Best,
                fast_heal: false,
            };
            let mut sandbox = Sandbox::create(&fabric, &options).expect("creating");
            let made = sandbox.timings();
            let cut = timed(|| sandbox.apply(&split()).expect("cutting"));
            let healed = timed(|| sandbox.apply(&Desired::default()).expect("healing"));
            let stopped = timed(|| sandbox.stop().expect("stopping"));
            let all = [made.namespaces, made.links, made.ready, stopped, cut, healed];
            for (times, one) in times.iter_mut().zip(all) {
                times.push(one);
            }
        }
        for times in times {
            print(times);
        }
    }

    fn timed(act: impl FnOnce()) -> Duration {
        let begun = Instant::now();
        act();
        begun.elapsed()
    }

    fn run(line: &str) {
        let mut words = line.split(' ');
        let program = words.next().expect("a program");
        let status = Command::new(program).args(words).status().expect("running it");
        assert!(status.success(), "{line}: {status}");
    }

    /// Own network, mounts and `/run`, where these programs keep names and locks.
    fn apart() {
        enter().expect("entering");
        run("mount -t tmpfs tmpfs /run");
        assert!(Path::new("/run").is_dir());
    }

    fn by_ip() {
        apart();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            std::thread::sleep(QUIET);
            times.push(timed(|| {
                for index in 0..=NODES {
                    let name = format!("b{index}");
                    run(&format!("ip netns add {name}"));
                    run(&format!("ip link add f{index} type veth peer name eth0 netns {name}"));
                    run(&format!("ip addr add 198.18.{index}.1/24 dev f{index}"));
                    run(&format!("ip link set f{index} up"));
                    run(&format!("ip -n {name} addr add 198.18.{index}.2/24 dev eth0"));
                    run(&format!("ip -n {name} link set lo up"));
                    run(&format!("ip -n {name} link set eth0 up"));
                    run(&format!("ip -n {name} route add default via 198.18.{index}.1"));
                }
            }));
            for index in 0..=NODES {
                run(&format!("ip link del f{index}"));
                run(&format!("ip netns del b{index}"));
            }
        }
        print(times);
    }

    fn by_iptables() {
        apart();
        let rules = |verb: &str| {
            for (from, to) in split().cut(Cut::Drop) {
                let address = |end: Endpoint| match end {
                    Endpoint::Node(node) => format!("198.18.{}.2", node.0 + 1),
                    Endpoint::Clients => "198.18.0.2".to_owned(),
                };
                run(&format!("iptables -w {verb} FORWARD -s {} -d {} -j DROP", address(from), address(to)));
            }
        };
        let (mut cut, mut healed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            cut.push(timed(|| rules("-A")));
            healed.push(timed(|| rules("-D")));
        }
        print(cut);
        print(healed);
    }
}
