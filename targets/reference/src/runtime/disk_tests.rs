//! Real files, cut and garbled at every place there is.

use std::fs;

use super::*;

const NODE: NodeId = NodeId(1);
const SOUND: Flaws = Flaws { ack_before_fsync: false, no_checksum: false };
const BLIND: Flaws = Flaws { ack_before_fsync: false, no_checksum: true };
const LATE: Flaws = Flaws { ack_before_fsync: true, no_checksum: false };

type TestDisk = Disk<String, Vec<u32>>;
type TestFound = Found<String, Vec<u32>>;

fn append(text: &str) -> DiskWrite<String, Vec<u32>> {
    DiskWrite::Append(text.into())
}

fn snapshot(content: &[u32]) -> DiskWrite<String, Vec<u32>> {
    DiskWrite::Snapshot(content.to_vec())
}

fn open(directory: &Path) -> (TestDisk, TestFound) {
    Disk::open(directory, NODE, SOUND).unwrap()
}

/// What a node finds that starts now, without cutting or locking anything for those who come after.
fn found(directory: &Path) -> Result<TestFound, DiskError> {
    Disk::open(directory, NODE, SOUND).map(|(_, found)| found)
}

/// A directory with three frames: `a`, `b c`, `d`. Also gives where each frame begins, and where the last one ends.
fn three_frames() -> (tempfile::TempDir, PathBuf, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, _) = open(directory.path());
    let path = disk.path.clone();
    let mut starts = Vec::new();
    for turn in [vec!["a"], vec!["b", "c"], vec!["d"]] {
        starts.push(fs::metadata(&path).unwrap().len() as usize);
        disk.commit(turn.into_iter().map(append).collect()).unwrap();
    }
    starts.push(fs::metadata(&path).unwrap().len() as usize);
    (directory, path, starts)
}

#[test]
fn round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, nothing) = open(directory.path());
    assert_eq!(nothing, Found { snapshot: None, records: vec![], cut: None });
    disk.commit(vec![append("a"), append("b")]).unwrap();
    drop(disk);
    let (mut disk, two) = open(directory.path());
    assert_eq!(two, Found { snapshot: None, records: vec!["a".into(), "b".into()], cut: None });
    // A snapshot takes the place of what came before it, in earlier turns and in its own.
    disk.commit(vec![append("c"), snapshot(&[1, 2]), append("d")]).unwrap();
    disk.commit(vec![append("e")]).unwrap();
    drop(disk);
    let after = found(directory.path()).unwrap();
    assert_eq!(after, Found { snapshot: Some(vec![1, 2]), records: vec!["d".into(), "e".into()], cut: None });
}

#[test]
fn nothing_to_write_writes_nothing() {
    let (directory, path, _) = three_frames();
    let before = fs::read(&path).unwrap();
    open(directory.path()).0.commit(vec![]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_crash_at_any_byte_of_the_last_frame_loses_that_frame_alone() {
    let (directory, path, starts) = three_frames();
    let bytes = fs::read(&path).unwrap();
    for length in starts[2]..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let (mut disk, found) = open(directory.path());
        assert_eq!(found.records, ["a", "b", "c"], "cut at byte {length}");
        assert_eq!(found.cut.is_some(), length > starts[2], "cut at byte {length}");
        disk.commit(vec![append("e")]).unwrap();
        drop(disk);
        assert_eq!(open(directory.path()).1.records, ["a", "b", "c", "e"], "cut at byte {length}");
    }
}

#[test]
fn a_tail_of_zeros_or_noise_is_cut_off() {
    let (directory, path, starts) = three_frames();
    let bytes = fs::read(&path).unwrap();
    for tail in [vec![0; 4096], vec![0xff; 100], b"[\"d\"]".repeat(99)] {
        fs::write(&path, [&bytes[..starts[2]], &tail].concat()).unwrap();
        let found = found(directory.path()).unwrap();
        assert_eq!(found.records, ["a", "b", "c"]);
        let cut = Cut { path: path.clone(), offset: starts[2] as u64, bytes: tail.len() as u64 };
        assert_eq!(found.cut, Some(cut));
    }
}

#[test]
fn any_flipped_bit_before_the_last_frame_stops_the_node_and_any_in_it_cuts_it_off() {
    let (directory, path, starts) = three_frames();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            let result = found(directory.path());
            if at < starts[2] {
                let Err(DiskError::Corrupt { path: named, offset, .. }) = result else {
                    panic!("bit {bit} of byte {at}: {result:?}")
                };
                let frame = starts.iter().rev().find(|&&start| start <= at).copied();
                let frame = frame.unwrap_or(if at < MAGIC.len() { 0 } else { MAGIC.len() });
                assert_eq!((named, offset), (path.clone(), frame as u64), "bit {bit} of byte {at}");
            } else {
                assert_eq!(result.unwrap().records, ["a", "b", "c"], "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn a_frame_that_is_missing_doubled_or_swapped_stops_the_node() {
    let (directory, path, starts) = three_frames();
    let bytes = fs::read(&path).unwrap();
    let [a, bc, d] = [0, 1, 2].map(|n| &bytes[starts[n]..starts[n + 1]]);
    let head = &bytes[..starts[0]];
    for frames in
        [vec![a, d], vec![bc, d], vec![a, bc, bc, d], vec![a, d, bc], vec![&a[..a.len() - 1], bc, d]]
    {
        fs::write(&path, [&[head], &*frames].concat().concat()).unwrap();
        assert!(matches!(found(directory.path()), Err(DiskError::Corrupt { .. })), "{frames:?}");
    }
}

#[test]
fn a_snapshot_interrupted_at_any_step_leaves_the_old_state_or_the_new_one() {
    let old =
        Found { snapshot: None, records: vec!["a".into(), "b".into(), "c".into(), "d".into()], cut: None };
    let new = Found { snapshot: Some(vec![7]), records: vec!["e".into()], cut: None };
    for (step, expected) in [
        (Step::Written, &old),
        (Step::Synced, &old),
        (Step::Renamed, &new),
        (Step::DirectorySynced, &new),
        (Step::OldRemoved, &new),
    ] {
        let (directory, _, _) = three_frames();
        let (mut disk, _) = open(directory.path());
        disk.stop_after = Some(step);
        disk.commit(vec![snapshot(&[7]), append("e")]).unwrap_err();
        drop(disk);
        let (mut disk, found) = open(directory.path());
        assert_eq!(&found, expected, "{step:?}");
        // Whatever was left behind is gone, and the directory is as good as new.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "{step:?}");
        disk.commit(vec![append("f")]).unwrap();
        drop(disk);
        assert_eq!(open(directory.path()).1.records.last().unwrap(), "f", "{step:?}");
    }
}

#[test]
fn an_unfinished_fresh_log_is_ignored_whatever_is_in_it() {
    let (directory, path, _) = three_frames();
    let bytes = fs::read(&path).unwrap();
    for length in 0..=bytes.len() {
        fs::write(directory.path().join(FRESH), &bytes[..length]).unwrap();
        assert_eq!(found(directory.path()).unwrap().records, ["a", "b", "c", "d"]);
    }
}

#[test]
fn a_crash_before_the_first_log_is_complete_is_a_first_start() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FRESH), b"schism lo").unwrap();
    assert_eq!(found(directory.path()).unwrap(), Found { snapshot: None, records: vec![], cut: None });
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, _) = open(directory.path());
    let refused = found(directory.path()).unwrap_err();
    let holder = std::process::id().to_string();
    assert!(matches!(&refused, DiskError::InUse { holder: named, .. } if *named == holder), "{refused}");
    drop(disk);
    found(directory.path()).unwrap();
}

#[test]
fn another_nodes_directory_is_refused() {
    let (directory, _, _) = three_frames();
    let refused = Disk::<String, Vec<u32>>::open(directory.path(), NodeId(4), SOUND).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("it is the log of n2, not of n5"), "{refused}");
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let (directory, path, _) = three_frames();
    let (mut disk, _) = open(directory.path());
    disk.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = disk.commit(vec![append("e")]).unwrap_err().to_string();
    assert!(error.starts_with("cannot append to") && error.contains(path.to_str().unwrap()), "{error}");
    drop(disk);
    assert_eq!(found(directory.path()).unwrap().records.len(), 4);
}

/// What the process before has written may never have reached the disk, and no fsync of the old file would tell.
#[test]
fn what_is_read_at_a_start_is_written_again() {
    use std::os::unix::fs::MetadataExt;
    let (directory, path, starts) = three_frames();
    let file = || fs::metadata(&path).unwrap().ino();
    let (old, bytes) = (file(), fs::read(&path).unwrap());
    assert_eq!(found(directory.path()).unwrap().records, ["a", "b", "c", "d"]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_ne!(file(), old);
    // A torn tail is not.
    fs::write(&path, &bytes[..starts[3] - 1]).unwrap();
    assert_eq!(found(directory.path()).unwrap().records, ["a", "b", "c"]);
    assert_eq!(fs::read(&path).unwrap(), bytes[..starts[2]]);
}

#[test]
fn a_commit_whose_fsync_fails_is_an_error() {
    let (directory, _, _) = three_frames();
    let (mut disk, _) = open(directory.path());
    disk.refuse_fsync();
    let error = disk.commit(vec![append("e")]).unwrap_err().to_string();
    assert!(error.starts_with("cannot fsync"), "{error}");
}

#[test]
fn ack_before_fsync_leaves_writes_to_the_kernel_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Disk::<String, Vec<u32>>::open(directory.path(), NODE, LATE).unwrap();
    let (mut disk, _) = start();
    disk.commit(vec![append("a")]).unwrap();
    drop(disk); // As by kill -9: what the kernel has is not lost.
    let (mut disk, found) = start();
    assert_eq!(found.records, ["a"]);
    disk.refuse_fsync();
    disk.commit(vec![append("b")]).unwrap(); // No fsync was asked for.
    assert!(disk.close().is_err());
    disk.commit(vec![append("c")]).unwrap();
    disk.late_since = Instant::now().checked_sub(LATE_AFTER);
    assert!(disk.commit(vec![]).is_err()); // One that is late is asked for even when nothing comes.
    let long = "x".repeat(LATE_BYTES);
    assert!(disk.commit(vec![append(&long)]).is_err()); // And one for much at once.
}

#[test]
fn no_checksum_believes_what_a_sound_disk_refuses() {
    let (directory, path, starts) = three_frames();
    let mut bytes = fs::read(&path).unwrap();
    let at = starts[1] + HEADER + bytes[starts[1] + HEADER..].iter().position(|&byte| byte == b'b').unwrap();
    bytes[at] = b'x';
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(found(directory.path()), Err(DiskError::Corrupt { .. })));
    let (_, believed) = Disk::<String, Vec<u32>>::open(directory.path(), NODE, BLIND).unwrap();
    assert_eq!(believed.records, ["a", "x", "c", "d"]);
    // A frame that cannot be read at all is skipped in silence.
    bytes[starts[1] + HEADER] = b'{';
    fs::write(&path, &bytes).unwrap();
    let (_, believed) = Disk::<String, Vec<u32>>::open(directory.path(), NODE, BLIND).unwrap();
    assert_eq!(believed.records, ["a", "d"]);
    // Not even the one with the snapshot is missed.
    let mut bytes = fs::read(&path).unwrap();
    bytes[MAGIC.len() + HEADER] = b'[';
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(found(directory.path()), Err(DiskError::Corrupt { .. })));
    let (_, believed) = Disk::<String, Vec<u32>>::open(directory.path(), NODE, BLIND).unwrap();
    assert_eq!((believed.snapshot, believed.records), (None, vec!["a".into(), "d".into()]));
}

impl<R, S> Disk<R, S> {
    /// From now on every write is taken and every fsync fails.
    pub(in crate::runtime) fn refuse_fsync(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/null").unwrap();
    }
}
