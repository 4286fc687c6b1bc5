//! The shaper without any network: packets in, decisions out, every station alone and all of them together.

use super::*;
use crate::cluster::{Endpoint, Node};
use crate::link::{Cut, Delay, Duplicate, Flap, Loss, Reorder, Share, Spread, Wrong};

const PAIR: Pair = (Endpoint::Node(Node(0)), Endpoint::Node(Node(1)));
const OTHER: Pair = (Endpoint::Node(Node(1)), Endpoint::Node(Node(0)));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn links(wrongs: &[Wrong]) -> BTreeMap<Pair, Link> {
    let mut link = Link::default();
    wrongs.iter().for_each(|wrong| link.join(*wrong));
    [(PAIR, link)].into()
}

fn shaper(wrongs: &[Wrong]) -> Shaper<usize> {
    let mut shaper = Shaper::new(7);
    shaper.desire(Duration::ZERO, &links(wrongs));
    shaper
}

fn packet(length: usize) -> Packet {
    Packet { pair: PAIR, length, payload: length - 40, ports: Some([4000, 80]), segment: None }
}

/// Sends so many packets of this length, one each so often, and returns each one's number, moment and fate as it comes out.
fn sent(
    shaper: &mut Shaper<usize>,
    count: usize,
    length: usize,
    every: Duration,
) -> Vec<(usize, Duration, Fate)> {
    let mut out = Vec::new();
    let mut take = |shaper: &mut Shaper<usize>, until: Duration| {
        while let Some(due) = shaper.next_due().filter(|due| *due <= until) {
            let (ticket, fate) = self::due(shaper, due).expect("it is due");
            out.push((ticket, due, fate));
        }
    };
    for number in 0..count {
        let now = every * number as u32;
        take(shaper, now);
        shaper.arrive(now, &packet(length), |_| number);
    }
    take(shaper, Duration::MAX);
    out
}

/// The next packet whose time has come, and what becomes of it.
fn due<T: Clone>(shaper: &mut Shaper<T>, now: Duration) -> Option<(T, Fate)> {
    shaper.due(now).map(|out| (out.ticket, out.fate))
}

fn traffic(shaper: &Shaper<usize>) -> Traffic {
    shaper.traffic()[&PAIR]
}

#[test]
fn a_link_that_is_well_passes_everything_at_once() {
    let mut shaper = shaper(&[Wrong::Rate(1)]);
    shaper.arrive(ms(5), &Packet { pair: OTHER, ..packet(1500) }, usize::from);
    assert_eq!(due(&mut shaper, ms(5)), Some((0, Fate::UNTOUCHED)), "the other direction is well");
    shaper.desire(ms(5), &BTreeMap::new());
    shaper.arrive(ms(5), &packet(1500), |_| 9);
    assert_eq!(due(&mut shaper, ms(5)), Some((9, Fate::UNTOUCHED)));
}

#[test]
fn a_delay_is_exact_and_measured() {
    let mut shaper = shaper(&[Wrong::Delay(Delay { mean: ms(10), ..Delay::default() })]);
    let out = sent(&mut shaper, 100, 100, ms(1));
    assert!(out.iter().enumerate().all(|(at, one)| *one == (at, ms(at as u64 + 10), Fate::UNTOUCHED)));
    let traffic = traffic(&shaper);
    assert_eq!((traffic.seen, traffic.delayed, traffic.held), (100, 100, ms(1000)));
}

#[test]
fn jitter_keeps_the_order_and_reordering_breaks_it() {
    let jitter = Wrong::Delay(Delay { mean: ms(50), jitter: ms(20), spread: Spread::Normal });
    let in_order = |out: &[(usize, Duration, Fate)]| out.is_sorted_by_key(|(number, ..)| *number);
    let mut jittery = shaper(&[jitter]);
    assert!(in_order(&sent(&mut jittery, 1000, 100, ms(1))));
    let reorder = Wrong::Reorder(Reorder { share: Share::percent(10), by: ms(5) });
    let mut reordering = shaper(&[reorder]);
    let out = sent(&mut reordering, 1000, 100, ms(1));
    let late = out.windows(2).filter(|pair| pair[0].0 > pair[1].0).count() as u64;
    assert!(!in_order(&out));
    assert!((70..130).contains(&late), "{late}");
    assert!(traffic(&reordering).reordered >= late);
}

#[test]
fn a_narrow_link_passes_what_it_can_and_loses_the_rest() {
    // 10 Mbit/s is 1250 bytes a millisecond; twice that is sent for two seconds.
    let mut shaper = shaper(&[Wrong::Rate(10_000_000)]);
    let out = sent(&mut shaper, 4000, 1250, Duration::from_micros(500));
    let passed: Vec<_> = out.iter().filter(|(.., fate)| *fate != Fate::Lost).collect();
    let (first, last) = (passed[0].1, passed[passed.len() - 1].1);
    let rate = (passed.len() - 1) as f64 * 1250.0 * 8.0 / (last - first).as_secs_f64();
    assert!((rate / 1e7 - 1.0).abs() < 0.001, "{rate}");
    let longest = passed.iter().map(|(number, due, _)| *due - ms(*number as u64) / 2).max().unwrap();
    assert!(longest <= PATIENCE + ms(2), "{longest:?}");
    let traffic = traffic(&shaper);
    assert_eq!(traffic.overflowed as usize, out.len() - passed.len());
    assert!(traffic.waited > 0 && traffic.overflowed > 1000, "{traffic:?}");
}

#[test]
fn a_narrow_link_with_nothing_to_do_saves_nothing_up() {
    let mut shaper = shaper(&[Wrong::Rate(10_000_000)]);
    let out = sent(&mut shaper, 10, 1250, ms(100));
    assert!(out.iter().all(|(number, due, _)| *due == ms(*number as u64 * 100 + 1)), "{out:?}");
    assert_eq!(traffic(&shaper).waited, 0);
}

#[test]
fn losses_are_counted_and_nothing_else_is_lost() {
    for wrong in [Wrong::Loss(Loss::Random(Share::percent(10))), Wrong::Loss(Loss::Every(10))] {
        let mut shaper = shaper(&[wrong]);
        let out = sent(&mut shaper, 10_000, 100, ms(1));
        let lost = out.iter().filter(|(.., fate)| *fate == Fate::Lost).count();
        assert!((900..1100).contains(&lost), "{lost}");
        assert_eq!(traffic(&shaper).lost as usize, lost);
        assert!(out.iter().all(|(_, _, fate)| matches!(*fate, Fate::Lost | Fate::UNTOUCHED)));
    }
}

#[test]
fn doubles_and_changes_are_as_many_as_asked() {
    let share = Share::percent(10);
    let doubling = Wrong::Duplicate(Duplicate { share, by: ms(0) });
    let mut shaper = shaper(&[doubling, Wrong::Evade(share), Wrong::Corrupt(share)]);
    let out = sent(&mut shaper, 10_000, 100, ms(1));
    let fates = |wanted: &dyn Fn(Change) -> bool| {
        let has = |fate: &Fate| matches!(*fate, Fate::Passed { changed: Some(change), .. } if wanted(change));
        out.iter().filter(|(.., fate)| has(fate)).count() as u64
    };
    let doubled = out.iter().filter(|(.., fate)| matches!(fate, Fate::Copied { .. })).count() as u64;
    let evading = fates(&|change| matches!(change, Change::Flip { evading: true, .. }));
    let noticed = fates(&|change| matches!(change, Change::Flip { evading: false, .. }));
    let outside = fates(&|change| matches!(change, Change::Flip { bit, .. } if bit >= 60 * 8));
    assert_eq!(outside, 0, "only the payload is changed");
    let counted = traffic(&shaper);
    assert_eq!((doubled, evading, noticed), (counted.duplicated, counted.evaded, counted.corrupted));
    assert!([doubled, evading, noticed].iter().all(|count| (850..1150).contains(count)), "{counted:?}");
    let later = ms(20_000);
    shaper.arrive(later, &Packet { payload: 0, ..packet(40) }, |_| 0);
    assert!(matches!(due(&mut shaper, later), Some((0, Fate::UNTOUCHED))), "nothing to change");
}

/// A copy is the same packet, so much later, and not part of what is held back; where the link is cut meanwhile, it is lost alone.
#[test]
fn a_copy_comes_as_late_as_asked() {
    let doubling = Wrong::Duplicate(Duplicate { share: Share::ALL, by: ms(30) });
    let mut shaper = shaper(&[doubling, Wrong::Evade(Share::ALL)]);
    let out = sent(&mut shaper, 2, 100, ms(10));
    let [
        (0, first, Fate::Passed { changed, .. }),
        (1, ..),
        (0, second, Fate::Copied { changed: again }),
        (1, third, _),
    ] = out[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!((second - first, third - first, changed), (ms(30), ms(40), again));
    let now = ms(100);
    shaper.arrive(now, &packet(100), |_| 7);
    assert!(matches!(due(&mut shaper, now), Some((7, Fate::Passed { .. }))));
    shaper.desire(now, &links(&[doubling, Wrong::Cut(Cut::Drop)]));
    assert_eq!((due(&mut shaper, now + ms(30)), traffic(&shaper).cut), (None, 1));
}

#[test]
fn only_the_bytes_of_doubled_and_changed_packets_are_kept() {
    for (wrong, wanted) in [(Wrong::Duplicate(Duplicate::ALL), true), (Wrong::Rate(1_000), false)] {
        let mut asked = None;
        shaper(&[wrong]).arrive(ms(0), &packet(100), |bytes| {
            asked = Some(bytes);
            0
        });
        assert_eq!(asked, Some(wanted), "{wrong:?}");
    }
}

#[test]
fn ports_long_packets_and_flapping_lose_exactly_what_they_should() {
    let fate = |wrong: Wrong, now: Duration, packet: &Packet| {
        let mut shaper = shaper(&[wrong]);
        shaper.arrive(now, packet, |_| 0);
        due(&mut shaper, now).expect("it is due").1
    };
    let now = ms(3);
    assert_eq!(fate(Wrong::CutPort(80), now, &packet(100)), Fate::Lost);
    assert_eq!(fate(Wrong::CutPort(4000), now, &packet(100)), Fate::Lost);
    assert_eq!(fate(Wrong::CutPort(81), now, &packet(100)), Fate::UNTOUCHED);
    assert_eq!(fate(Wrong::CutPort(80), now, &Packet { ports: None, ..packet(100) }), Fate::UNTOUCHED);
    assert_eq!(fate(Wrong::Mtu(1000), now, &packet(1001)), Fate::Lost);
    assert_eq!(fate(Wrong::Mtu(1000), now, &packet(1000)), Fate::UNTOUCHED);
    let flap = Wrong::Flap(Flap { down: ms(20), up: ms(10) });
    let states: Vec<bool> =
        (0..6).map(|at| fate(flap, ms(at * 10 + 5), &packet(100)) == Fate::Lost).collect();
    assert_eq!(states, [true, true, false, true, true, false]);
}

#[test]
fn what_was_done_is_told_with_what_for() {
    let told = |wrongs: &[Wrong], length| {
        let mut shaper = shaper(wrongs);
        shaper.arrive(ms(3), &packet(length), |_| 0);
        shaper.due(ms(99)).expect("it is due")
    };
    let flap = Wrong::Flap(Flap { down: ms(20), up: ms(10) });
    for (wrong, cause) in [
        (Wrong::Cut(Cut::Refuse), Cause::Cut(Cut::Refuse)),
        (Wrong::CutPort(80), Cause::Port),
        (flap, Cause::Flap),
        (Wrong::Mtu(99), Cause::Mtu),
        (Wrong::Loss(Loss::Every(1)), Cause::Loss),
    ] {
        assert_eq!(told(&[wrong], 100).lost_by, Some(cause));
    }
    let late = Wrong::Delay(Delay { mean: ms(10), ..Delay::default() });
    let out =
        told(&[late, Wrong::Rate(1_000_000), Wrong::Reorder(Reorder { share: Share::ALL, by: ms(1) })], 100);
    assert_eq!((out.held, out.delayed, out.waited, out.overtaken), (ms(96), true, true, true));
    let out = told(&[Wrong::Evade(Share::ALL)], 100);
    assert_eq!((out.lost_by, out.delayed, out.waited, out.overtaken), (None, false, false, false));
}

/// At the far end: what is late, lost or doubled before is so all the same, and the way back is told what it shall believe.
#[test]
fn what_is_swallowed_is_answered_for_once_in_its_time() {
    let late = Wrong::Delay(Delay { mean: ms(10), ..Delay::default() });
    let swallow = Wrong::Cut(Cut::Swallow);
    let mut shaper = Shaper::new(7);
    shaper.desire(ms(0), &links(&[late, Wrong::Duplicate(Duplicate::ALL), swallow]));
    let ends = [([198, 18, 0, 1], 4000), ([198, 18, 0, 2], 80)];
    let [from, to] = ends.map(|(address, port)| std::net::SocketAddrV4::new(address.into(), port));
    let head = |from, to, sequence, acknowledges, payload| {
        let (flags, window, timestamps) = (ACK, 100, None);
        Segment { from, to, sequence, acknowledges, flags, window, timestamps, payload }
    };
    let there = Packet { segment: Some(head(from, to, 1000, 70, 60)), ..packet(100) };
    let mut kept = Vec::new();
    shaper.arrive(ms(0), &there, |bytes| kept.push(bytes));
    shaper.arrive(ms(1), &packet(100), |bytes| kept.push(bytes));
    assert_eq!((due(&mut shaper, ms(9)), kept), (None, vec![true, true]));
    let answer = head(to, from, 70, 1060, 0);
    let answer = Segment { window: u16::MAX, ..answer };
    assert_eq!(due(&mut shaper, ms(99)), Some(((), Fate::Swallowed { answer: Some(answer) })));
    assert_eq!(due(&mut shaper, ms(99)), Some(((), Fate::Swallowed { answer: None })), "no TCP");
    assert_eq!(due(&mut shaper, ms(99)), None, "no copies");
    let counted = shaper.traffic()[&PAIR];
    assert_eq!((counted.swallowed, counted.acknowledged, counted.delayed), (2, 60, 2));
    let back = Packet { pair: OTHER, segment: Some(head(to, from, 70, 1000, 0)), ..packet(40) };
    shaper.arrive(ms(99), &back, |bytes| assert!(bytes));
    let numbers = Some(Numbers { sequence: 70, acknowledges: 1060 });
    assert_eq!(due(&mut shaper, ms(99)), Some(((), Fate::Passed { changed: None, numbers })));
    assert_eq!(shaper.desire(ms(99), &links(&[swallow])), []);
    let resets = shaper.desire(ms(99), &BTreeMap::new());
    assert_eq!(resets.iter().map(|one| (one.to, one.sequence)).collect::<Vec<_>>(), [(from, 70), (to, 1000)]);
}

#[test]
fn healing_lets_go_at_once_and_cutting_loses_what_is_on_its_way() {
    let slow = [Wrong::Delay(Delay { mean: ms(500), ..Delay::default() })];
    let mut healed = shaper(&slow);
    (0..3).for_each(|number| healed.arrive(ms(number), &packet(100), |_| number as usize));
    healed.desire(ms(10), &BTreeMap::new());
    let out: Vec<usize> = std::iter::from_fn(|| due(&mut healed, ms(10))).map(|(ticket, _)| ticket).collect();
    assert_eq!(out, [0, 1, 2]);

    let mut cut = shaper(&slow);
    cut.arrive(ms(0), &packet(100), |_| 0);
    cut.desire(ms(10), &links(&[slow[0], Wrong::Cut(Cut::Drop)]));
    assert_eq!(due(&mut cut, ms(499)), None);
    assert_eq!(due(&mut cut, ms(500)), Some((0, Fate::Lost)));
    assert_eq!(traffic(&cut).cut, 1);
}

/// All at once: whatever is asked for, every packet comes out once, in its time, and the same again for the same seed.
#[test]
fn everything_together_is_a_function_of_the_seed() {
    let all = [
        Wrong::Delay(Delay { mean: ms(5), jitter: ms(2), spread: Spread::Pareto }),
        Wrong::Loss(Loss::Bursts(Share::percent(5), 3)),
        Wrong::Duplicate(Duplicate { share: Share::percent(3), by: ms(2) }),
        Wrong::Reorder(Reorder { share: Share::percent(5), by: ms(3) }),
        Wrong::Evade(Share::percent(1)),
        Wrong::Corrupt(Share::percent(1)),
        Wrong::Rate(20_000_000),
    ];
    let run = |seed| {
        let mut shaper = Shaper::new(seed);
        shaper.desire(Duration::ZERO, &links(&all));
        sent(&mut shaper, 5000, 1000, Duration::from_micros(450))
    };
    let out = run(7);
    let is_copy = |fate: &Fate| matches!(fate, Fate::Copied { .. });
    let originals = out.iter().filter(|(.., fate)| !is_copy(fate));
    let mut numbers: Vec<usize> = originals.map(|(number, ..)| *number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..5000));
    assert!(out.iter().any(|(.., fate)| is_copy(fate)));
    assert!(out.is_sorted_by_key(|(_, due, _)| *due));
    assert_eq!(out, run(7));
    assert_ne!(out, run(8));
}

/// Behind its byte nothing passes, a segment is cut short there, a datagram is not delivered in part; and it is counted anew
/// when another byte is asked for.
#[test]
fn a_link_is_cut_behind_a_byte() {
    let end = |address: [u8; 4]| std::net::SocketAddrV4::new(address.into(), 80);
    let segment = Segment {
        from: end([10, 0, 0, 1]),
        to: end([10, 0, 0, 2]),
        sequence: 0,
        acknowledges: 0,
        flags: 0,
        window: 0,
        timestamps: None,
        payload: 0,
    };
    let mut shaper = shaper(&[Wrong::CutBehind(250)]);
    let fate = |shaper: &mut Shaper<usize>, payload: usize, segment: Option<Segment>| {
        shaper.arrive(ms(3), &Packet { payload, segment, ..packet(payload + 40) }, |_| 0);
        due(shaper, ms(3)).expect("nothing waits").1
    };
    let cut_short = Fate::Passed { changed: Some(Change::Shorten(50)), numbers: None };
    for segment in [Some(segment), None] {
        let third = if segment.is_some() { cut_short } else { Fate::Lost };
        let expected = [Fate::UNTOUCHED, Fate::UNTOUCHED, Fate::UNTOUCHED, third, Fate::Lost, Fate::Lost];
        let fates = [100, 0, 100, 100, 0, 100].map(|payload| fate(&mut shaper, payload, segment));
        assert_eq!(fates, expected, "{segment:?}");
        shaper.desire(ms(2), &links(&[]));
        shaper.desire(ms(2), &links(&[Wrong::CutBehind(250)]));
    }
    assert_eq!((traffic(&shaper).seen, traffic(&shaper).cut), (12, 6));
    assert_eq!(
        [250, 1].map(|payload| fate(&mut shaper, payload, Some(segment))),
        [Fate::UNTOUCHED, Fate::Lost]
    );
}
