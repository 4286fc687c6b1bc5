//! The payload for aarch64: what a patched process runs instead of the vDSO's functions, and its registers.
//!
//! It does what that for x86-64 does, and like that it finds its parameters by its own address, rounded down to the page. It
//! uses only registers that a called function may change (x0 to x17). A stopped thread whose system call was interrupted stands
//! before the instruction that makes it, so giving it its registers back makes the call again; one that would have gone on for the
//! rest of its time waits for the whole of it (the kernel keeps what is needed to do better for x86-64 only).

use std::io;
use std::ptr;

use super::labels::{self, Entry};
use super::page::{APART, BLOCKS_AT, CODE_AT, EXPIRES_AT, LEASE_NS, PATH_AT, WHICH_AT};

/// The functions of the vDSO that tell the time of day, and where in the payload each one's replacement is.
pub(super) const FUNCTIONS: [(&str, Entry); 2] =
    [("__kernel_clock_gettime", || 0), ("__kernel_gettimeofday", labels::gettimeofday)];

/// `svc #0`, the instruction that makes a system call; the vDSO has one.
pub(super) const SYSTEM_CALL: [u8; 4] = 0xd400_0001_u32.to_le_bytes();

/// What instructions begin at a multiple of.
pub(super) const INSTRUCTION: usize = 4;

/// `brk #0`, the breakpoint on which a call ends.
pub(super) const TRAP: [u8; 4] = 0xd420_0000_u32.to_le_bytes();

/// How far behind the breakpoint a process stands that has run into it.
pub(super) const BEHIND_TRAP: u64 = 0;

/// How far the top of the stack of an injected call is below a multiple of sixteen bytes with room above it.
pub(super) const BELOW: u64 = 16;

/// How far apart the page of code and the one of data are: the largest page that a kernel may have.
pub(super) const PAGES_APART: usize = 0x1_0000;

/// `bti c; ldr x16, .+12; br x16; nop; .quad target`: processors that look at where branches lead find a place for them.
pub(super) const JUMP_BYTES: usize = 24;
const JUMP_CODE: [u32; 4] = [0xd503_245f, 0x5800_0070, 0xd61f_0200, 0xd503_201f];

/// The jump that replaces the first bytes of a function.
pub(super) fn jump(target: u64) -> [u8; JUMP_BYTES] {
    let mut code = [0; JUMP_BYTES];
    for (place, word) in code.chunks_exact_mut(4).zip(JUMP_CODE) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    code[16..].copy_from_slice(&target.to_le_bytes());
    code
}

/// Where such a jump leads; nothing if it is none.
pub(super) fn target(code: &[u8; JUMP_BYTES]) -> Option<u64> {
    let target = u64::from_le_bytes(code[16..].try_into().expect("eight bytes"));
    (jump(target) == *code).then_some(target)
}

/// What of a signal's frame tells where a thread was interrupted: its stack pointer, the next instruction, and the state.
pub(super) const FRAME_BYTES: usize = 24;
/// Bits of the state that no thread's has outside of the kernel: reserved ones, masks of interrupts, the level and the mode.
const NEVER: u64 = 0xffff_ffff_0cdf_e3ff;

/// Where these bytes say that a thread was interrupted, if they are of a signal's frame.
pub(super) fn interrupted(frame: &[u8]) -> Option<u64> {
    let word = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
    let [stack, instruction, state] = [0, 8, 16].map(word);
    (stack != 0 && stack % 16 == 0 && state & NEVER == 0).then_some(instruction)
}

/// `struct user_pt_regs` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct General {
    registers: [u64; 31],
    stack: u64,
    instruction: u64,
    state: u64,
}

/// The set of registers that these are, as in a core file's notes.
const GENERAL: usize = 1;
/// Bits of the state by which the processor knows that a branch led here.
const BRANCHED: u64 = 3 << 10;

/// A thread's registers.
#[derive(Clone, Copy)]
pub(super) struct Registers(General);

impl Registers {
    pub(super) fn of(thread: i32) -> io::Result<Self> {
        let mut registers = General { registers: [0; 31], stack: 0, instruction: 0, state: 0 };
        exchange(libc::PTRACE_GETREGSET as libc::c_uint, thread, &mut registers)?;
        Ok(Registers(registers))
    }

    pub(super) fn give(&self, thread: i32) -> io::Result<()> {
        exchange(libc::PTRACE_SETREGSET as libc::c_uint, thread, &mut self.0.clone())
    }

    /// The address of the next instruction.
    pub(super) fn instruction(&self) -> u64 {
        self.0.instruction
    }

    /// The top of the stack.
    pub(super) fn stack(&self) -> u64 {
        self.0.stack
    }

    /// What a system call gave.
    pub(super) fn result(&self) -> i64 {
        self.0.registers[0] as i64
    }

    /// About to make a system call by the instruction at this address.
    #[must_use]
    pub(super) fn system_call(mut self, instruction: u64, number: i64, arguments: [u64; 6]) -> Self {
        self.0.instruction = instruction;
        self.0.registers[..6].copy_from_slice(&arguments);
        self.0.registers[8] = number as u64;
        self.0.state &= !BRANCHED;
        self
    }

    /// About to call a function that returns to this end, on a stack with this top.
    #[must_use]
    pub(super) fn call(mut self, function: u64, top: u64, end: u64, arguments: [u64; 2]) -> Self {
        (self.0.instruction, self.0.stack) = (function, top);
        self.0.registers[..2].copy_from_slice(&arguments);
        self.0.registers[30] = end;
        self.0.state &= !BRANCHED;
        self
    }
}

fn exchange(request: libc::c_uint, thread: i32, registers: &mut General) -> io::Result<()> {
    let mut room = libc::iovec { iov_base: ptr::from_mut(registers).cast(), iov_len: size_of::<General>() };
    // SAFETY: the kernel reads or writes no more than the live value that the room is.
    let done = unsafe { libc::ptrace(request as _, thread, GENERAL, &raw mut room) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The machine, as ELF files name it.
pub(super) const MACHINE: u16 = 183;

/// What the payload makes of this moment, with the parameters of the page at this address.
#[cfg(test)]
pub(super) fn shifted(page: u64, ns: u64) -> u64 {
    let function = page + CODE_AT as u64 + labels::shift();
    let told;
    // SAFETY: the page holds the payload, whose function takes and gives the moment in x10 and a second in x12, and changes no
    // more than registers that a called function may change.
    unsafe {
        std::arch::asm!(
            "blr {function}", function = in(reg) function,
            inout("x10") ns => told, in("x12") 1_000_000_000_u64, clobber_abi("C"),
        );
    }
    told
}

std::arch::global_asm!(
    ".pushsection .text.schism_clock, \"ax\"",
    ".balign 16",
    ".globl schism_clock_gettime, schism_clock_gettimeofday, schism_clock_time, schism_clock_shift, schism_clock_end",
    ".globl schism_clock_library_gettime, schism_clock_library_gettimeofday, schism_clock_init",
    // int clock_gettime(clock: w0, time: x1)
    "schism_clock_gettime:",
    "mov w9, w0",
    "mov x8, {CLOCK_GETTIME}",
    "svc #0",
    "cbnz w0, 9f",
    "cbz w9, 2f", // CLOCK_REALTIME
    "cmp w9, #5", // CLOCK_REALTIME_COARSE
    "b.eq 2f",
    "cmp w9, #11", // CLOCK_TAI
    "b.ne 9f",
    "2:",
    "ldp x10, x11, [x1]",
    "mov w12, #51712", // a second
    "movk w12, #15258, lsl #16",
    "madd x10, x10, x12, x11",
    "mov x17, x30",
    "bl schism_clock_shift",
    "mov x30, x17",
    "udiv x13, x10, x12",
    "msub x11, x13, x12, x10",
    "stp x13, x11, [x1]",
    "mov w0, #0",
    "9: ret",
    // int gettimeofday(time: x0, zone: x1)
    ".balign 16",
    "schism_clock_gettimeofday:",
    "mov x15, x0",
    "mov x8, {GETTIMEOFDAY}",
    "svc #0",
    "cbnz w0, 9f",
    "cbz x15, 9f",
    "ldp x10, x11, [x15]",
    "mov w12, #51712",
    "movk w12, #15258, lsl #16",
    "mov w13, #1000",
    "mul x11, x11, x13",
    "madd x10, x10, x12, x11",
    "mov x17, x30",
    "bl schism_clock_shift",
    "mov x30, x17",
    "udiv x13, x10, x12",
    "msub x11, x13, x12, x10",
    "mov w14, #1000",
    "udiv x11, x11, x14",
    "stp x13, x11, [x15]",
    "mov w0, #0",
    "9: ret",
    // long time(seconds: x0); there is no such function in the vDSO.
    ".balign 16",
    "schism_clock_time:",
    "stp x30, x0, [sp, #-32]!",
    "mov w0, #0",
    "add x1, sp, #16",
    "bl schism_clock_gettime",
    "ldr x2, [sp, #16]",
    "ldp x30, x1, [sp], #32",
    "mov x0, x2",
    "cbz x1, 9f",
    "str x0, [x1]",
    "9: ret",
    // The same as the C library's: what it gives for an error is -1. It leaves `errno` as it was.
    ".balign 16",
    "schism_clock_library_gettime:",
    "str x30, [sp, #-16]!",
    "bl schism_clock_gettime",
    "asr w0, w0, #31",
    "ldr x30, [sp], #16",
    "ret",
    ".balign 16",
    "schism_clock_library_gettimeofday:",
    "str x30, [sp, #-16]!",
    "bl schism_clock_gettimeofday",
    "asr w0, w0, #31",
    "ldr x30, [sp], #16",
    "ret",
    // A library's first function: makes the page of data that of all who have the file.
    ".balign 16",
    "schism_clock_init:",
    "adr x9, schism_clock_init",
    "and x9, x9, #0xfffffffffffff000",
    "mov w0, #-100", // AT_FDCWD
    "add x1, x9, {PATH_AT}",
    "mov w2, {FLAGS} & 0xffff",
    "movk w2, {FLAGS} >> 16, lsl #16",
    "mov x8, {OPENAT}",
    "svc #0",
    "tbnz w0, #31, 9f",
    "mov w4, w0",
    "add x0, x9, {APART}",
    "mov x1, #4096",
    "mov w2, #3", // to read and to write
    "mov w3, {SHARED}",
    "mov x5, 2 * {APART}",
    "mov x8, {MMAP}",
    "svc #0",
    "mov w0, w4",
    "mov x8, {CLOSE}",
    "svc #0",
    "9: ret",
    // The nanoseconds in x10 as the parameters have them, in x10; x12 is a second. Changes x2 to x6 and x11.
    ".balign 16",
    "schism_clock_shift:",
    "adr x2, schism_clock_shift",
    "and x2, x2, #0xfffffffffffff000",
    "mov x11, x10",
    // Beyond the lease, and before it (the machine's own clock went back): as it is.
    "ldr x3, [x2, {EXPIRES_AT}]",
    "sub x3, x3, x10",
    "mov w4, {LEASE_LOW}",
    "movk w4, {LEASE_HIGH}, lsl #16",
    "cmp x3, x4",
    "b.hi 8f",
    "ldr x3, [x2, {WHICH_AT}]",
    "add x3, x2, x3, lsl #6",
    "add x3, x3, {BLOCKS_AT}",
    // Jump.
    "ldr x4, [x3]",
    "add x11, x11, x4",
    // Drift: nanoseconds since it began, times parts per billion: whole seconds, and what is left of one.
    "ldp x4, x5, [x3, #8]",
    "sub x5, x10, x5",
    "sdiv x6, x5, x12",
    "msub x5, x6, x12, x5",
    "madd x11, x6, x4, x11",
    "mul x5, x5, x4",
    "sdiv x5, x5, x12",
    "add x11, x11, x5",
    // Strobe: every other while.
    "ldr x4, [x3, #32]",
    "cbz x4, 3f",
    "ldr x5, [x3, #40]",
    "sub x5, x10, x5",
    "udiv x5, x5, x4",
    "tbnz w5, #0, 3f",
    "ldr x5, [x3, #24]",
    "add x11, x11, x5",
    "3:",
    // Leap second: from then on one second less.
    "ldr x4, [x3, #48]",
    "cbz x4, 4f",
    "cmp x10, x4",
    "b.lo 4f",
    "sub x11, x11, x12",
    "4:",
    // There is no time before 1970.
    "cmp x11, #0",
    "csel x11, xzr, x11, lt",
    "8:",
    // What it was and what it is told as, for whoever wants to know what this clock shows.
    "add x3, x2, {APART}",
    "stp x10, x11, [x3]",
    "mov x10, x11",
    "ret",
    "schism_clock_end:",
    ".popsection",
    CLOCK_GETTIME = const libc::SYS_clock_gettime,
    GETTIMEOFDAY = const libc::SYS_gettimeofday,
    EXPIRES_AT = const EXPIRES_AT,
    WHICH_AT = const WHICH_AT,
    BLOCKS_AT = const BLOCKS_AT,
    LEASE_LOW = const LEASE_NS & 0xffff,
    LEASE_HIGH = const LEASE_NS >> 16,
    APART = const APART,
    PATH_AT = const PATH_AT,
    OPENAT = const libc::SYS_openat,
    MMAP = const libc::SYS_mmap,
    CLOSE = const libc::SYS_close,
    FLAGS = const libc::O_RDWR | libc::O_CLOEXEC,
    SHARED = const libc::MAP_SHARED | libc::MAP_FIXED,
);

const _: () = assert!(CODE_AT.is_multiple_of(16), "the assembler counts on it");
const _: () = assert!(LEASE_NS >> 32 == 0, "it is made of two halves");
const _: () = assert!(APART.is_multiple_of(4096) && APART >> 24 == 0, "one instruction adds it");
