//! Our own running program as an image: the one binary, the shared libraries that are loaded with it, and, if this machine
//! has them, the programs of iptables with theirs, for engines whose kernel has no nftables.
//!
//! Which libraries our own are, the kernel knows: they are mapped; of other programs their loader tells. All are started
//! through that loader, so that it does not matter where a distribution keeps them. What it cannot do: run an engine on
//! another kind of machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where everything is in the image.
const FOLDER: &str = "schism";
/// The same as an absolute path.
pub(super) const ROOT: &str = "/schism";
/// Both variants of iptables: each is one file that is several programs by its first word.
pub(super) const LEGACY: &str = "xtables-legacy-multi";
pub(super) const NFT: &str = "xtables-nft-multi";
/// Where programs of the machine's keeper are, for users whose `PATH` has other places only.
const PLACES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// What our rules of iptables are made of; a distribution may have built them in.
const EXTENSIONS: [&str; 5] =
    ["libxt_standard.so", "libxt_tcp.so", "libxt_mark.so", "libxt_NFQUEUE.so", "libipt_REJECT.so"];

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
    pack_iptables(&mut tar, &libraries)?;
    let program = format!("{ROOT}/schism");
    let entrypoint = match libraries.iter().find(|library| is_loader(library)) {
        Some(loader) => vec![
            format!("{ROOT}/lib/{}", name(loader)),
            "--library-path".into(),
            format!("{ROOT}/lib"),
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

/// Adds the programs of iptables, their libraries and their extensions. A machine that has none packs none.
fn pack_iptables(tar: &mut tar::Builder<Vec<u8>>, packed: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut names: BTreeSet<String> = packed.iter().map(|path| name(path)).collect();
    let mut extensions = None;
    for file in [LEGACY, NFT] {
        let Some(program) = find(file) else { continue };
        put(tar, &format!("{FOLDER}/bin/{file}"), &fs::read(&program)?)?;
        let listed = Command::new(&program).env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
        for library in loaded(&String::from_utf8_lossy(&listed.stdout)) {
            if name(&library).starts_with("libxtables.") {
                extensions = library.canonicalize()?.parent().map(|folder| folder.join("xtables"));
            }
            if names.insert(name(&library)) {
                put(tar, &format!("{FOLDER}/lib/{}", name(&library)), &fs::read(&library)?)?;
            }
        }
    }
    for extension in extensions.iter().flat_map(|folder| EXTENSIONS.map(|name| folder.join(name))) {
        if let Ok(bytes) = fs::read(&extension) {
            put(tar, &format!("{FOLDER}/xtables/{}", name(&extension)), &bytes)?;
        }
    }
    Ok(())
}

/// A program on `PATH`, or where programs of the machine's keeper are.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    places.map(|place| place.join(program)).find(|file| file.is_file())
}

/// The files that a loader says it would load: `libc.so.6 => /lib/libc.so.6 (0x…)`, or the loader's own path alone.
fn loaded(listed: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let line = line.split_once("=> ").map_or(line, |(_, path)| path).trim();
        line.starts_with('/').then(|| PathBuf::from(line.split(" (").next().unwrap_or(line)))
    };
    listed.lines().filter_map(path).collect()
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
    fn loaders_say_where_libraries_are() {
        let listed = "\tlinux-vdso.so.1 (0x00007f)\n\tlibmnl.so.0 => /lib/a b/libmnl.so.0 (0x00007f)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            loaded(listed),
            ["/lib/a b/libmnl.so.0", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from)
        );
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
