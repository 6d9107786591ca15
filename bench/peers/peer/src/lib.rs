//! A store of another language behind a line protocol, so that a program in C++ can interleave its rounds with others.
//! The program answers "ready" once the store is open, then to each line of input:
//!
//!   load ENTRIES KEY_BYTES VALUE_BYTES            -> "loaded"
//!   get|set THREADS NANOSECONDS SEED CALLS_PER_LOOK ENTRIES KEY_BYTES VALUE_BYTES   -> calls per second
//!   set_many SIZE NANOSECONDS SEED ENTRIES KEY_BYTES VALUE_BYTES                    -> entries per second
//!   count                                         -> number of entries
//!
//! Keys, values and their order are those of bench/dataset.h.

use std::io::{BufRead, Write};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// What one thread uses.
pub trait Session {
    fn set(&mut self, key: &str, value: &[u8]);
    /// The value, dropped by the caller.
    fn get(&mut self, key: &str) -> Option<Vec<u8>>;
    fn set_many(&mut self, items: &[(&str, &[u8])]) {
        for (key, value) in items {
            self.set(key, value);
        }
    }
}

pub trait Peer {
    /// So many, for as many threads. Made before the clock runs, and kept where making one takes long.
    fn sessions(&mut self, count: usize) -> Vec<Box<dyn Session + Send + '_>>;
    fn count(&mut self) -> usize;
}

const POOL_BYTES: u64 = 16 << 10;
const LOAD_BATCH: u64 = 1000;

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d049bb133111eb);
    n ^ (n >> 31)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        mix(self.0)
    }
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

struct KeyWriter(Vec<u8>);

impl KeyWriter {
    fn new(key_bytes: usize) -> KeyWriter {
        KeyWriter((0..key_bytes).map(|i| b"key:"[i % 4]).collect())
    }
    fn key(&mut self, n: u64) -> &str {
        let mixed = mix(n);
        let start = self.0.len() - 16;
        for (i, digit) in self.0[start..].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[((mixed >> (60 - 4 * i)) & 15) as usize];
        }
        std::str::from_utf8(&self.0).expect("digits")
    }
}

struct Values {
    pool: Vec<u8>,
    value_bytes: usize,
}

impl Values {
    fn new(value_bytes: usize, seed: u64) -> Values {
        let mut random = Random(seed);
        let pool = (0..POOL_BYTES as usize + value_bytes).map(|_| random.next() as u8).collect();
        Values { pool, value_bytes }
    }
    fn value(&self, n: u64) -> &[u8] {
        let start = (mix(n) % POOL_BYTES) as usize;
        &self.pool[start..start + self.value_bytes]
    }
}

struct Work {
    set: bool,
    threads: usize,
    duration: Duration,
    seed: u64,
    calls_per_look: u64,
    data: Data,
}

#[derive(Clone, Copy)]
struct Data {
    entries: u64,
    key_bytes: usize,
    value_bytes: usize,
}

/// One thread's part: calls made, start and end.
fn work_alone(
    session: &mut dyn Session,
    work: &Work,
    values: &Values,
    thread: u64,
    ready: &Barrier,
) -> (u64, Instant, Instant) {
    let mut random = Random(mix(work.seed).wrapping_add(thread));
    let mut keys = KeyWriter::new(work.data.key_bytes);
    let mut calls = 0;
    ready.wait();
    let start = Instant::now();
    loop {
        for _ in 0..work.calls_per_look {
            if work.set {
                let picked = random.next();
                session.set(keys.key(picked % work.data.entries), values.value(picked));
            } else {
                let value = session.get(keys.key(random.below(work.data.entries)));
                std::hint::black_box(value.expect("a loaded key is missing"));
            }
        }
        calls += work.calls_per_look;
        let now = Instant::now();
        if now - start >= work.duration {
            return (calls, start, now);
        }
    }
}

fn run(peer: &mut dyn Peer, work: &Work) -> f64 {
    let values = Values::new(work.data.value_bytes, work.seed);
    let ready = Barrier::new(work.threads);
    let sessions = peer.sessions(work.threads);
    let shares: Vec<(u64, Instant, Instant)> = std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .into_iter()
            .zip(0u64..)
            .map(|(mut session, thread)| {
                let (values, ready) = (&values, &ready);
                scope.spawn(move || work_alone(&mut *session, work, values, thread, ready))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
    });
    let start = shares.iter().map(|share| share.1).min().expect("threads");
    let end = shares.iter().map(|share| share.2).max().expect("threads");
    let calls: u64 = shares.iter().map(|share| share.0).sum();
    calls as f64 / (end - start).as_secs_f64()
}

/// Sets `size` entries from `first` on in one call.
fn set_many(session: &mut dyn Session, data: Data, values: &Values, first: u64, size: u64) {
    let mut keys = KeyWriter::new(data.key_bytes);
    let names: Vec<String> = (0..size).map(|i| keys.key((first + i) % data.entries).to_string()).collect();
    let items: Vec<(&str, &[u8])> =
        names.iter().zip(0u64..).map(|(name, i)| (name.as_str(), values.value(first + i))).collect();
    session.set_many(&items);
}

fn run_set_many(peer: &mut dyn Peer, data: Data, size: u64, duration: Duration, seed: u64) -> f64 {
    let values = Values::new(data.value_bytes, 1);
    let mut random = Random(seed);
    let mut sessions = peer.sessions(1);
    let start = Instant::now();
    let mut entries = 0;
    while start.elapsed() < duration {
        set_many(&mut *sessions[0], data, &values, random.below(data.entries), size);
        entries += size;
    }
    entries as f64 / start.elapsed().as_secs_f64()
}

fn load(peer: &mut dyn Peer, data: Data) {
    let values = Values::new(data.value_bytes, 1);
    let mut sessions = peer.sessions(1);
    for first in (0..data.entries).step_by(LOAD_BATCH as usize) {
        set_many(&mut *sessions[0], data, &values, first, LOAD_BATCH.min(data.entries - first));
    }
}

fn answer(peer: &mut dyn Peer, words: &[&str]) -> String {
    let number = |i: usize| words[i].parse::<u64>().expect("number");
    let data_at = |i: usize| Data {
        entries: number(i),
        key_bytes: number(i + 1) as usize,
        value_bytes: number(i + 2) as usize,
    };
    match words[0] {
        "load" => {
            load(peer, data_at(1));
            "loaded".to_string()
        }
        "count" => peer.count().to_string(),
        "set_many" => {
            run_set_many(peer, data_at(4), number(1), Duration::from_nanos(number(2)), number(3)).to_string()
        }
        kind => {
            let work = Work {
                set: kind == "set",
                threads: number(1) as usize,
                duration: Duration::from_nanos(number(2)),
                seed: number(3),
                calls_per_look: number(4),
                data: data_at(5),
            };
            run(peer, &work).to_string()
        }
    }
}

/// Answers until the input ends.
pub fn serve(peer: &mut dyn Peer) {
    let mut output = std::io::stdout();
    let mut say = |line: &str| {
        writeln!(output, "{line}").and_then(|()| output.flush()).expect("output");
    };
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("input");
        say(&answer(peer, &line.split(' ').collect::<Vec<_>>()));
    }
}
