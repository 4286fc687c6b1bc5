//! What is done with the packets of a pair: the end of a rule of nftables, in the kernel's own words.

use super::cuts::expression;
use super::netlink::Writer;

/// What is done with the packets of a pair that is in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// They vanish.
    Drop,
    /// TCP's are answered by a reset; they and all others vanish.
    Reset,
    /// They are answered by an ICMP message, port unreachable, and vanish.
    Refuse,
    /// They are handed to whoever listens to [`QUEUE`], and go on untouched if nobody does.
    Queue,
    /// The same by the extension that iptables uses, where nftables has no word of its own for it.
    QueueByExtension,
}

/// The number of our queue in its network namespace.
pub const QUEUE: u16 = 0x5c15;

/// The mark of packets that come from ourselves and shall not be handed to us again.
pub const OUR_MARK: u32 = 0x5c15_0001;

// Expressions and their attributes (`linux/netfilter/nf_tables.h`, `linux/netfilter/xt_NFQUEUE.h`).
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const DROP: u32 = 0;
const ICMP: u32 = 0;
const PORT_UNREACHABLE: u8 = 3;
const TCP_RESET: u32 = 1;
const META_MARK: u32 = 3;
const NOT_EQUAL: u32 = 1;
const BYPASS: u16 = 1;

impl Treatment {
    /// What is added to the name of its table.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Treatment::Drop => "",
            Treatment::Reset => "-reset",
            Treatment::Refuse => "-refuse",
            Treatment::Queue | Treatment::QueueByExtension => "-queue",
        }
    }

    /// Its place among the others. The queue comes first: whoever captures sees there what the others then take away.
    pub(super) fn priority(self) -> i32 {
        match self {
            Treatment::Drop | Treatment::Reset | Treatment::Refuse => -10,
            Treatment::Queue | Treatment::QueueByExtension => -15,
        }
    }

    /// Writes the end of the rule.
    pub(super) fn act(self, rule: &mut Writer) {
        match self {
            Treatment::Drop => expression(rule, "immediate", |immediate| {
                immediate.number(1, VERDICT_REGISTER).nest(2, |data| {
                    data.nest(2, |verdict| {
                        verdict.number(1, DROP);
                    });
                });
            }),
            // For what is not TCP it sends nothing, and drops all the same.
            Treatment::Reset => expression(rule, "reject", |reject| {
                reject.number(1, TCP_RESET);
            }),
            Treatment::Refuse => expression(rule, "reject", |reject| {
                reject.number(1, ICMP).put(2, &[PORT_UNREACHABLE]);
            }),
            Treatment::Queue => {
                not_ours(rule);
                expression(rule, "queue", |queue| {
                    queue.put(1, &QUEUE.to_be_bytes()).put(2, &1u16.to_be_bytes());
                    queue.put(3, &BYPASS.to_be_bytes());
                });
            }
            Treatment::QueueByExtension => {
                not_ours(rule);
                // `struct xt_NFQ_info_v3`: number, how many, flags; rounded up to eight bytes.
                let settings = [QUEUE, 1, BYPASS, 0].map(u16::to_ne_bytes).concat();
                expression(rule, "target", |target| {
                    target.text(1, "NFQUEUE").number(2, 3).put(3, &settings);
                });
            }
        }
    }
}

fn not_ours(rule: &mut Writer) {
    expression(rule, "meta", |meta| {
        meta.number(1, REGISTER).number(2, META_MARK);
    });
    expression(rule, "cmp", |compare| {
        compare.number(1, REGISTER).number(2, NOT_EQUAL).nest(3, |data| {
            data.put(1, &OUR_MARK.to_ne_bytes());
        });
    });
}
