//! The live line on stderr while a run goes: calm, one line, or a plain line now and then where there is no terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schism_engine::live::{Live, Now};
use schism_engine::stop::Stop;

/// How often a terminal's line changes, and how often a plain line is written.
const FRAME: Duration = Duration::from_millis(100);
const PLAIN: Duration = Duration::from_secs(5);

/// Shows `live` until `done`.
pub fn show(live: &Live, done: &Stop) {
    if std::io::stderr().is_terminal() { on_terminal(live, done) } else { in_lines(live, done) }
}

fn on_terminal(live: &Live, done: &Stop) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is well formed"));
    let mut pace = Pace::default();
    while done.sleep_until(Instant::now() + FRAME) {
        let now = live.now();
        let line = line(&now, pace.per_second(&now));
        bar.set_message(line);
        bar.tick();
    }
    bar.finish_and_clear();
}

fn in_lines(live: &Live, done: &Stop) {
    let mut pace = Pace::default();
    let mut phase = "";
    let mut next = Instant::now();
    while done.sleep_until(Instant::now() + FRAME) {
        let now = live.now();
        if now.phase != phase || Instant::now() >= next {
            eprintln!("{}", line(&now, pace.per_second(&now)));
            phase = now.phase;
            next = Instant::now() + PLAIN;
        }
    }
}

/// `load 12 s left · 498/s · ok 5120 fail 31 info 8 · p50 2.1 ms p99 48 ms · partition n1 | n2 n3`
fn line(now: &Now, per_second: f64) -> String {
    let mut parts = vec![now.phase.to_string()];
    if let Some(ends) = now.phase_ends {
        let left = ends.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
        parts[0] = format!("{} {left} s left", now.phase);
    }
    if now.ok + now.fail + now.info > 0 {
        parts.push(format!("{per_second:.0}/s"));
        parts.push(format!("ok {} fail {} info {}", now.ok, now.fail, now.info));
        let quantile = |q| now.latency_us.value_at_quantile(q) as f64 / 1000.0;
        parts.push(format!("p50 {:.1} ms p99 {:.1} ms", quantile(0.5), quantile(0.99)));
    }
    parts.extend(now.faults.iter().map(|(_, words)| words.clone()));
    parts.join(" · ")
}

/// How many calls ended in the last second or so.
#[derive(Default)]
struct Pace {
    marks: std::collections::VecDeque<(Instant, u64)>,
}

impl Pace {
    fn per_second(&mut self, now: &Now) -> f64 {
        let (at, count) = (Instant::now(), now.ok + now.fail + now.info);
        self.marks.push_back((at, count));
        let old = |mark: &(Instant, u64)| at - mark.0 > Duration::from_secs(1);
        while self.marks.len() > 2 && old(&self.marks[1]) {
            self.marks.pop_front();
        }
        let (first, before) = self.marks[0];
        let span = (at - first).as_secs_f64();
        if span > 0.0 { (count - before) as f64 / span } else { 0.0 }
    }
}
