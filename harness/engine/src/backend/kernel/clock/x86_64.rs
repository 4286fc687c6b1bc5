//! The payload for x86-64: what a patched process runs instead of the vDSO's functions, and its registers.
//!
//! The code is copied into a page of the process, so it finds its parameters by its own address, rounded down to the page.
//! It asks the kernel (one system call, where the vDSO needs none), and adds what the parameters say. It uses only
//! registers that a called function may change.

use std::io;
use std::ptr;

use super::labels::{self, Entry};
use super::page::{APART, BLOCKS_AT, CODE_AT, EXPIRES_AT, LEASE_NS, PATH_AT, WHICH_AT};

/// The functions of the vDSO that tell the time of day, and where in the payload each one's replacement is.
pub(super) const FUNCTIONS: [(&str, Entry); 3] = [
    ("__vdso_clock_gettime", || 0),
    ("__vdso_gettimeofday", labels::gettimeofday),
    ("__vdso_time", labels::time),
];

/// The instruction that makes a system call; the vDSO has one.
pub(super) const SYSTEM_CALL: [u8; 2] = [0x0f, 0x05];

/// What instructions begin at a multiple of.
pub(super) const INSTRUCTION: usize = 1;

/// The breakpoint on which a call ends.
pub(super) const TRAP: [u8; 1] = [0xcc];

/// How far behind the breakpoint a process stands that has run into it.
pub(super) const BEHIND_TRAP: u64 = 1;

/// How far the top of the stack of an injected call is below a multiple of sixteen bytes with room above it: the address to which
/// the call returns is there.
pub(super) const BELOW: u64 = 8;

/// How far apart the page of code and the one of data are.
pub(super) const PAGES_APART: usize = 4096;

/// `movabs rax, target; jmp rax`
pub(super) const JUMP_BYTES: usize = 12;

/// The jump that replaces the first bytes of a function.
pub(super) fn jump(target: u64) -> [u8; JUMP_BYTES] {
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
    code[2..10].copy_from_slice(&target.to_le_bytes());
    code
}

/// Where such a jump leads; nothing if it is none.
pub(super) fn target(code: &[u8; JUMP_BYTES]) -> Option<u64> {
    let target = u64::from_le_bytes(code[2..10].try_into().expect("eight bytes"));
    (jump(target) == *code).then_some(target)
}

/// What of a signal's frame tells where a thread was interrupted: the next instruction, the flags, and the selector of the code
/// segment.
pub(super) const FRAME_BYTES: usize = 18;
/// The selector of all 64-bit programs.
const USER_CODE: [u8; 2] = [0x33, 0];

/// Where these bytes say that a thread was interrupted, if they are of a signal's frame.
pub(super) fn interrupted(frame: &[u8]) -> Option<u64> {
    let word = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().expect("eight bytes"));
    let flags = word(8);
    // Of the flags the second bit is always set, and those above the 21st never are.
    let are_flags = flags & 2 != 0 && flags >> 22 == 0;
    (are_flags && frame[16..18] == USER_CODE).then(|| word(0))
}

/// A thread's registers.
#[derive(Clone, Copy)]
pub(super) struct Registers(libc::user_regs_struct);

impl Registers {
    pub(super) fn of(thread: i32) -> io::Result<Self> {
        // SAFETY: registers are plain numbers, and the kernel fills them all; the pointer is that of a live value.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let done = libc::ptrace(libc::PTRACE_GETREGS, thread, ptr::null_mut::<u8>(), &raw mut registers);
            if done == -1 { Err(io::Error::last_os_error()) } else { Ok(Registers(registers)) }
        }
    }

    pub(super) fn give(&self, thread: i32) -> io::Result<()> {
        // SAFETY: the kernel reads the registers from a live value and checks them.
        let done =
            unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, ptr::null_mut::<u8>(), &raw const self.0) };
        if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The address of the next instruction.
    pub(super) fn instruction(&self) -> u64 {
        self.0.rip
    }

    /// The top of the stack.
    pub(super) fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// What a call gave.
    pub(super) fn result(&self) -> i64 {
        self.0.rax as i64
    }

    /// About to make a system call by the instruction at this address.
    #[must_use]
    pub(super) fn system_call(mut self, instruction: u64, number: i64, arguments: [u64; 6]) -> Self {
        let registers = &mut self.0;
        // Whatever call the thread was in is not to be made again now; it is when the registers are given back.
        (registers.rip, registers.rax, registers.orig_rax) = (instruction, number as u64, u64::MAX);
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
        self
    }

    /// About to call a function that returns to the address on top of this stack.
    #[must_use]
    pub(super) fn call(mut self, function: u64, top: u64, _end: u64, arguments: [u64; 2]) -> Self {
        let registers = &mut self.0;
        (registers.rip, registers.rsp, registers.orig_rax) = (function, top, u64::MAX);
        [registers.rdi, registers.rsi] = arguments;
        self
    }
}

/// The machine, as ELF files name it.
pub(super) const MACHINE: u16 = 62;

/// What the payload makes of this moment, with the parameters of the page at this address.
#[cfg(test)]
pub(super) fn shifted(page: u64, ns: u64) -> u64 {
    let function = page + CODE_AT as u64 + labels::shift();
    let told;
    // SAFETY: the page holds the payload, whose function takes the moment in rcx, gives it in rax, and changes no more than registers
    // that a called function may change.
    unsafe {
        std::arch::asm!(
            "call {function}", function = in(reg) function,
            in("rcx") ns, lateout("rax") told, clobber_abi("C"),
        );
    }
    told
}

std::arch::global_asm!(
    ".pushsection .text.schism_clock, \"ax\"",
    ".balign 16",
    ".globl schism_clock_gettime, schism_clock_gettimeofday, schism_clock_time, schism_clock_shift, schism_clock_end",
    ".globl schism_clock_library_gettime, schism_clock_library_gettimeofday, schism_clock_init",
    // int clock_gettime(clock: edi, time: rsi)
    "schism_clock_gettime:",
    "mov eax, {CLOCK_GETTIME}",
    "syscall",
    "test eax, eax",
    "jnz 9f",
    "test edi, edi", // CLOCK_REALTIME
    "jz 2f",
    "cmp edi, 5", // CLOCK_REALTIME_COARSE
    "je 2f",
    "cmp edi, 11", // CLOCK_TAI
    "jne 9f",
    "2:",
    "imul rcx, [rsi], 1000000000",
    "add rcx, [rsi + 8]",
    "call schism_clock_shift",
    "mov ecx, 1000000000",
    "xor edx, edx",
    "div rcx",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor eax, eax",
    "9: ret",
    // int gettimeofday(time: rdi, zone: rsi)
    ".balign 16",
    "schism_clock_gettimeofday:",
    "mov eax, {GETTIMEOFDAY}",
    "syscall",
    "test eax, eax",
    "jnz 9f",
    "test rdi, rdi",
    "jz 9f",
    "imul rcx, [rdi], 1000000000",
    "imul rdx, [rdi + 8], 1000",
    "add rcx, rdx",
    "call schism_clock_shift",
    "mov ecx, 1000000000",
    "xor edx, edx",
    "div rcx",
    "mov [rdi], rax",
    "mov eax, edx",
    "mov ecx, 1000",
    "xor edx, edx",
    "div ecx",
    "mov [rdi + 8], rax",
    "xor eax, eax",
    "9: ret",
    // long time(seconds: rdi)
    ".balign 16",
    "schism_clock_time:",
    "push rdi",
    "sub rsp, 16",
    "xor edi, edi",
    "mov rsi, rsp",
    "call schism_clock_gettime",
    "mov rax, [rsp]",
    "add rsp, 16",
    "pop rdi",
    "test rdi, rdi",
    "jz 9f",
    "mov [rdi], rax",
    "9: ret",
    // The same as the C library's: what it gives for an error is -1. It leaves `errno` as it was.
    ".balign 16",
    "schism_clock_library_gettime:",
    "call schism_clock_gettime",
    "sar eax, 31",
    "ret",
    ".balign 16",
    "schism_clock_library_gettimeofday:",
    "call schism_clock_gettimeofday",
    "sar eax, 31",
    "ret",
    // A library's first function: makes the page of data that of all who have the file.
    ".balign 16",
    "schism_clock_init:",
    "lea rsi, [rip]",
    "and rsi, -4096",
    "add rsi, {PATH_AT}",
    "mov edi, -100", // AT_FDCWD
    "mov edx, {FLAGS}",
    "mov eax, {OPENAT}",
    "syscall",
    "test eax, eax",
    "js 9f",
    "mov r8d, eax",
    "lea rdi, [rip]",
    "and rdi, -4096",
    "add rdi, {APART}",
    "mov esi, 4096",
    "mov edx, 3", // to read and to write
    "mov r10d, {SHARED}",
    "mov r9d, 2 * {APART}",
    "mov eax, {MMAP}",
    "syscall",
    "mov edi, r8d",
    "mov eax, {CLOSE}",
    "syscall",
    "9: ret",
    // The nanoseconds in rcx as the parameters have them, in rax. Changes rdx and r8 to r11.
    ".balign 16",
    "schism_clock_shift:",
    "lea r8, [rip]",
    "and r8, -4096",
    "mov r11, rcx",
    // Beyond the lease, and before it (the machine's own clock went back): as it is.
    "mov r9, [r8 + {EXPIRES_AT}]",
    "sub r9, rcx",
    "movabs r10, {LEASE_NS}",
    "cmp r9, r10",
    "ja 8f",
    "mov r9, [r8 + {WHICH_AT}]",
    "shl r9, 6",
    "lea r9, [r8 + r9 + {BLOCKS_AT}]",
    // Jump.
    "add r11, [r9]",
    // Drift: nanoseconds since it began, times parts per billion.
    "mov rax, rcx",
    "sub rax, [r9 + 16]",
    "mov r10d, 1000000000",
    "imul qword ptr [r9 + 8]",
    "idiv r10",
    "add r11, rax",
    // Strobe: every other while.
    "mov r10, [r9 + 32]",
    "test r10, r10",
    "jz 3f",
    "mov rax, rcx",
    "sub rax, [r9 + 40]",
    "xor edx, edx",
    "div r10",
    "test al, 1",
    "jnz 3f",
    "add r11, [r9 + 24]",
    "3:",
    // Leap second: from then on one second less.
    "mov r10, [r9 + 48]",
    "test r10, r10",
    "jz 4f",
    "cmp rcx, r10",
    "jb 4f",
    "sub r11, 1000000000",
    "4:",
    // There is no time before 1970.
    "xor eax, eax",
    "test r11, r11",
    "cmovs r11, rax",
    "8:",
    // What it was and what it is told as, for whoever wants to know what this clock shows.
    "mov [r8 + {APART}], rcx",
    "mov [r8 + {APART} + 8], r11",
    "mov rax, r11",
    "ret",
    "schism_clock_end:",
    ".popsection",
    CLOCK_GETTIME = const libc::SYS_clock_gettime,
    GETTIMEOFDAY = const libc::SYS_gettimeofday,
    EXPIRES_AT = const EXPIRES_AT,
    WHICH_AT = const WHICH_AT,
    BLOCKS_AT = const BLOCKS_AT,
    LEASE_NS = const LEASE_NS,
    APART = const APART,
    PATH_AT = const PATH_AT,
    OPENAT = const libc::SYS_openat,
    MMAP = const libc::SYS_mmap,
    CLOSE = const libc::SYS_close,
    FLAGS = const libc::O_RDWR | libc::O_CLOEXEC,
    SHARED = const libc::MAP_SHARED | libc::MAP_FIXED,
);

const _: () = assert!(CODE_AT.is_multiple_of(16), "the assembler counts on it");
