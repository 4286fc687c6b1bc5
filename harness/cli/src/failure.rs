//! How a command ends: its exit code, and what is said when the harness could not do its work.

use std::process::ExitCode;

use schism_checker::Verdict;
use schism_engine::backend::BackendError;
use schism_engine::plan::Mistakes;
use schism_engine::run::RunError;

/// The exit codes, as documented in `schism --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Valid,
    /// 1
    Invalid,
    /// 2
    Unknown,
    /// 3
    Harness,
    /// 64
    Usage,
    /// 130
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Valid => 0,
            Exit::Invalid => 1,
            Exit::Unknown => 2,
            Exit::Harness => 3,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        })
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Exit::Valid,
            Verdict::Invalid => Exit::Invalid,
            Verdict::Unknown => Exit::Unknown,
        }
    }
}

impl Exit {
    /// Of several runs or files, the worst: an unknown never hides an invalid.
    pub fn worst(self, other: Exit) -> Exit {
        let badness = |exit| match exit {
            Exit::Valid => 0,
            Exit::Unknown => 1,
            Exit::Harness => 2,
            Exit::Usage | Exit::Interrupted => 3,
            Exit::Invalid => 4,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// A plan file has mistakes.
    Plan(Mistakes),
    /// Flags do not go together, or a name is unknown: each with what would be right.
    Usage(Vec<(String, Option<String>)>),
    /// Something else went wrong: what, and what to do next.
    Harness {
        /// What went wrong.
        problem: String,
        /// More lines, such as the end of a log.
        detail: Option<String>,
        /// The next step.
        hint: Option<String>,
    },
}

impl Failure {
    /// One wrong thing in what was asked.
    pub fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Usage(vec![(problem.into(), Some(hint.into()))])
    }

    /// Something went wrong, and what to do next.
    pub fn harness(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Harness { problem: problem.into(), detail: None, hint: Some(hint.into()) }
    }

    /// Something went wrong with a file.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => {
                "check who may read or write it, or choose another place with --out"
            }
            std::io::ErrorKind::StorageFull => "make room on the disk, or choose another place with --out",
            _ => "",
        };
        let hint = (!hint.is_empty()).then(|| hint.to_string());
        Failure::Harness { problem: format!("{}: {error}", path.display()), detail: None, hint }
    }

    /// Says it on stderr, and gives the exit code.
    pub fn show(self) -> Exit {
        match self {
            Failure::Plan(mistakes) => {
                show_mistakes(mistakes);
                Exit::Usage
            }
            Failure::Usage(problems) => {
                for (problem, hint) in problems {
                    say(&problem, None, hint.as_deref());
                }
                Exit::Usage
            }
            Failure::Harness { problem, detail, hint } => {
                say(&problem, detail.as_deref(), hint.as_deref());
                Exit::Harness
            }
        }
    }
}

fn say(problem: &str, detail: Option<&str>, hint: Option<&str>) {
    eprintln!("error: {problem}");
    for line in detail.unwrap_or_default().lines() {
        eprintln!("    {line}");
    }
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
}

/// Every mistake under the line it stands on.
fn show_mistakes(mistakes: Mistakes) {
    let count = mistakes.mistakes.len();
    let source = miette::NamedSource::new(&mistakes.source_name, mistakes.text.clone());
    for mistake in mistakes.mistakes {
        let label = miette::LabeledSpan::at(mistake.span.clone(), "here");
        let place = format!("{}:{}:{}", mistakes.source_name, mistake.line, mistake.column);
        let mut diagnostic =
            miette::MietteDiagnostic::new(format!("{place}: {}", mistake.message)).with_label(label);
        if let Some(help) = mistake.help {
            diagnostic = diagnostic.with_help(help);
        }
        let report = miette::Report::new(diagnostic).with_source_code(source.clone());
        eprintln!("{report:?}");
    }
    eprintln!("error: {} has {count} mistake{}", mistakes.source_name, if count == 1 { "" } else { "s" });
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Failure::Plan(mistakes)
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        let hint = match &error {
            BackendError::Unsupported { remedy, .. } => Some(remedy.clone()),
            _ => Some("`schism doctor` tells what this machine can do".into()),
        };
        Failure::Harness { problem: error.to_string(), detail: None, hint }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let problem = error.to_string();
        match error {
            RunError::Backend(error) => error.into(),
            RunError::Record(error) => Failure::file(&error.path, &error.source),
            RunError::NotReady { log, .. } => Failure::Harness {
                problem,
                detail: Some(log),
                hint: Some(
                    "these are the last lines of its log; raise start-limit if it only needs longer".into(),
                ),
            },
            RunError::Died { log, .. } => Failure::Harness {
                problem,
                detail: Some(log),
                hint: Some("these are the last lines of its log".into()),
            },
        }
    }
}
