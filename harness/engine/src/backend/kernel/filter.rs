//! A filter of system calls: which are told to whoever listens (seccomp user notification), and which do not exist.
//!
//! Every child inherits it and no `exec` takes it away. What is not named passes, at the price of a few instructions; what is
//! told waits for an answer, some 35 µs. When the listener is gone, told calls do not exist (ENOSYS): who listens must not end
//! before those who are heard.

use std::mem;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Elsewhere the filter fits no call, and nobody is told.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: u32 = 0;

/// What becomes of one kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The call's number.
    pub number: i64,
    /// Only if one of its arguments has one of these bits: which argument, and the bits.
    pub given: Option<(usize, u32)>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is told, and waits.
    Told,
    /// It does not exist.
    Missing,
}

impl Rule {
    /// The call of this number is told.
    pub const fn told(number: i64) -> Self {
        Rule { number, given: None, fate: Fate::Told }
    }
}

/// The filter as the kernel wants it. A number that stands in several rules follows the first that fits.
pub fn program(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | code | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let load = |offset: usize| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32);
    let end = |verdict: u32| statement(libc::BPF_RET | libc::BPF_K, verdict);
    let number = mem::offset_of!(libc::seccomp_data, nr);
    let mut program = vec![
        load(mem::offset_of!(libc::seccomp_data, arch)),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        end(libc::SECCOMP_RET_ALLOW),
        load(number),
    ];
    for rule in rules {
        let verdict = match rule.fate {
            Fate::Told => libc::SECCOMP_RET_USER_NOTIF,
            Fate::Missing => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        };
        match rule.given {
            None => program.extend([jump(libc::BPF_JEQ, rule.number as u32, 0, 1), end(verdict)]),
            Some((argument, bits)) => {
                // The lower half of the argument, on machines that are little-endian, as ours are.
                let at = mem::offset_of!(libc::seccomp_data, args) + argument * size_of::<u64>();
                program.extend([
                    jump(libc::BPF_JEQ, rule.number as u32, 0, 4),
                    load(at),
                    jump(libc::BPF_JSET, bits, 0, 1),
                    end(verdict),
                    load(number),
                ]);
            }
        }
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel does, for one call.
    fn verdict(program: &[libc::sock_filter], number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let it = program[at];
            at += 1;
            match u32::from(it.code) & 0x07 {
                libc::BPF_LD => {
                    value = match it.k as usize {
                        0 => number,
                        4 => ARCHITECTURE,
                        offset => arguments[(offset - 16) / 8] as u32,
                    }
                }
                libc::BPF_JMP => {
                    let holds = match u32::from(it.code) & 0xf0 {
                        libc::BPF_JEQ => value == it.k,
                        _ => value & it.k != 0,
                    };
                    at += usize::from(if holds { it.jt } else { it.jf });
                }
                _ => return it.k,
            }
        }
    }

    #[test]
    fn each_call_meets_its_fate_and_no_other() {
        let rules = [
            Rule::told(59),
            Rule { number: 257, given: Some((2, 0x1000)), fate: Fate::Told },
            Rule { number: 257, given: Some((2, 0x40)), fate: Fate::Missing },
            Rule { number: 425, given: None, fate: Fate::Missing },
        ];
        let program = program(&rules);
        let of = |number, third| verdict(&program, number, [0, 0, third, 0, 0, 0]);
        let missing = libc::SECCOMP_RET_ERRNO | 38;
        assert_eq!(of(59, 0), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!(of(257, 0x1001), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!((of(257, 0x41), of(257, 1)), (missing, libc::SECCOMP_RET_ALLOW));
        assert_eq!((of(425, 0), of(1, 0x1000)), (missing, libc::SECCOMP_RET_ALLOW));
    }
}
