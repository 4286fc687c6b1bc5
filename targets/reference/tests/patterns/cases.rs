//! What the simulated families are asked: a case is a family with its settings, faults, clients and perhaps a bug, and what
//! it is to keep; it is tried on many seeds.
//!
//! `SCHISM_SEEDS=1000` tries a thousand seeds of each correct mode instead of the usual few.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schism_checker::model::CasRegister;
use schism_checker::{Budget, Checker, Linearizable, Verdict};
use schism_reference::simulation::{Habit, Mix, Options, Simulated};
use schism_reference::{Family, named};

/// No limit.
pub const BUDGET: Budget<'static> = Budget { bytes: 1 << 30, time: Duration::MAX, over: &|| false };

/// What is run, and what is asked of it.
#[derive(Clone, Copy)]
pub struct Case {
    pub family: &'static str,
    pub settings: &'static [(&'static str, &'static str)],
    pub bug: Option<&'static str>,
    pub mix: &'static str,
    pub habit: Habit,
    pub nodes: usize,
    pub keys: usize,
    pub load: Duration,
    pub quiet: Duration,
    pub keeps: fn(&Simulated) -> bool,
    /// How many seeds show that it is never broken.
    pub seeds: u64,
    /// How many seeds are looked at for how often it is.
    pub tries: u64,
}

impl Case {
    pub const fn of(family: &'static str, settings: &'static [(&'static str, &'static str)]) -> Case {
        Case {
            family,
            settings,
            bug: None,
            mix: "everything",
            habit: Habit::Registers,
            nodes: 5,
            keys: 3,
            load: Duration::from_secs(12),
            quiet: Duration::ZERO,
            keeps: linearizable,
            seeds: 60,
            tries: 100,
        }
    }

    pub const fn under(self, mix: &'static str) -> Case {
        Case { mix, ..self }
    }

    pub const fn with(self, bug: &'static str) -> Case {
        Case { bug: Some(bug), ..self }
    }

    pub const fn doing(self, habit: Habit) -> Case {
        Case { habit, ..self }
    }

    /// With many keys, the last write of a key may well be one that went wrong.
    pub const fn on_many_keys(self) -> Case {
        Case { keys: 60, ..self }
    }

    pub const fn told(self, settings: &'static [(&'static str, &'static str)]) -> Case {
        Case { settings, ..self }
    }

    pub const fn of_nodes(self, nodes: usize) -> Case {
        Case { nodes, ..self }
    }

    /// Clients call for so long.
    pub const fn lasting(self, seconds: u64) -> Case {
        Case { load: Duration::from_secs(seconds), ..self }
    }

    /// Nobody calls for a second before the final reads.
    pub const fn settled(self) -> Case {
        Case { quiet: Duration::from_secs(1), ..self }
    }

    /// Half as many seeds: for what takes longer to simulate.
    pub const fn on_fewer_seeds(self) -> Case {
        Case { seeds: self.seeds / 2, tries: self.tries / 2, ..self }
    }

    pub const fn keeping(self, keeps: fn(&Simulated) -> bool) -> Case {
        Case { keeps, ..self }
    }

    pub fn options(&self, seed: u64) -> Options {
        let mix = Mix::named(self.mix).expect("a mix of this name");
        let settings = schism_reference::settings::Settings::of(self.settings);
        let bugs = self.bug.into_iter().map(str::to_owned).collect();
        Options {
            seed,
            mix,
            settings,
            bugs,
            habit: self.habit,
            nodes: self.nodes,
            keys: self.keys,
            load: self.load,
            quiet: self.quiet,
            ..Options::default()
        }
    }

    /// What comes of a seed.
    pub fn simulated(&self, seed: u64) -> Simulated {
        let family: &Family = named(self.family).expect("a family of this name");
        (family.simulate)(&self.options(seed))
    }

    /// In how many of so many seeds it does not keep what is asked.
    pub fn broken(&self, seeds: u64) -> u64 {
        let family: &Family = named(self.family).expect("a family of this name");
        let options = self.options(0);
        let settings = &options.settings;
        assert_eq!(settings.check(family.settings), Ok(()));
        assert_eq!((family.contradiction)(settings, options.nodes, &options.bugs), None);
        assert!(
            self.bug.is_none_or(|bug| (family.bugs)().iter().any(|known| known.name == bug)),
            "{:?}",
            self.bug
        );
        let broken = count(seeds, |seed| {
            let is_broken = !(self.keeps)(&self.simulated(seed));
            if is_broken && self.bug.is_none() && std::env::var_os("SCHISM_SEEDS").is_some() {
                eprintln!("seed {seed} of {} {:?} under {}", self.family, self.settings, self.mix);
            }
            is_broken
        });
        let bug = self.bug.unwrap_or("no bug");
        println!(
            "{} {:?}, {bug}, {}: broken in {broken} of {seeds} seeds",
            self.family, self.settings, self.mix
        );
        broken
    }

    #[track_caller]
    pub fn is_never_broken(&self) {
        let seeds =
            std::env::var("SCHISM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(self.seeds);
        assert_eq!(self.broken(seeds), 0, "of {seeds} seeds of {} {:?}", self.family, self.settings);
    }

    /// About half of what it is seen to do, so that a simulation that has become blind is noticed.
    #[track_caller]
    pub fn is_broken_in(&self, at_least: u64) {
        let broken = self.broken(self.tries);
        assert!(broken >= at_least, "only {broken} of {} seeds, not {at_least}", self.tries);
    }
}

/// Runs all seeds on two threads, and counts those for which `is_counted` says so.
pub fn count(seeds: u64, is_counted: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, counted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    counted.fetch_add(u64::from(is_counted(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    counted.into_inner()
}

/// Each key is an atomic register.
pub fn linearizable(simulated: &Simulated) -> bool {
    is_valid(&Linearizable { model: CasRegister::default() }, simulated)
}

/// A judge finds nothing wrong; it must know.
pub fn is_valid(judge: &dyn Checker, simulated: &Simulated) -> bool {
    let judgement = judge.check(&simulated.history(), BUDGET);
    assert_ne!(judgement.verdict, Verdict::Unknown, "{:?}", judgement.doubts);
    judgement.verdict == Verdict::Valid
}
