//! Changes files behind a daemon's back, while it is down: what a bad disk, a bad controller or a bad copy does to them.
//!
//! It finds stores that believe what they read. It changes nothing that a store's own checksums should not notice, but for a
//! torn tail, which looks like a write that never came to its end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::content::Content;
use super::copies::Copies;
use crate::disk::{Edit, Harm};
use crate::random::Random;

/// How much of a file is hit at once where more than a bit is.
const BLOCK: u64 = 4096;
/// The most that a torn tail lacks.
const TORN_MOST: u64 = 64;

/// Makes the change in every file below this directory that is meant and not empty. Says what was done to each. What files held before
/// is what some may hold again.
///
/// # Errors
/// When a file cannot be read or written.
pub fn edit(directory: &Path, edit: &Edit, copies: &Copies) -> io::Result<Vec<String>> {
    let mut done = Vec::new();
    for path in paths(directory)?.iter().filter(|path| edit.files.fits(path)) {
        let file = OpenOptions::new().read(true).write(true).open(directory.join(path))?;
        let length = file.metadata()?.len();
        if length > 0 {
            let mut random = Random::of(edit.seed, path);
            let what = match edit.harm {
                Harm::RollBack => roll_back(&file, &copies.before(&file)?, &mut random)?,
                other => harm(&file, length, other, &mut random)?,
            };
            done.extend(what.map(|what| format!("{path}: {what}")));
        }
    }
    Ok(done)
}

/// The paths of all plain files below a directory, in order.
pub(super) fn paths(directory: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    collect(directory, "", &mut paths)?;
    paths.sort();
    Ok(paths)
}

/// What was done; nothing if no block is another than it was.
fn roll_back(file: &File, before: &Content, random: &mut Random) -> io::Result<Option<String>> {
    let changed = before.changed(file)?;
    if changed.is_empty() {
        return Ok(None);
    }
    let at = changed[random.below(changed.len() as u64) as usize];
    before.put_back(file, at)?;
    Ok(Some(format!("block at {} is what it was when the node was started", at * BLOCK)))
}

/// The paths of all plain files, below the one they are collected from.
fn collect(directory: &Path, above: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{above}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), paths)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

/// What was done; nothing if the file is too small for it.
fn harm(file: &File, length: u64, harm: Harm, random: &mut Random) -> io::Result<Option<String>> {
    let blocks = length.div_ceil(BLOCK);
    Ok(match harm {
        Harm::Tear => {
            let cut = 1 + random.below(length.min(TORN_MOST));
            let cut = cut.min(length);
            file.set_len(length - cut)?;
            Some(format!("last {cut} bytes cut off"))
        }
        Harm::Truncate => {
            let to = random.below(length);
            file.set_len(to)?;
            Some(format!("cut from {length} to {to} bytes"))
        }
        Harm::Flip(bits) | Harm::Line(bits) => {
            let mut last = 0;
            for _ in 0..bits {
                let at = random.below(length);
                let bit = if harm == Harm::Line(bits) { 0 } else { random.below(8) };
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                file.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
                last = at;
            }
            Some(format!("{bits} of its bits turned, the last in byte {last} of {length}"))
        }
        Harm::Zero => {
            let at = random.below(blocks) * BLOCK;
            let count = BLOCK.min(length - at);
            file.write_all_at(&vec![0; count as usize], at)?;
            Some(format!("{count} bytes from {at} on are zeros"))
        }
        // The last block may not be whole, and would be copied short.
        Harm::Misdirect if length / BLOCK >= 2 => {
            let whole = length / BLOCK;
            let from = random.below(whole);
            let to = (from + 1 + random.below(whole - 1)) % whole;
            let mut block = vec![0; BLOCK as usize];
            file.read_exact_at(&mut block, from * BLOCK)?;
            file.write_all_at(&block, to * BLOCK)?;
            Some(format!("block at {} is a copy of that at {}", to * BLOCK, from * BLOCK))
        }
        Harm::Misdirect | Harm::RollBack => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Pattern;

    /// A directory with two files that are meant and one that is not; how many bytes of each differ afterwards, and its length.
    fn edited(harm: Harm, seed: u64) -> (Vec<String>, Vec<(usize, usize)>) {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("deep");
        fs::create_dir(&deep).expect("a directory");
        let content: Vec<u8> = (0..20_000u32).map(|number| (number % 251) as u8 + 1).collect();
        let paths = [folder.path().join("log-1"), deep.join("log-2"), folder.path().join("other")];
        let files = Pattern::of("log-*").expect("short");
        // They grew and changed since the daemon was started: the first two blocks are what they were.
        paths.iter().for_each(|path| fs::write(path, &content[..10_000]).expect("writing"));
        let copies = Copies::of(folder.path(), &[files].into()).expect("copying");
        paths.iter().for_each(|path| fs::write(path, &content).expect("writing"));
        fs::write(folder.path().join("log-empty"), "").expect("writing");
        let told = edit(folder.path(), &Edit { harm, files, seed }, &copies).expect("editing");
        let look = |path| {
            let now = fs::read(path).expect("reading");
            (now.iter().zip(&content).filter(|(now, before)| now != before).count(), now.len())
        };
        let seen = paths.iter().map(look).collect();
        (told, seen)
    }

    #[test]
    fn each_harm_does_what_it_says_and_no_more() {
        for seed in 0..10 {
            for harm in [
                Harm::Tear,
                Harm::Truncate,
                Harm::Flip(1),
                Harm::Flip(3),
                Harm::Line(2),
                Harm::Zero,
                Harm::Misdirect,
                Harm::RollBack,
            ] {
                let (told, seen) = edited(harm, seed);
                assert_eq!(told.len(), 2, "{told:?}");
                assert!(told[0].starts_with("deep/log-2: ") && told[1].starts_with("log-1: "), "{told:?}");
                assert_eq!(seen[2], (0, 20_000), "the file that was not meant");
                for (differ, length) in &seen[..2] {
                    let holds = match harm {
                        Harm::Tear => *differ == 0 && (19_936..20_000).contains(length),
                        Harm::Truncate => *differ == 0 && *length < 20_000,
                        Harm::Flip(bits) | Harm::Line(bits) => *differ == bits as usize && *length == 20_000,
                        Harm::Zero => (3616..=4096).contains(differ) && *length == 20_000,
                        // Two blocks that were whole, one that was begun, and two and a half that were not there.
                        Harm::RollBack => (2288..=4096).contains(differ) && *length == 20_000,
                        Harm::Misdirect => (4000..=4096).contains(differ) && *length == 20_000,
                    };
                    assert!(holds, "{harm:?} with seed {seed}: {differ} bytes differ, {length} bytes long");
                }
                assert_eq!(edited(harm, seed), (told, seen), "the same seed does the same");
            }
        }
    }

    #[test]
    fn a_block_is_what_it_was_when_the_daemon_was_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let [first, second] = [b"1".repeat(5000), b"2".repeat(5000)];
        fs::write(&path, &first).expect("writing");
        let copies = Copies::of(folder.path(), &[Pattern::ALL].into()).expect("copying");
        let back = Edit { harm: Harm::RollBack, files: Pattern::ALL, seed: 1 };
        let roll_back = || edit(folder.path(), &back, &copies).expect("editing");
        assert_eq!(roll_back(), [""; 0], "nothing has been written since");
        let file = OpenOptions::new().write(true).open(&path).expect("it is there");
        file.write_all_at(&second[..1], 4500).expect("writing");
        assert_eq!(roll_back(), ["log: block at 4096 is what it was when the node was started"]);
        assert_eq!(fs::read(&path).expect("reading"), first, "by whatever name it goes");
    }

    #[test]
    fn a_file_that_is_called_otherwise_is_still_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let [one, other, third] = ["one", "other", "third"].map(|name| folder.path().join(name));
        let hold = |path: &Path, byte: u8| fs::write(path, [byte; 4096]).expect("writing");
        hold(&one, b'1');
        hold(&other, b'2');
        let copies = Copies::of(folder.path(), &[Pattern::ALL].into()).expect("copying");
        hold(&one, b'3');
        hold(&other, b'4');
        fs::rename(&one, &third).expect("renaming");
        fs::rename(&other, &one).expect("renaming");
        let back = Edit { harm: Harm::RollBack, files: Pattern::ALL, seed: 1 };
        assert_eq!(edit(folder.path(), &back, &copies).expect("editing").len(), 2);
        let holds = |path: &Path| fs::read(path).expect("reading")[4095];
        assert_eq!((holds(&third), holds(&one)), (b'1', b'2'));
    }

    #[test]
    fn on_a_bad_line_digits_stay_digits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        for seed in 0..10 {
            fs::write(&path, "0123456789").expect("writing");
            let harm = Edit { harm: Harm::Line(1), files: Pattern::ALL, seed };
            edit(folder.path(), &harm, &Copies::default()).expect("editing");
            let now = fs::read(&path).expect("reading");
            let changed: Vec<u8> = now.iter().zip(b"0123456789").map(|(now, before)| now ^ before).collect();
            assert_eq!(changed.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 1);
            assert!(now.iter().all(u8::is_ascii_digit), "{now:?}");
        }
    }

    #[test]
    fn a_file_of_one_block_has_no_other_to_be_mistaken_for() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("small"), "12345").expect("writing");
        let misdirect = Edit { harm: Harm::Misdirect, files: Pattern::ALL, seed: 1 };
        assert!(edit(folder.path(), &misdirect, &Copies::default()).expect("editing").is_empty());
    }
}
