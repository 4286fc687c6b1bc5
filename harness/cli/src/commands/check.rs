//! `schism check`: judges recorded histories again, ours or a peer's. Never writes to them.

use std::path::{Path, PathBuf};

use schism_checker::{Checker, Verdict};
use schism_engine::plan::{Complaint, Plan, duration, size};
use schism_history::format::Format;
use schism_history::jepsen::Keys;
use schism_report::{About, Summary, terminal};

use super::run::{judges_of, read_plan};
use crate::args::{self, Judge, Model};
use crate::failure::{Exit, Failure};
use crate::judge::{Allowance, judge};
use crate::models::{self, Parameters};
use crate::{in_parts, input, screen};

/// What the flags say, understood.
struct Request {
    model: Option<Model>,
    judge: Judge,
    parameters: Parameters,
    format: Format,
    keys: Keys,
    cut: bool,
    allowance: Allowance,
}

/// Judges every file; the worst decides the exit code.
pub fn run(args: &args::Check) -> Result<Exit, Failure> {
    keep_no_large_pieces();
    let request = request(args)?;
    let mut exit = Exit::Valid;
    let mut judged: Vec<(String, Summary)> = Vec::new();
    for file in &args.files {
        match check(file, &request) {
            Ok(summary) => {
                exit = exit.worst(summary.verdict.into());
                judged.push((file.display().to_string(), summary));
            }
            Err(failure) => exit = exit.worst(failure.show()),
        }
    }
    show(&judged, args);
    Ok(exit)
}

/// Has the allocator give large pieces of memory back to the system as soon as they are free. Left alone, glibc takes ever larger
/// ones for worth keeping: a million calls then take up to a quarter more.
#[cfg(target_env = "gnu")]
fn keep_no_large_pieces() {
    const LARGE: libc::c_int = 128 << 10;
    // SAFETY: it sets a number of the allocator's own, for whatever is asked of it from now on.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

#[cfg(not(target_env = "gnu"))]
fn keep_no_large_pieces() {}

fn show(judged: &[(String, Summary)], args: &args::Check) {
    match judged {
        _ if args.json => {
            for (_, summary) in judged {
                println!("{}", serde_json::to_string(summary).expect("a summary is plain data"));
            }
        }
        [(_, summary)] if args.files.len() == 1 => print!("{}", terminal::screen(summary, screen::look())),
        _ => {
            let several: Vec<(&str, &Summary)> =
                judged.iter().map(|(name, summary)| (name.as_str(), summary)).collect();
            print!("{}", terminal::compact(&several, screen::look()));
            let count = |verdict| judged.iter().filter(|(_, summary)| summary.verdict == verdict).count();
            let (valid, invalid) = (count(Verdict::Valid), count(Verdict::Invalid));
            let rest = args.files.len() - judged.len();
            eprintln!(
                "{valid} valid, {invalid} invalid, {} unknown, {rest} not read",
                count(Verdict::Unknown)
            );
        }
    }
}

fn request(args: &args::Check) -> Result<Request, Failure> {
    let format = Format::ALL.into_iter().find(|format| format.word() == args.format).ok_or_else(|| {
        let words: Vec<_> = Format::ALL.iter().map(|format| format.word()).collect();
        Failure::usage(
            format!("there is no format {:?}", args.format),
            format!("there are: {}", words.join(", ")),
        )
    })?;
    let flag = |name: &'static str| {
        move |complaint: Complaint| {
            Failure::Usage(vec![(format!("{name}: {}", complaint.message), complaint.help)])
        }
    };
    Ok(Request {
        model: args.model,
        judge: args.judge,
        parameters: Parameters {
            initial: models::initial(&args.initial),
            ttl: duration(&args.ttl).map_err(flag("--ttl"))?,
            clock_error: duration(&args.clock_error).map_err(flag("--clock-error"))?,
            real_time: args.real_time,
        },
        format,
        keys: if args.independent { Keys::Tuple } else { Keys::One },
        cut: args.cut,
        allowance: Allowance {
            time: duration(&args.time).map_err(flag("--time"))?,
            memory_bytes: size(&args.memory).map_err(flag("--memory"))?,
        },
    })
}

/// Reads and judges one file, or the history of one run's folder.
fn check(file: &Path, request: &Request) -> Result<Summary, Failure> {
    let path = if file.is_dir() { file.join("history.jsonl") } else { file.to_path_buf() };
    let (judges, about) = judges(file, &path, request)?;
    let whole = |cut: Option<usize>| match cut.filter(|_| !request.cut) {
        Some(line) => {
            let file = path.display();
            let problem = format!("{file}: line {line}: the file is cut off here, as a killed run leaves it");
            Err(Failure::harness(problem, format!("--cut judges what stands before line {line}")))
        }
        None => Ok(()),
    };
    if in_parts::wanted(&path, request.format, &judges, request.allowance.memory_bytes) {
        let judged = in_parts::judge(&path, (request.format, request.keys), &judges, request.allowance)?;
        whole(judged.cut)?;
        return Ok(Summary::of_parts(about, &judged.concluded, judged.measured));
    }
    let lost = "nothing was judged; --format names the form, if it was taken for another one";
    let recorded = input::recorded(&path, request.format, request.keys, lost)?;
    whole(recorded.cut)?;
    let judgements = judge(&judges, &recorded.history, request.allowance);
    input::as_it_was_read(
        &path,
        &recorded.history,
        "nothing was concluded; judge it when nobody writes to it",
    )?;
    Ok(Summary::new(about, &judgements, &recorded.history))
}

/// Who judges a file: the model that was named, or the judges of the plan beside it.
fn judges(file: &Path, path: &Path, request: &Request) -> Result<(Vec<Box<dyn Checker>>, About), Failure> {
    if let Some(model) = request.model {
        let about = About { target: Some(file.display().to_string()), ..About::default() };
        return Ok((vec![models::checker(model, request.judge, &request.parameters)?], about));
    }
    let plan_path: PathBuf = path.with_file_name("plan.toml");
    if !plan_path.is_file() {
        let problem = format!("{}: no plan.toml beside it says what it is a history of", path.display());
        return Err(Failure::usage(
            problem,
            "name its model, --model register for instance: `schism check --help` lists them",
        ));
    }
    let plan: Plan = read_plan(&plan_path)?;
    let about = About {
        target: Some(plan.target.name.clone()),
        bug: (!plan.target.bugs.is_empty()).then(|| plan.target.bugs.join(", ")),
        workload: Some(plan.workload.name.clone()),
        nemeses: super::run::named(&plan),
        seed: Some(plan.seed),
        mechanisms: Vec::new(),
        folder: Some(file.display().to_string()),
        next: Vec::new(),
    };
    Ok((judges_of(&plan), about))
}
