//! Disks that are wrong, seen from outside: by what a node's daemon is told, and by what is in its data directory.

use std::fs;
use std::path::PathBuf;

use schism_engine::backend::Backend;
use schism_engine::cluster::{Change, Node, Run};
use schism_engine::disk::{Edit, Harm, Pattern, Work, Wrong};

use crate::stage::{Stage, folder, run};

pub const CASES: &[(&str, fn())] =
    &[("a node's files are changed while it is down, once, and nobody else's", edited_while_down)];

fn wrong(index: usize, wrong: Wrong) -> Change {
    Change::Disk { node: Node(index), wrong }
}

fn data(index: usize) -> PathBuf {
    folder().join(format!("nodes/n{}/data", index + 1))
}

fn work(stage: &mut Stage, index: usize) -> Work {
    stage.sandbox.observe().expect("observing").disks[index].clone()
}

fn edited_while_down() {
    let mut stage = Stage::new(2);
    for index in 0..2 {
        stage.ask(index, "append 0000000000");
        stage.ask(index, "write other");
    }
    let flip = |seed| {
        let files = Pattern::of("file").expect("short");
        wrong(0, Wrong::Edit(Edit { harm: Harm::Flip(1), files, seed }))
    };
    // Nothing happens to a daemon that runs.
    stage.apply(&[flip(1)]);
    assert_eq!(stage.ask(0, "contents"), "0000000000,");
    assert_eq!(work(&mut stage, 0).edits, 0);
    stage.apply(&[flip(1), run(0, Run::Down)]);
    let once = fs::read(data(0).join("file")).expect("it is there");
    let turned: u32 = once.iter().zip(b"0000000000\n").map(|(now, before)| (now ^ before).count_ones()).sum();
    assert_eq!((once.len(), turned), (11, 1), "{once:?}");
    assert_eq!(work(&mut stage, 0).edits, 1);
    // Again is not twice; it stays when the fault is over, and is there for the daemon to see.
    stage.apply(&[flip(1), run(0, Run::Down)]);
    stage.apply(&[]);
    stage.ask(0, "echo up");
    assert_eq!(fs::read(data(0).join("file")).expect("it is there"), once);
    // Another fault is another edit, which heals alone.
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[run(0, Run::Down), flip(2)]);
    stage.apply(&[run(0, Run::Down)]);
    assert_eq!(work(&mut stage, 0).edits, 2);
    assert_ne!(fs::read(data(0).join("file")).expect("it is there"), once);
    assert_eq!(fs::read(data(0).join("other")).expect("it is there"), b"1", "not meant");
    assert_eq!(stage.ask(1, "contents"), "0000000000,", "not struck");
    assert_eq!(work(&mut stage, 1), Work::default());
}
