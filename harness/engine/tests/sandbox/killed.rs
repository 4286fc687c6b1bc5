//! `kill -9` of the controller, at any moment: nothing of it may stay.

use std::io::{Read, Write};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use schism_engine::backend::sandbox::{Options, Sandbox, enter};
use schism_engine::backend::{Backend, BackendError};
use schism_engine::clock::Skew;
use schism_engine::cluster::{Change, Desired, Node, Run};
use schism_engine::disk;
use schism_engine::link::{Cut, Delay, Loss, Share, Wrong};
use schism_engine::strain::{Name, Strain};

use crate::host::Host;
use crate::runner::{As, Runner};
use crate::stage::{LONG, SHAPED_BY, cut, folder, node, options, program, run};

pub const NAME: &str = "kill -9 of the controller leaves nothing behind";
pub const VICTIM: &str = "victim";
/// Set: the victim ends by itself once its cluster is complete.
pub const ONCE: &str = "SCHISM_TEST_ONCE";

/// The victim's exit code where sandboxes are impossible.
pub const IMPOSSIBLE: u8 = 77;

const KILLS: u32 = 20;
const NODES: usize = 5;

/// A controller that makes a cluster, says so, and goes on breaking and mending it until it is killed.
pub fn victim() -> ExitCode {
    let disks = [disk::Wrong::Lose(disk::Loss::All), disk::Wrong::Slow(Duration::from_secs(1))];
    let options = Options { disks: disks.to_vec(), ..options(NODES, &folder()) };
    let made = enter().and_then(|fabric| Sandbox::create(&fabric, &options));
    let mut sandbox = match made {
        Err(BackendError::Unsupported { problem, remedy }) => {
            eprintln!("{problem} (hint: {remedy})");
            return ExitCode::from(IMPOSSIBLE);
        }
        made => made.expect("creating"),
    };
    for index in 0..NODES {
        sandbox.start(Node(index), program()).expect("starting");
    }
    println!("complete");
    std::io::stdout().flush().expect("telling");
    let slow = Wrong::Delay(Delay { mean: Duration::from_millis(50), ..Delay::default() });
    let link = |wrong| Change::Link { from: node(3), to: node(4), wrong };
    let broken = [
        cut(node(0), node(1)),
        run(1, Run::Paused),
        run(2, Run::Down),
        Change::Clock { node: Node(0), skew: Skew::Jump(3_600_000_000_000) },
        Change::Starve { node: Node(4), left: Share::percent(10) },
        Change::Strain { node: Node(0), strain: Strain::Storm(Duration::from_millis(50)) },
        Change::Strain { node: Node(3), strain: Strain::Thread(Name::default()) },
        Change::Strain { node: Node(3), strain: Strain::Files(0) },
        Change::Strain { node: Node(4), strain: Strain::Memory(1 << 20) },
        Change::Strain { node: Node(4), strain: Strain::Disconnect(Duration::from_millis(50)) },
        Change::Disk { node: Node(2), wrong: disks[0] },
        Change::Disk { node: Node(3), wrong: disks[1] },
        link(slow),
        link(Wrong::Loss(Loss::Random(Share::percent(10)))),
        link(Wrong::Cut(Cut::Reset)),
    ];
    while std::env::var_os(ONCE).is_none() {
        sandbox.apply(&Desired::of(&broken)).expect("breaking");
        sandbox.apply(&Desired::default()).expect("mending");
    }
    ExitCode::SUCCESS
}

pub fn check(runner: &Runner, user: As, way: &str) -> Result<(), String> {
    let before = Host::look(&runner.program);
    let begun = Instant::now();
    let mut first = start(runner, user, way);
    wait_for_word(&mut first);
    let whole = begun.elapsed();
    end(first);
    gone(runner, &before)?;
    // Moments from the first instant to half as long again as a cluster takes, in the order of a low-discrepancy sequence:
    // spread evenly, and never twice the same.
    for number in 0..KILLS {
        let share = (f64::from(number) * 0.618_033_988_749_895).fract();
        let victim = start(runner, user, way);
        let moment = Instant::now() + whole.mul_f64(share * 1.5);
        while Instant::now() < moment {
            std::thread::sleep(Duration::from_micros(100));
        }
        end(victim);
        gone(runner, &before)
            .map_err(|left| format!("killed after {:.0} % of a start: {left}", share * 150.0))?;
    }
    Ok(())
}

fn start(runner: &Runner, user: As, way: &str) -> Child {
    let mut command = runner.command(user, &[VICTIM]);
    command
        .env(SHAPED_BY, way)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting a controller")
}

fn wait_for_word(victim: &mut Child) {
    let mut word = [0; 8];
    victim.stdout.take().expect("a pipe").read_exact(&mut word).expect("the controller makes its cluster");
}

fn end(mut victim: Child) {
    victim.kill().expect("killing");
    victim.wait().expect("waiting");
}

/// Waits until the machine is as it was: the kernel takes a moment to end processes.
fn gone(runner: &Runner, before: &Host) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let now = Host::look(&runner.program);
        if now == *before {
            return Ok(());
        }
        if begun.elapsed() > LONG * 3 {
            return Err(format!("left behind: {now:#?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
