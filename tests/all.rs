//! The program as its users run it: bad input, real clusters, and the style of the code itself.

mod aimed_runs;
mod bad_input;
mod binary;
mod comparing;
mod docker_runs;
mod engine_between;
mod engine_trouble;
mod etcd_runs;
mod hostile;
mod judges;
mod readiness;
mod real_runs;
mod remote_engines;
mod second_engine;
mod shrinking;
mod tidy;
