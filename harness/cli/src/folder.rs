//! A run's folder: `plan.toml`, `history.jsonl`, `verdict.json`, `report.html`, `nodes/*/node.log`. Nothing in it is ever
//! overwritten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schism_engine::plan::Plan;

use crate::cluster::checksum;
use crate::failure::Failure;

/// Where runs go if nothing else is said.
pub const RUNS: &str = "schism-runs";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// Makes the folder `out`, or a new one among the others, named by time and content.
    pub fn create(out: Option<&Path>, name: &str) -> Result<Self, Failure> {
        match out {
            Some(path) => Folder::exactly(path),
            None => Folder::among_others(name),
        }
    }

    fn exactly(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(|error| Failure::file(path, &error))?;
        let mut inside = fs::read_dir(path).map_err(|error| Failure::file(path, &error))?;
        if inside.next().is_some() {
            let problem = format!("{} is not empty: a run overwrites nothing", path.display());
            return Err(Failure::harness(problem, "choose a new folder with --out"));
        }
        Folder::at(path)
    }

    fn among_others(name: &str) -> Result<Self, Failure> {
        let runs = Path::new(RUNS);
        fs::create_dir_all(runs).map_err(|error| Failure::file(runs, &error))?;
        let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
        for attempt in 1.. {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let path = runs.join(format!("{now}-{name}{suffix}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    point_latest(runs, &path);
                    return Folder::at(&path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::file(&path, &error)),
            }
        }
        unreachable!("the attempts do not end")
    }

    fn at(path: &Path) -> Result<Self, Failure> {
        let path = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
        Ok(Folder { path })
    }

    /// Writes one of its files.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| Failure::file(&path, &error))?;
        io::Write::write_all(&mut file, text.as_bytes()).map_err(|error| Failure::file(&path, &error))
    }

    /// Writes the plan, whole, and what ran it.
    pub fn write_plan(&self, plan: &Plan, runs: &[String]) -> Result<(), Failure> {
        self.write("plan.toml", &format!("{}\n{}", plan.to_toml(), what_ran(runs)))
    }

    /// Adds to the plan how the cluster that carries it out is made.
    pub fn add_to_plan(&self, lines: &[String]) -> Result<(), Failure> {
        let path = self.path.join("plan.toml");
        let text: String = lines.iter().map(|line| comment(line) + "\n").collect();
        let file = fs::OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|error| Failure::file(&path, &error))
    }

    /// Where the history is.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// The folder as a person would type it: relative to here if it is below.
    pub fn shown(&self) -> String {
        let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
        let below = here.as_ref().and_then(|here| self.path.strip_prefix(here).ok());
        below.unwrap_or(&self.path).display().to_string()
    }
}

/// Keeps `schism-runs/latest` pointing at the newest run. A convenience: no run fails for it.
fn point_latest(runs: &Path, path: &Path) {
    let latest = runs.join("latest");
    let Some(name) = path.file_name() else { return };
    if fs::symlink_metadata(&latest).is_ok_and(|meta| meta.file_type().is_symlink()) {
        drop(fs::remove_file(&latest));
    }
    #[cfg(unix)]
    drop(std::os::unix::fs::symlink(name, &latest));
}

/// The version and checksum of what ran, as comments: of this program, which is also that of every bundled node, and of
/// the target's own.
fn what_ran(runs: &[String]) -> String {
    let mut text = format!("# ran by schism {}", env!("CARGO_PKG_VERSION"));
    let own = std::env::current_exe().ok();
    let own = own.map(|program| format!("{}: {}", program.display(), checksum(&program)));
    for line in own.iter().chain(runs) {
        text.push_str(&format!("\n{}", comment(line)));
    }
    text.push('\n');
    text
}

fn comment(line: &str) -> String {
    format!("# {}", line.replace(char::is_control, " "))
}
