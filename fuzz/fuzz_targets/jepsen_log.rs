//! Any bytes as the form `JepsenLog`.
#![no_main]

use schism_history::Format;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schism_fuzz::read(Format::JepsenLog, bytes));
