//! Which checker a model on the command line means, and by which judge.

use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::{CasRegister, FencedLock, MultiRegister, Register, TextRegister};
use schism_checker::{
    By, Checker, Chooses, Convergence, Linearizable, Sessions, SetFull, Staleness, Weak, weak,
};
use schism_history::Value;

use crate::args::{Judge, Model};
use crate::failure::Failure;

/// What some models need to know.
pub struct Parameters {
    /// What an object holds at first.
    pub initial: Value,
    /// How long a lease is held at least.
    pub ttl: Duration,
    /// How far the clock of whoever grants it may be off over that time.
    pub clock_error: Duration,
    /// Whether a write that began when another was over is the newer one.
    pub real_time: bool,
}

/// A value as flags say it.
pub fn initial(word: &str) -> Value {
    match word {
        "nil" => Value::Nil,
        text => text.parse().map_or_else(|_| Value::text(text), Value::Int),
    }
}

/// The checker of a model.
///
/// # Errors
/// When that judge cannot judge that model.
pub fn checker(model: Model, judge: Judge, parameters: &Parameters) -> Result<Box<dyn Checker>, Failure> {
    let initial = parameters.initial.clone();
    let weakly = |model| plain(judge, Weak { model, initial: initial.clone() });
    let object = |object| object_of(judge, object);
    match model {
        Model::Register => either(judge, Linearizable { model: Register { initial } }),
        Model::CasRegister => either(judge, Linearizable { model: CasRegister { initial } }),
        Model::String => by_search(judge, Linearizable { model: TextRegister }),
        Model::MultiRegister => by_search(judge, Linearizable { model: MultiRegister }),
        Model::FencedLock => by_search(judge, Linearizable { model: FencedLock { expires: false } }),
        Model::Set => plain(judge, SetFull::default()),
        Model::Staleness => plain(judge, Staleness { initial, ..Staleness::default() }),
        Model::Sessions => {
            plain(judge, Sessions { initial, real_time: parameters.real_time, ..Sessions::default() })
        }
        Model::Pram => weakly(weak::Model::Pram),
        Model::Causal => weakly(weak::Model::Causal),
        Model::CausalConvergent => weakly(weak::Model::Convergent),
        Model::Sequential => weakly(weak::Model::Sequential),
        Model::Convergence => plain(judge, Convergence { initial }),
        Model::SetElements => object(Object::Elements),
        Model::GrowingSet => object(Object::GrowingSet),
        Model::Log => object(Object::Log),
        Model::Queue => object(Object::Queue),
        Model::Bag => object(Object::Bag),
        Model::TotalQueue => object(Object::TotalQueue),
        Model::PriorityQueue => object(Object::PriorityQueue),
        Model::Stack => object(Object::Stack),
        Model::Counter => object(Object::Counter),
        Model::UniqueIds => object(Object::Ids),
        Model::Mutex => object(Object::Mutex),
        Model::Semaphore => object(Object::Semaphore),
        Model::Lease => object(Object::Lease { ttl: parameters.ttl, clock_error: parameters.clock_error }),
        Model::FencingTokens => object(Object::Fencing),
    }
}

fn object_of(judge: Judge, object: Object) -> Result<Box<dyn Checker>, Failure> {
    let objects = Objects { object };
    if object.searchable() { either(judge, objects) } else { plain(judge, objects) }
}

/// Both can judge it.
fn either(judge: Judge, checker: impl Chooses + 'static) -> Result<Box<dyn Checker>, Failure> {
    let judge = match judge {
        Judge::Auto => schism_checker::Judge::Auto,
        Judge::Linear => schism_checker::Judge::Linear,
        Judge::Search => schism_checker::Judge::Search,
    };
    Ok(Box::new(By { judge, checker }))
}

/// Only the search can.
fn by_search(judge: Judge, checker: impl Chooses + 'static) -> Result<Box<dyn Checker>, Failure> {
    match judge {
        Judge::Linear => {
            Err(refused("--judge linear: this model has no linear judge", "--judge auto searches"))
        }
        Judge::Auto | Judge::Search => either(judge, checker),
    }
}

/// It is never searched.
fn plain(judge: Judge, checker: impl Checker + 'static) -> Result<Box<dyn Checker>, Failure> {
    match judge {
        Judge::Search => Err(refused(
            "--judge search: nobody searches for an order of this model",
            "--judge auto takes the judge it has",
        )),
        Judge::Auto | Judge::Linear => Ok(Box::new(checker)),
    }
}

fn refused(problem: &str, help: &str) -> Failure {
    Failure::usage(problem, help)
}
