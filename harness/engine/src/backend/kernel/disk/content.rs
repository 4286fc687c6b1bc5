//! What a file held at some moment: its length, and its blocks but those that are all zeros, which a file may be made of by the
//! gigabyte without having been written to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::random::Random;

/// What is compared and kept at once: a page of the kernel's.
pub const BLOCK: usize = 4096;
/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;
/// How much is read at once.
const CHUNK: usize = 64 * BLOCK;

type Block = Box<[u8; BLOCK]>;

/// A file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    length: u64,
    blocks: BTreeMap<u64, Block>,
    /// Blocks that the kernel has given up: their write failed, and they count as written for it as long as they stay like this.
    given_up: BTreeMap<u64, Option<Block>>,
}

impl Content {
    /// What a file holds now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut content = Content::default();
        content.take(file)?;
        Ok(content)
    }

    /// Becomes what a file holds now, but for blocks that were given up and have not been written to since.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(&mut self, file: &File) -> io::Result<()> {
        let mut kept: BTreeMap<u64, Option<Block>> = BTreeMap::new();
        let mut given_up = std::mem::take(&mut self.given_up);
        let length = self.differences(file, |content, at, now| {
            if given_up.get(&at).is_some_and(|then| then.as_deref() == now) {
                kept.extend(given_up.remove_entry(&at));
                return;
            }
            content.put(at, now.copied().map(Box::new));
        })?;
        self.length = length;
        self.given_up = kept;
        Ok(())
    }

    /// A write of everything that has changed has failed: the kernel gives it up.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn give_up(&mut self, file: &File) -> io::Result<()> {
        let mut given_up = BTreeMap::new();
        self.differences(file, |_, at, now| drop(given_up.insert(at, now.copied().map(Box::new))))?;
        self.given_up = given_up;
        Ok(())
    }

    /// How many bytes are not what a later content has in their place, those beyond the end of the shorter one included.
    pub fn bytes_apart(&self, other: &Content) -> u64 {
        let (short, long) = (self.length.min(other.length), self.length.max(other.length));
        let both = self.blocks.keys().chain(other.blocks.keys());
        let both: std::collections::BTreeSet<u64> = both.copied().collect();
        let differ = both.into_iter().map(|at| {
            let within = short.saturating_sub(at * BLOCK as u64).min(BLOCK as u64) as usize;
            let (one, two) = (self.block(at), other.block(at));
            (0..within).filter(|byte| one[*byte] != two[*byte]).count() as u64
        });
        differ.sum::<u64>() + (long - short)
    }

    /// What is on the disk when the power fails while it is on its way to become `now`: of what is overwritten any sectors, of
    /// what is appended any beginning; cut short or not.
    pub fn torn(&self, now: &Content, random: &mut Random) -> Content {
        let mut torn = self.clone();
        torn.given_up.clear();
        let shared = self.length.min(now.length);
        let both: std::collections::BTreeSet<u64> =
            self.blocks.keys().chain(now.blocks.keys()).copied().collect();
        for at in both.iter().filter(|at| **at * (BLOCK as u64) < shared) {
            let (before, after) = (self.block(*at), now.block(*at));
            let mut mixed = before;
            for start in (0..BLOCK).step_by(SECTOR) {
                let sector = start..start + SECTOR;
                let is_kept = before[sector.clone()] == after[sector.clone()] || random.below(2) == 0;
                if !is_kept {
                    mixed[sector.clone()].copy_from_slice(&after[sector]);
                }
            }
            torn.put(*at, Some(Box::new(mixed)));
        }
        if now.length > self.length {
            torn.length = self.length + random.below(now.length - self.length + 1);
            for at in both.iter().filter(|at| (**at + 1) * (BLOCK as u64) > self.length) {
                let (mut mixed, after) = (torn.block(*at), now.block(*at));
                let start = at * BLOCK as u64;
                let [from, to] = [self.length, torn.length]
                    .map(|end| end.saturating_sub(start).min(BLOCK as u64) as usize);
                mixed[from..to].copy_from_slice(&after[from..to]);
                torn.put(*at, Some(Box::new(mixed)));
            }
        } else if random.below(2) == 0 {
            torn.length = now.length;
        }
        torn.cut();
        torn
    }

    /// Makes a file hold this.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &File) -> io::Result<()> {
        // What was beyond the end must not come back when it grows.
        let length = file.metadata()?.len().min(self.length);
        file.set_len(length)?;
        let mut changed = Vec::new();
        let mut now = Content { length, ..self.clone() };
        now.given_up.clear();
        now.differences(file, |_, at, _| changed.push(at))?;
        file.set_len(self.length)?;
        let beyond = self.blocks.keys().filter(|at| **at >= length / BLOCK as u64).copied();
        changed.extend(beyond);
        for at in changed {
            let start = at * BLOCK as u64;
            let bytes = self.length.saturating_sub(start).min(BLOCK as u64) as usize;
            file.write_all_at(&self.block(at)[..bytes], start)?;
        }
        Ok(())
    }

    /// The blocks of a file that are not what they were, by their numbers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn changed(&self, file: &File) -> io::Result<Vec<u64>> {
        let mut changed = Vec::new();
        let length = self.clone().differences(file, |_, at, _| changed.push(at))?;
        changed.retain(|at| at * (BLOCK as u64) < length);
        Ok(changed)
    }

    /// Makes one block of a file what it was. The file stays as long as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_back(&self, file: &File, at: u64) -> io::Result<()> {
        let start = at * BLOCK as u64;
        let bytes = file.metadata()?.len().saturating_sub(start).min(BLOCK as u64) as usize;
        file.write_all_at(&self.block(at)[..bytes], start)
    }

    fn block(&self, at: u64) -> [u8; BLOCK] {
        self.blocks.get(&at).map_or([0; BLOCK], |block| **block)
    }

    fn put(&mut self, at: u64, block: Option<Block>) {
        match block.filter(|block| block.iter().any(|byte| *byte != 0)) {
            Some(block) => drop(self.blocks.insert(at, block)),
            None => drop(self.blocks.remove(&at)),
        }
    }

    /// Nothing is left beyond the end.
    fn cut(&mut self) {
        let whole = self.length / BLOCK as u64;
        drop(self.blocks.split_off(&(whole + 1)));
        let rest = (self.length % BLOCK as u64) as usize;
        if let Some(mut last) = self.blocks.remove(&whole) {
            last[rest..].fill(0);
            self.put(whole, Some(last));
        }
    }

    /// Tells of each block in which a file differs from this: which, and what it is now; `None` is all zeros. Returns the file's
    /// length.
    fn differences(
        &mut self,
        file: &File,
        mut tell: impl FnMut(&mut Content, u64, Option<&[u8; BLOCK]>),
    ) -> io::Result<u64> {
        let length = file.metadata()?.len();
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        while at < length {
            let data = segment(file, at, libc::SEEK_DATA)?.map_or(length, |start| start.min(length));
            let data = data - data % BLOCK as u64;
            self.empty(at / BLOCK as u64, data / BLOCK as u64, &mut tell);
            if data >= length {
                break;
            }
            let hole = segment(file, data.max(at), libc::SEEK_HOLE)?.unwrap_or(length);
            at = data.max(at);
            while at < hole {
                let wanted = (hole - at).min(CHUNK as u64) as usize;
                let got = read_at(file, &mut chunk[..wanted.next_multiple_of(BLOCK)], at)?;
                for (index, block) in chunk[..wanted.next_multiple_of(BLOCK)].chunks_exact(BLOCK).enumerate()
                {
                    let block: &[u8; BLOCK] = block.try_into().expect("a block");
                    let number = at / BLOCK as u64 + index as u64;
                    match self.blocks.get(&number) {
                        Some(kept) if **kept == *block => {}
                        None if block.iter().all(|byte| *byte == 0) => {}
                        Some(_) if block.iter().all(|byte| *byte == 0) => tell(self, number, None),
                        _ => tell(self, number, Some(block)),
                    }
                }
                at += wanted.next_multiple_of(BLOCK) as u64;
                if got == 0 {
                    break;
                }
            }
        }
        self.empty(length.div_ceil(BLOCK as u64), u64::MAX, &mut tell);
        Ok(length)
    }

    /// These blocks are empty now.
    fn empty(&mut self, from: u64, to: u64, tell: &mut impl FnMut(&mut Content, u64, Option<&[u8; BLOCK]>)) {
        if from < to {
            let were: Vec<u64> = self.blocks.range(from..to).map(|(at, _)| *at).collect();
            were.into_iter().for_each(|at| tell(self, at, None));
        }
    }
}

/// Where the next data, or the next hole, begins; `None` where there is none.
fn segment(file: &File, from: u64, what: i32) -> io::Result<Option<u64>> {
    // SAFETY: a plain call on a live descriptor.
    let found = unsafe { libc::lseek64(file.as_raw_fd(), from as i64, what) };
    match io::Error::last_os_error() {
        _ if found >= 0 => Ok(Some(found as u64)),
        error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        // A file system without holes.
        error if error.raw_os_error() == Some(libc::EINVAL) => Ok((what == libc::SEEK_DATA).then_some(from)),
        error => Err(error),
    }
}

/// Fills the buffer from there on, with zeros beyond the end. Returns how much was there.
fn read_at(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], from + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    buffer[got..].fill(0);
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("writing");
        file
    }

    fn bytes(content: &Content) -> Vec<u8> {
        let file = tempfile::tempfile().expect("a file");
        content.write(&file).expect("writing");
        whole(&file)
    }

    fn whole(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().expect("a length").len() as usize];
        file.read_exact_at(&mut bytes, 0).expect("reading");
        bytes
    }

    /// Some bytes that are different at every place and for every seed.
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut random = Random::of(seed, "noise");
        (0..length).map(|_| random.below(255) as u8 + 1).collect()
    }

    #[test]
    fn what_was_taken_is_written_again_over_anything() {
        for length in [0, 1, 511, 4096, 5000, CHUNK, CHUNK + 4097] {
            let wanted = noise(length, 1);
            let content = Content::of(&file(&wanted)).expect("reading");
            assert_eq!(bytes(&content), wanted, "{length}");
            for other in [0, 3, 4096, 9000, CHUNK + 9000] {
                let over = file(&noise(other, 2));
                content.write(&over).expect("writing");
                assert_eq!(whole(&over), wanted, "{length} over {other}");
            }
        }
    }

    #[test]
    fn only_what_changed_is_taken_and_holes_stay_holes() {
        let file = file(&noise(3 * BLOCK, 1));
        file.set_len(1 << 30).expect("a hole");
        let mut content = Content::of(&file).expect("reading");
        assert_eq!((content.length, content.blocks.len()), (1 << 30, 3));
        file.write_all_at(b"x", (1 << 30) - 1).expect("writing");
        file.write_all_at(&[0; BLOCK], BLOCK as u64).expect("writing");
        content.take(&file).expect("reading");
        assert_eq!(content.blocks.keys().copied().collect::<Vec<_>>(), [0, 2, (1 << 18) - 1]);
        file.set_len(5).expect("cutting");
        let before = content.clone();
        content.take(&file).expect("reading");
        assert_eq!((content.length, content.blocks.len()), (5, 1));
        assert_eq!(content.bytes_apart(&before), (1 << 30) - 5);
        assert_eq!(content, Content::of(&file).expect("reading"));
    }

    #[test]
    fn what_was_given_up_stays_out_until_it_is_written_again() {
        let file = file(&[1; 2 * BLOCK]);
        let mut content = Content::of(&file).expect("reading");
        file.write_all_at(&[2; 10], 0).expect("writing");
        file.write_all_at(&[2; 10], BLOCK as u64).expect("writing");
        content.give_up(&file).expect("reading");
        // The next fsync succeeds, and does not write what the one before has given up.
        file.write_all_at(&[3; 1], BLOCK as u64).expect("writing");
        content.take(&file).expect("reading");
        let now = bytes(&content);
        assert_eq!((&now[..10], &now[BLOCK..BLOCK + 3]), (&[1; 10][..], &[3, 2, 2][..]));
        content.take(&file).expect("reading");
        assert_eq!(bytes(&content), now, "however often it is tried");
        file.write_all_at(&[4; 1], 9).expect("writing");
        content.take(&file).expect("reading");
        assert_eq!(bytes(&content)[..10], [2, 2, 2, 2, 2, 2, 2, 2, 2, 4]);
    }

    #[test]
    fn a_torn_write_is_some_of_the_new_and_some_of_the_old() {
        let (old, new) = (noise(6000, 1), noise(15_000, 2));
        let [before, after] = [&old, &new].map(|bytes| Content::of(&file(bytes)).expect("reading"));
        let (mut lengths, mut kept, mut lost) = (std::collections::BTreeSet::new(), 0, 0);
        for seed in 0..50 {
            let torn = bytes(&before.torn(&after, &mut Random::of(seed, "torn")));
            assert!((6000..=15_000).contains(&torn.len()));
            assert_eq!(torn[6000..], new[6000..torn.len()], "what was appended has no holes");
            for sector in torn[..6000].chunks(SECTOR).zip(old.chunks(SECTOR)).zip(new.chunks(SECTOR)) {
                let ((is, was), will) = sector;
                let width = is.len();
                assert!(is == &was[..width] || is == &will[..width], "a sector is whole");
                if is == &was[..width] { lost += 1 } else { kept += 1 }
            }
            lengths.insert(torn.len());
        }
        assert!(lengths.len() > 25 && kept > 100 && lost > 100, "{} {kept} {lost}", lengths.len());
        let shorter = after.torn(&before, &mut Random::of(1, "torn"));
        assert!([6000, 15_000].contains(&bytes(&shorter).len()));
    }
}
