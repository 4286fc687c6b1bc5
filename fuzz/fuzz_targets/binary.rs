//! Any bytes as the binary form, with the right checksum.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schism_fuzz::read_sealed(bytes));
