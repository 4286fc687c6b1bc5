//! The programs of iptables, as a sidecar has them with it: each is one file that is several programs by its first word.
//!
//! They are started through the loader that is packed with them, so that an image needs nothing else. Both variants speak
//! to the same kernel through different doors; which of them is open is found out by trying.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Through which door of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `ip_tables`. The program itself asks through a raw socket: it needs the capability NET_RAW.
    Legacy,
    /// `nf_tables`.
    Nft,
}

/// One variant, found.
#[derive(Clone, Debug)]
pub struct Iptables {
    variant: Variant,
    program: PathBuf,
    /// The loader and the folder of libraries that are packed with it, if it is packed.
    loader: Option<(PathBuf, PathBuf)>,
    /// Where its extensions are, if not in their usual place.
    extensions: Option<PathBuf>,
}

/// Who is talked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Iptables {
    /// The one in this file of a folder as images of our own have it: `bin`, `lib` and `xtables` in it.
    ///
    /// # Errors
    /// `NotFound` where nobody packed it.
    pub fn packed(folder: &Path, variant: Variant, file: &str) -> io::Result<Self> {
        let program = folder.join("bin").join(file);
        let libraries = folder.join("lib");
        std::fs::metadata(&program)?;
        let loader = std::fs::read_dir(&libraries)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-")));
        Ok(Iptables {
            variant,
            program,
            loader: loader.map(|loader| (loader, libraries)),
            extensions: Some(folder.join("xtables")),
        })
    }

    /// Carries out a text of `iptables-restore` in one step; nothing but what it names is touched.
    ///
    /// # Errors
    /// What the program said; nothing has changed then.
    pub fn restore(&self, text: &str) -> io::Result<()> {
        self.run(Family::V4, "restore", &["--noflush"], text).map(drop)
    }

    /// The same of IPv6.
    ///
    /// # Errors
    /// As [`Iptables::restore`].
    pub fn restore_v6(&self, text: &str) -> io::Result<()> {
        self.run(Family::V6, "restore", &["--noflush"], text).map(drop)
    }

    /// What `iptables-save` says of the filter table, with counters.
    ///
    /// # Errors
    /// What the program said.
    pub fn save(&self) -> io::Result<String> {
        self.run(Family::V4, "save", &["--counters", "--table", "filter"], "")
    }

    fn run(&self, family: Family, what: &str, words: &[&str], input: &str) -> io::Result<String> {
        let mut command = match &self.loader {
            Some((loader, libraries)) => {
                let mut command = Command::new(loader);
                command.arg("--library-path").arg(libraries).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        let name = if family == Family::V4 { "iptables" } else { "ip6tables" };
        command.arg(format!("{name}-{what}")).args(words);
        if let Some(extensions) = &self.extensions {
            command.env("XTABLES_LIBDIR", extensions);
        }
        // The root of a sidecar cannot be written to; this can, in every container.
        command.env("XTABLES_LOCKFILE", "/dev/shm/xtables.lock");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // It reads all of it before it says anything, and texts are short.
        child.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no word").trim();
        Err(io::Error::other(format!("{self}: {said}")))
    }
}

impl fmt::Display for Iptables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.variant {
            Variant::Legacy => "iptables-legacy",
            Variant::Nft => "iptables-nft",
        })
    }
}
