//! The vDSO: the page of code that the kernel maps into every process so that it can read clocks without a system call.
//!
//! The kernel maps the same image everywhere, so our own copy tells where its functions are and how their first bytes look
//! when nobody has changed them. The format is ELF; of it just the dynamic symbols are read (System V ABI, chapter 5).

use std::fs;
use std::io;

/// Where a process has it, and the functions of the image.
#[derive(Clone, Copy)]
pub(super) struct Vdso {
    /// Address in the process.
    pub(super) start: u64,
}

/// A function of the image.
#[derive(Clone, Copy)]
pub(super) struct Function {
    /// From the beginning of the image.
    pub(super) offset: usize,
    /// Bytes of code.
    pub(super) bytes: usize,
}

impl Vdso {
    /// That of a process.
    ///
    /// # Errors
    /// `Interrupted` when it has none: it may be becoming another program. Another kind when that is not ours: that of a 32-bit program.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let line = maps.lines().find(|line| line.ends_with("[vdso]"));
        let none = || io::Error::new(io::ErrorKind::Interrupted, "the process has no vDSO to patch");
        let (start, end) = line.and_then(range).ok_or_else(none)?;
        if (end - start) as usize != image().len() {
            return Err(io::Error::other("its vDSO is not ours: is it a 32-bit program?"));
        }
        Ok(Vdso { start })
    }
}

/// The addresses of a line of `/proc/PID/maps`.
pub(super) fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// Our own copy, as the kernel made it.
pub(super) fn image() -> &'static [u8] {
    static IMAGE: std::sync::OnceLock<&'static [u8]> = std::sync::OnceLock::new();
    IMAGE.get_or_init(|| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let Some((start, end)) = maps.lines().find(|line| line.ends_with("[vdso]")).and_then(range) else {
            return &[];
        };
        // SAFETY: the kernel maps the image there for as long as the process lives, readable, and nobody writes to it.
        unsafe { std::slice::from_raw_parts(start as *const u8, (end - start) as usize) }
    })
}

/// A function of the image, by its name.
pub(super) fn function(name: &str) -> Option<Function> {
    symbols(image())?.find(|(known, _)| known == name.as_bytes()).map(|(_, function)| function)
}

/// Where the image has this instruction; each begins at a multiple of so many bytes.
pub(super) fn position(instruction: &[u8], multiple: usize) -> Option<u64> {
    let mut places = image().windows(instruction.len()).step_by(multiple);
    places.position(|window| window == instruction).map(|at| (at * multiple) as u64)
}

const PROGRAM_HEADER_BYTES: usize = 56;
const LOAD: u64 = 1;
const DYNAMIC: u64 = 2;
const SYMBOL_BYTES: usize = 24;
const STRINGS: u64 = 5;
const SYMBOLS: u64 = 6;
const HASH: u64 = 4;

/// Names and places of the dynamic symbols of a 64-bit ELF image.
fn symbols(image: &[u8]) -> Option<impl Iterator<Item = (Vec<u8>, Function)> + '_> {
    let (headers, count) = (word(image, 32, 8)? as usize, word(image, 56, 2)? as usize);
    let (mut base, mut dynamic) = (0, None);
    for at in (0..count).map(|index| headers.saturating_add(index * PROGRAM_HEADER_BYTES)) {
        match word(image, at, 4)? {
            LOAD => base = word(image, at + 16, 8)?.wrapping_sub(word(image, at + 8, 8)?),
            DYNAMIC => dynamic = Some(word(image, at + 8, 8)? as usize),
            _ => {}
        }
    }
    let (mut strings, mut table, mut hash) = (None, None, None);
    let mut at = dynamic?;
    loop {
        let tag = word(image, at, 8)?;
        let value = word(image, at + 8, 8)?.wrapping_sub(base) as usize;
        match tag {
            0 => break,
            STRINGS => strings = Some(value),
            SYMBOLS => table = Some(value),
            HASH => hash = Some(value),
            _ => {}
        }
        at += 16;
    }
    let (strings, table) = (strings?, table?);
    // The old hash table says how many there are; where there is only the new one, they end where their names begin.
    let count = match hash {
        Some(hash) => word(image, hash.saturating_add(4), 4)? as usize,
        None => strings.checked_sub(table)? / SYMBOL_BYTES,
    };
    Some((0..count).filter_map(move |index| {
        let symbol = table.saturating_add(index * SYMBOL_BYTES);
        let name = image.get(strings.saturating_add(word(image, symbol, 4)? as usize)..)?;
        let name = name.split(|byte| *byte == 0).next()?.to_vec();
        let offset = word(image, symbol + 8, 8)?.wrapping_sub(base) as usize;
        Some((name, Function { offset, bytes: word(image, symbol + 16, 8)? as usize }))
    }))
}

/// A little-endian number of so many bytes; `None` if it is not wholly in the image.
fn word(image: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(image.get(at..at.checked_add(bytes)?)?);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_image_has_its_functions() {
        let clock = function(super::super::arch::FUNCTIONS[0].0).expect("every kernel has it");
        assert!(clock.bytes >= 8 && clock.offset + clock.bytes <= image().len());
        assert!(function("__vdso_nothing").is_none());
        assert_eq!(range("7ff0-8000 r-xp 0 00:00 0  [vdso]"), Some((0x7ff0, 0x8000)));
    }

    #[test]
    fn nonsense_has_no_symbols() {
        let mut image = image().to_vec();
        assert!(symbols(&image[..64]).is_none());
        image[32..40].fill(0xff);
        assert!(symbols(&image[..4096]).is_none());
    }
}
