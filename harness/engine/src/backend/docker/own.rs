//! Our own running program as an image: the one binary, the shared libraries that are loaded with it, and nothing else.
//!
//! Which libraries those are, the kernel knows: they are mapped. The program is started through its own loader, so that it
//! does not matter where a distribution keeps either. What it cannot do: run an engine on another kind of machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where everything is in the image.
const FOLDER: &str = "schism";

/// An image's files, and how to start the program in it.
pub(super) struct Packed {
    /// A tar archive of the whole root.
    pub(super) tar: Vec<u8>,
    /// The words before the program's own arguments.
    pub(super) entrypoint: Vec<String>,
}

/// Packs the running program.
///
/// # Errors
/// When a file of it cannot be read.
pub(super) fn pack() -> io::Result<Packed> {
    let libraries = libraries(&fs::read_to_string("/proc/self/maps")?);
    let mut tar = tar::Builder::new(Vec::new());
    // The file itself may have been replaced since it was started; this is still the one that runs.
    put(&mut tar, &format!("{FOLDER}/schism"), &fs::read("/proc/self/exe")?)?;
    for library in &libraries {
        put(&mut tar, &format!("{FOLDER}/lib/{}", name(library)), &fs::read(library)?)?;
    }
    let program = format!("/{FOLDER}/schism");
    let entrypoint = match libraries.iter().find(|library| is_loader(library)) {
        Some(loader) => vec![
            format!("/{FOLDER}/lib/{}", name(loader)),
            "--library-path".into(),
            format!("/{FOLDER}/lib"),
            program,
        ],
        // Nothing is loaded with it.
        None => vec![program],
    };
    Ok(Packed { tar: tar.into_inner()?, entrypoint })
}

fn put(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o755);
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

/// The shared libraries among a process's mapped files, as `/proc/PID/maps` lists them, the loader included.
fn libraries(maps: &str) -> BTreeSet<PathBuf> {
    // The path is the sixth field and may itself contain blanks.
    let path = |line: &str| line.find('/').map(|at| PathBuf::from(&line[at..]));
    maps.lines().filter_map(path).filter(|path| is_library(path)).collect()
}

fn is_library(path: &Path) -> bool {
    name(path).split('.').any(|part| part == "so")
}

fn is_loader(path: &Path) -> bool {
    name(path).starts_with("ld-") || name(path).starts_with("ld.")
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_that_are_mapped() {
        let maps = "1-2 r-xp 0 08:01 7   /usr/bin/schism\n\
                    2-3 r-xp 0 08:01 8   /usr/lib/libc.so.6\n\
                    3-4 r--p 0 08:01 8   /usr/lib/libc.so.6\n\
                    4-5 r--p 0 08:01 9   /usr/lib/ld-linux-x86-64.so.2\n\
                    5-6 r--p 0 00:00 0   [vdso]\n\
                    6-7 rw-p 0 00:00 0\n\
                    7-8 r--s 0 08:01 9   /usr/share/zoneinfo/tzdata.zi\n";
        let found: Vec<String> = libraries(maps).iter().map(|path| name(path)).collect();
        assert_eq!(found, ["ld-linux-x86-64.so.2", "libc.so.6"]);
    }

    #[test]
    fn this_very_program_can_be_packed() {
        let packed = pack().expect("its files can be read");
        let mut archive = tar::Archive::new(&packed.tar[..]);
        let files: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        for word in packed.entrypoint.iter().filter(|word| word.starts_with('/')) {
            let inside = word.trim_start_matches('/');
            assert!(files.iter().any(|file| file.starts_with(inside)), "{word} is not in {files:?}");
        }
    }
}
