//! The payload as the assembler left it, whatever the processor: its bytes, and where in it each function is.

/// Where something is in the payload.
pub(super) type Entry = fn() -> u64;

/// The payload's bytes.
pub(super) fn payload() -> &'static [u8] {
    let length = at(&raw const schism_clock_end) as usize;
    // SAFETY: the assembler put exactly that many bytes between the two labels, and nobody writes to code.
    unsafe { std::slice::from_raw_parts(&raw const schism_clock_gettime, length) }
}

/// How far from the payload's beginning.
fn at(label: *const u8) -> u64 {
    label as u64 - (&raw const schism_clock_gettime) as u64
}

/// What a library has in the place of the C library's functions, and where in the payload.
pub(super) fn library() -> [(&'static str, u64); 3] {
    [
        ("clock_gettime", at(&raw const schism_clock_library_gettime)),
        ("gettimeofday", at(&raw const schism_clock_library_gettimeofday)),
        ("time", time()),
    ]
}

/// Where in the payload the function is that a library begins with.
pub(super) fn init() -> u64 {
    at(&raw const schism_clock_init)
}

/// Where in the payload the function is that tells seconds.
pub(super) fn time() -> u64 {
    at(&raw const schism_clock_time)
}

/// The same of the one that tells seconds and microseconds.
pub(super) fn gettimeofday() -> u64 {
    at(&raw const schism_clock_gettimeofday)
}

/// The same of what makes a wrong moment of a right one; not by the calling convention.
#[cfg(test)]
pub(super) fn shift() -> u64 {
    at(&raw const schism_clock_shift)
}

unsafe extern "C" {
    static schism_clock_gettime: u8;
    static schism_clock_gettimeofday: u8;
    static schism_clock_time: u8;
    #[cfg(test)]
    static schism_clock_shift: u8;
    static schism_clock_library_gettime: u8;
    static schism_clock_library_gettimeofday: u8;
    static schism_clock_init: u8;
    static schism_clock_end: u8;
}
