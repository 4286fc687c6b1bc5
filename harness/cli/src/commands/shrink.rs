//! `schism shrink`: the smallest part of an invalid history that is still invalid, as a history of its own.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schism_checker::shrink::{Shrunk, Wholes, left_out_too_much, shrink};
use schism_checker::{Budget, Checker, Judgement, Verdict};
use schism_engine::plan::{Complaint, duration, size};
use schism_history::format::Format;
use schism_history::jepsen::Keys;
use schism_history::{History, export, jsonl};

use crate::args::{self, Model};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::judge::{Allowance, judge};
use crate::models::{self, Parameters};

/// How often a plain line tells how far it is where there is no terminal.
const PLAIN: Duration = Duration::from_secs(5);

/// Shrinks a history, judges what is left again, and writes it to a file that was not there before.
pub fn run(args: &args::Shrink) -> Result<Exit, Failure> {
    let flag = |name: &'static str| {
        move |complaint: Complaint| {
            Failure::Usage(vec![(format!("{name}: {}", complaint.message), complaint.help)])
        }
    };
    let allowance = Allowance {
        time: duration(&args.time).map_err(flag("--time"))?,
        memory_bytes: size(&args.memory).map_err(flag("--memory"))?,
    };
    let initial = models::initial(&args.initial);
    let parameters = Parameters {
        initial,
        ttl: duration(&args.ttl).map_err(flag("--ttl"))?,
        clock_error: duration(&args.clock_error).map_err(flag("--clock-error"))?,
        real_time: args.real_time,
    };
    let checker = models::checker(args.model, args::Judge::Auto, &parameters)?;
    let path = if args.file.is_dir() { args.file.join("history.jsonl") } else { args.file.clone() };
    let to = args.out.clone().unwrap_or_else(|| beside(&path));
    if to.exists() {
        let hint = "move it away, or name another file with --out";
        return Err(Failure::harness(format!("{}: is there already", to.display()), hint));
    }
    let whole = read(&path, args)?;
    let started = Instant::now();
    let checkers = [checker];
    let first = judge(&checkers, &whole, allowance).remove(0);
    if first.verdict != Verdict::Invalid {
        let verdict = if first.verdict == Verdict::Valid { "valid" } else { "unknown" };
        eprintln!("{}: {verdict}: there is nothing to shrink, and nothing was written", path.display());
        return Ok(first.verdict.into());
    }
    let wholes = wholes(args.model);
    let shrunk = smallest(&*checkers[0], &whole, wholes, &first, started, allowance);
    let text = proven(&*checkers[0], &whole, wholes, &shrunk, allowance)?;
    input::as_it_was_read(&path, &whole, "nothing was written; shrink it when nobody writes to it")?;
    let mut file = File::create_new(&to).map_err(|error| Failure::file(&to, &error))?;
    file.write_all(&text).map_err(|error| Failure::file(&to, &error))?;
    println!("{}", told(&whole, &shrunk, wholes, &to));
    if started.elapsed() >= allowance.time {
        eprintln!("hint: the time allowed was used up: --time lets it look for a smaller part");
    }
    Ok(Exit::Invalid)
}

/// `history.jsonl` has `history.shrunk.jsonl` beside it.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("shrunk.jsonl")
}

fn read(path: &Path, args: &args::Shrink) -> Result<History, Failure> {
    let keys = if args.independent { Keys::Tuple } else { Keys::One };
    let recorded = input::recorded(path, Format::Auto, keys, "nothing was shrunk")?;
    if let Some(line) = recorded.cut {
        eprintln!("{}: line {line}: the file is cut off here; what stands before is shrunk", path.display());
    }
    Ok(recorded.history)
}

/// What of the model's objects goes as a whole only.
fn wholes(model: Model) -> Wholes {
    match model {
        Model::Counter | Model::String | Model::MultiRegister | Model::Semaphore => Wholes::Keys,
        Model::Mutex | Model::Lease | Model::FencingTokens | Model::FencedLock => Wholes::Processes,
        _ => Wholes::Values,
    }
}

fn smallest(
    checker: &dyn Checker,
    whole: &History,
    wholes: Wholes,
    first: &Judgement,
    started: Instant,
    allowance: Allowance,
) -> Shrunk {
    let mut progress = Progress::new();
    let mut left = whole.len();
    let over = || started.elapsed() >= allowance.time;
    let bytes = usize::try_from(allowance.memory_bytes).unwrap_or(usize::MAX);
    let witness = first.anomalies.first().map_or(&[][..], |anomaly| &anomaly.witness);
    let shrunk = shrink(whole, wholes, witness, |part| {
        if over() {
            return false;
        }
        let budget = Budget { bytes, time: allowance.time, over: &over };
        let bad = checker.check(part, budget).verdict == Verdict::Invalid;
        if bad {
            left = part.len();
        }
        progress.show(left, whole.len(), started.elapsed());
        bad
    });
    progress.bar.finish_and_clear();
    shrunk
}

/// The part as it will stand in its file, if reading that again gives an invalid history from which nothing is missing that
/// what stayed rests on.
fn proven(
    checker: &dyn Checker,
    whole: &History,
    wholes: Wholes,
    shrunk: &Shrunk,
    allowance: Allowance,
) -> Result<Vec<u8>, Failure> {
    let mistake = |problem: String| {
        Failure::harness(
            format!("what was left is no proof: {problem}"),
            "nothing was written; this is a mistake in schism: please report it with the history",
        )
    };
    let mut text = Vec::new();
    export::jsonl(&mut text, &shrunk.history).map_err(|error| mistake(error.to_string()))?;
    let again = jsonl::read(text.as_slice()).map_err(|error| mistake(error.to_string()))?.history;
    if let Some(missing) = left_out_too_much(whole, &again, &shrunk.kept, wholes) {
        return Err(mistake(missing));
    }
    let started = Instant::now();
    let over = || started.elapsed() >= allowance.time;
    let bytes = usize::try_from(allowance.memory_bytes).unwrap_or(usize::MAX);
    let verdict = checker.check(&again, Budget { bytes, time: allowance.time, over: &over }).verdict;
    match verdict {
        Verdict::Invalid => Ok(text),
        _ => Err(mistake("judged again, it is not invalid".into())),
    }
}

/// `5 of 10000 operations are left and still invalid, judged again; left out: 19 keys, 412 values, 3 operations: in FILE`
fn told(whole: &History, shrunk: &Shrunk, wholes: Wholes, to: &Path) -> String {
    let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let mut gone = vec![many(shrunk.keys, "whole key")];
    match wholes {
        Wholes::Values => gone.push(many(shrunk.wholes, "whole value")),
        Wholes::Processes => gone.push(many(shrunk.wholes, "whole client")),
        Wholes::Keys => {}
    }
    gone.push(many(shrunk.single, "single operation"));
    format!(
        "{} of {} operations are left, judged again and still invalid, in {}; left out: {}",
        shrunk.kept.len(),
        whole.len(),
        to.display(),
        gone.join(", ")
    )
}

/// How far it is, on stderr: a live line on a terminal, else a plain one now and then.
struct Progress {
    bar: ProgressBar,
    live: bool,
    next: Duration,
}

impl Progress {
    fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style =
            ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is well formed");
        bar.set_style(style);
        Progress { bar, live, next: PLAIN }
    }

    fn show(&mut self, left: usize, of: usize, elapsed: Duration) {
        let line = || format!("shrinking: {left} of {of} operations left, {:.1} s", elapsed.as_secs_f64());
        if self.live {
            self.bar.set_message(line());
            self.bar.tick();
        } else if elapsed >= self.next {
            eprintln!("{}", line());
            self.next = elapsed + PLAIN;
        }
    }
}
