//! Real sockets on loopback. Waiting is polling with a deadline that is only there to end a test that fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::AsyncWrite;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn me(node: u8) -> Identity {
    Identity { node: NodeId(node), cluster: "test".into(), ip: [127, 0, 0, 1].into() }
}

fn hello(cluster: &str, from: u8, to: u8) -> Vec<u8> {
    let hello = Hello { schism: 1, cluster: cluster.into(), from: NodeId(from), to: NodeId(to) };
    frame(&serde_json::to_vec(&hello).unwrap()).unwrap()
}

type Arrived = Arc<Mutex<Vec<(NodeId, u64)>>>;

/// A listener that is node 0 of 0, 1 and 2, and what it hears.
async fn listener() -> (SocketAddr, Arrived) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, listen_at(listener))
}

fn listen_at(listener: TcpListener) -> Arrived {
    let arrived = Arrived::default();
    let kept = arrived.clone();
    let deliver = move |from, message| kept.lock().unwrap().push((from, message));
    tokio::spawn(listen::<u64, _>(me(0), vec![NodeId(0), NodeId(1), NodeId(2)], listener, deliver));
    arrived
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Links of node 1 to node 0 at this address.
fn links_to(address: SocketAddr) -> Links {
    let links = Links::new([NodeId(0)]);
    tokio::spawn(keep_up(me(1), NodeId(0), address, links.clone(), None));
    links
}

#[tokio::test]
async fn messages_arrive_in_order() {
    let (address, arrived) = listener().await;
    let links = links_to(address);
    for number in 0..1000_u64 {
        links.send(NodeId(0), &number).unwrap();
    }
    until("all messages are there", || arrived.lock().unwrap().len() == 1000).await;
    let expected: Vec<_> = (0..1000).map(|number| (NodeId(1), number)).collect();
    assert_eq!(*arrived.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_long_message_arrives_whole_and_a_longer_one_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let kept = lengths.clone();
    let deliver = move |_, text: String| kept.lock().unwrap().push(text.len());
    tokio::spawn(listen::<String, _>(me(0), vec![NodeId(1)], listener, deliver));
    let links = links_to(address);
    let refused = links.send(NodeId(0), &"x".repeat(MAX_MESSAGE - 1)).unwrap_err();
    assert_eq!(refused, "67108865 bytes are over the 67108864 allowed");
    assert_eq!(links.send(NodeId(5), &"x").unwrap_err(), "that is no peer");
    links.send(NodeId(0), &"x".repeat(20 << 20)).unwrap();
    links.send(NodeId(0), &"x").unwrap();
    until("the last one is there", || lengths.lock().unwrap().contains(&1)).await;
    assert_eq!(*lengths.lock().unwrap(), [20 << 20, 1]);
}

/// Writes `bytes` to the listener; gives back what it answers until it closes.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn strangers_are_not_listened_to_and_do_no_harm() {
    let (address, arrived) = listener().await;
    let seven = frame(b"7").unwrap();
    let mut garbled = frame(b"7").unwrap();
    *garbled.last_mut().unwrap() ^= 1;
    for (strange, why) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "another protocol"),
        (vec![0xff; 100_000], "noise"),
        (vec![0; 100_000], "zeros"),
        (seven.clone(), "no greeting"),
        (vec![], "nothing at all"),
        (vec![3], "the start of something"),
        ([hello("other", 1, 0), seven.clone()].concat(), "another cluster"),
        ([hello("test", 1, 2), seven.clone()].concat(), "meant for another node"),
        ([hello("test", 0, 0), seven.clone()].concat(), "says it is us"),
        ([hello("test", 9, 0), seven.clone()].concat(), "no node of the cluster"),
    ] {
        assert_eq!(answer_to(address, &strange).await, [0; 0], "{why}");
    }
    for broken in [garbled, frame(b"\"text\"").unwrap(), u32::MAX.to_le_bytes().repeat(4)] {
        answer_to(address, &[hello("test", 2, 0), broken, seven.clone()].concat()).await;
    }
    assert_eq!(*arrived.lock().unwrap(), []);
    // And a node of ours is still heard.
    links_to(address).send(NodeId(0), &5_u64).unwrap();
    until("the message is there", || !arrived.lock().unwrap().is_empty()).await;
    assert_eq!(*arrived.lock().unwrap(), [(NodeId(1), 5)]);
}

#[tokio::test]
async fn a_node_that_comes_late_or_comes_back_is_reached() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let links = links_to(address);
    for _ in 0..20 {
        tokio::task::yield_now().await; // Nobody listens yet: the attempts that begin here are refused.
    }
    let listener = socket.listen(16).unwrap();
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; HEADER];
        stream.read_exact(&mut first).await.unwrap();
        // Dropped here, as by a crash: the next one has to come by itself.
    }
    let arrived = listen_at(listener);
    let mut number = 0_u64;
    until("a message is there", || {
        number += 1;
        links.send(NodeId(0), &number).unwrap();
        !arrived.lock().unwrap().is_empty()
    })
    .await;
}

#[test]
fn frames_come_out_whole_however_the_bytes_arrive_and_noise_is_never_a_message() {
    let mut random = crate::random::Random::new(7, 0);
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    for _ in 0..2000 {
        let payloads: Vec<Vec<u8>> = (0..below(6)).map(|n| vec![n as u8; below(300)]).collect();
        let mut bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload).unwrap()).collect();
        let flipped = (below(2) == 1 && !bytes.is_empty()).then(|| below(bytes.len()));
        if let Some(at) = flipped {
            bytes[at] ^= 1 << below(8);
        }
        let mut frames = Frames { limit: 300, ..Frames::default() };
        let (mut rest, mut seen, mut refused) = (&bytes[..], Vec::new(), false);
        while !rest.is_empty() && !refused {
            let (now, later) = rest.split_at(1 + below(rest.len()));
            frames.bytes.extend(now);
            rest = later;
            loop {
                match frames.next() {
                    Ok(Some(payload)) => seen.push(payload),
                    Ok(None) => break,
                    Err(_) => {
                        refused = true;
                        break;
                    }
                }
            }
        }
        assert!(payloads.starts_with(&seen), "something came out that nobody sent");
        assert_eq!(seen.len() == payloads.len(), flipped.is_none(), "{refused}");
    }
}

/// Stands between a sender and a listener, and can swallow everything without closing anything, as a cut does.
struct Between {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
    /// How many connections the sender holds open.
    open: Arc<AtomicUsize>,
}

async fn between(to: SocketAddr) -> Between {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let between = Between { address, swallows: Arc::default(), open: Arc::default() };
    let (swallows, open) = (between.swallows.clone(), between.open.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (swallows, open) = (swallows.clone(), open.clone());
            tokio::spawn(async move {
                let (a, b) = stream.into_split();
                let (c, d) = TcpStream::connect(to).await.unwrap().into_split();
                // A connection that was ever cut stays dead, as in the kernel's worst case.
                let dead = AtomicBool::new(swallows.load(Ordering::SeqCst));
                open.fetch_add(1, Ordering::SeqCst);
                let there = async {
                    pump(a, d, &swallows, &dead).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                };
                tokio::join!(there, pump(c, b, &swallows, &dead));
            });
        }
    });
    between
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWrite + Unpin,
    swallows: &AtomicBool,
    dead: &AtomicBool,
) {
    let mut bytes = [0; 4096];
    loop {
        let read = from.read(&mut bytes).await;
        dead.fetch_or(swallows.load(Ordering::SeqCst), Ordering::SeqCst);
        let dead = dead.load(Ordering::SeqCst);
        match read {
            Ok(count @ 1..) if dead || to.write_all(&bytes[..count]).await.is_ok() => {}
            _ if dead => {
                // Not even the end gets through. The other side of `to` never hears of it.
                std::mem::forget(to);
                return;
            }
            _ => return,
        }
    }
}

#[tokio::test]
async fn a_connection_that_swallows_everything_is_replaced() {
    let (address, arrived) = listener().await;
    let between = between(address).await;
    let links = links_to(between.address);
    let mut number = 0_u64;
    let mut send = || {
        number += 1;
        links.send(NodeId(0), &number).unwrap();
    };
    until("the link is up", || {
        send();
        !arrived.lock().unwrap().is_empty()
    })
    .await;
    between.swallows.store(true, Ordering::SeqCst);
    until("the dead connection is given up, and several attempts wait side by side", || {
        send();
        between.open.load(Ordering::SeqCst) >= 4
    })
    .await;
    between.swallows.store(false, Ordering::SeqCst);
    let count = arrived.lock().unwrap().len();
    until("messages arrive again", || {
        send();
        arrived.lock().unwrap().len() > count
    })
    .await;
}

#[test]
fn a_frame_that_announces_too_much_is_refused_before_it_is_there() {
    let frames = |limit| Frames { bytes: frame(&[7; 301]).unwrap()[..HEADER].to_vec(), at: 0, limit };
    assert!(frames(300).next().is_err());
    assert_eq!(frames(301).next(), Ok(None));
}

#[test]
fn a_full_queue_drops_the_oldest_and_an_old_message_is_not_sent() {
    let queue = Queue::default();
    for number in 0..MAX_WAITING + 2 {
        queue.push(number.to_le_bytes().to_vec());
    }
    assert_eq!(queue.take()[..8], 2_usize.to_le_bytes());
    queue.push(vec![1; MAX_WAITING_BYTES + 1]);
    assert_eq!(queue.take().len(), MAX_WAITING_BYTES + 1);
    queue.push(vec![1]);
    queue.push(vec![2; MAX_WAITING_BYTES]);
    assert_eq!(queue.take()[0], 2);
    queue.push(vec![1]);
    queue.push(vec![2]);
    queue.waiting.lock().unwrap().frames[0].0 = Instant::now().checked_sub(MAX_AGE * 2).unwrap();
    assert_eq!(queue.take(), [2]);
    assert_eq!(queue.waiting.lock().unwrap().bytes, 0);
}

impl Links {
    /// How many messages wait for a peer.
    pub(in crate::runtime) fn waiting(&self, peer: NodeId) -> usize {
        self.queues[&peer].waiting.lock().unwrap().frames.len()
    }
}
