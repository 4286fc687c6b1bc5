//! Any bytes as whatever form the first bytes look like.
#![no_main]

use schism_history::Format;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schism_fuzz::read(Format::Auto, bytes));
