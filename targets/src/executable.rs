//! Finds the program of a store that is not ours, before anything is started.
//!
//! Nodes are started in their own namespaces by a process with a working directory of its own, so a program is always
//! given to them by its absolute path. Whether it is the store it should be only shows when it runs.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The absolute path of a program: of a bare name the first on `PATH`, as a shell would find it; of a path that file.
/// `None` if there is no such file or nobody may execute it.
pub fn find(program: &str) -> Option<PathBuf> {
    find_on(program, &std::env::var_os("PATH").unwrap_or_default())
}

fn find_on(program: &str, search: &OsStr) -> Option<PathBuf> {
    let candidates = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        std::env::split_paths(search).map(|folder| folder.join(program)).collect()
    };
    candidates.into_iter().find(|path| executable(path)).and_then(|path| std::path::absolute(path).ok())
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_on_the_path_and_a_path_is_taken_as_it_is() {
        let search = OsStr::new("/nowhere:/etc:/bin");
        assert_eq!(find_on("sh", search), Some("/bin/sh".into()));
        assert_eq!(find_on("/bin/sh", OsStr::new("")), Some("/bin/sh".into()));
        assert_eq!(find_on("sh", OsStr::new("/nowhere")), None);
        assert_eq!(find_on("/bin/no-such-program", search), None);
    }

    #[test]
    fn what_cannot_be_executed_is_no_program() {
        assert_eq!(find_on("passwd", OsStr::new("/etc")), None, "a file of data");
        assert_eq!(find_on("/bin", OsStr::new("")), None, "a folder");
    }
}
