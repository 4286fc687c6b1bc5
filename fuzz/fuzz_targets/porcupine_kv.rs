//! Any bytes as the form `PorcupineKv`.
#![no_main]

use schism_history::Format;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schism_fuzz::read(Format::PorcupineKv, bytes));
