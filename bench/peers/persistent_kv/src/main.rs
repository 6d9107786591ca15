//! persistent-kv behind a line protocol, so that a program in another language can interleave its rounds with others.
//!
//!   persistent_kv_peer DIRECTORY sync|written     answers "ready" once the store is open, then to each line of input:
//!   load ENTRIES KEY_BYTES VALUE_BYTES            -> "loaded"
//!   get|set THREADS NANOSECONDS SEED CALLS_PER_LOOK ENTRIES KEY_BYTES VALUE_BYTES   -> calls per second
//!   count                                         -> number of entries
//!
//! Keys, values and their order are those of bench/dataset.h. Snapshots are off: they only cost it time.

use persistent_kv::{Config, PersistentKeyValueStore, SyncMode};
use std::io::{BufRead, Write};
use std::sync::Barrier;
use std::time::{Duration, Instant};

type Store = PersistentKeyValueStore<String, Vec<u8>>;

const POOL_BYTES: u64 = 16 << 10;

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
    entries: u64,
    key_bytes: usize,
    value_bytes: usize,
}

/// One thread's part: calls made, start and end.
fn work_alone(store: &Store, work: &Work, values: &Values, thread: u64, ready: &Barrier) -> (u64, Instant, Instant) {
    let mut random = Random(mix(work.seed).wrapping_add(thread));
    let mut keys = KeyWriter::new(work.key_bytes);
    let mut calls = 0;
    ready.wait();
    let start = Instant::now();
    loop {
        for _ in 0..work.calls_per_look {
            if work.set {
                let picked = random.next();
                store.set(keys.key(picked % work.entries), values.value(picked)).expect("set");
            } else {
                let value = store.get(keys.key(random.below(work.entries)));
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

fn run(store: &Store, work: &Work) -> f64 {
    let values = Values::new(work.value_bytes, work.seed);
    let ready = Barrier::new(work.threads);
    let shares: Vec<(u64, Instant, Instant)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..work.threads as u64)
            .map(|thread| {
                let (values, ready) = (&values, &ready);
                scope.spawn(move || work_alone(store, work, values, thread, ready))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
    });
    let start = shares.iter().map(|share| share.1).min().expect("threads");
    let end = shares.iter().map(|share| share.2).max().expect("threads");
    let calls: u64 = shares.iter().map(|share| share.0).sum();
    calls as f64 / (end - start).as_secs_f64()
}

fn load(store: &Store, entries: u64, key_bytes: usize, value_bytes: usize) {
    let values = Values::new(value_bytes, 1);
    let mut keys = KeyWriter::new(key_bytes);
    for n in 0..entries {
        store.set(keys.key(n), values.value(n)).expect("set");
    }
}

fn answer(store: &Store, words: &[&str]) -> String {
    let number = |i: usize| words[i].parse::<u64>().expect("number");
    match words[0] {
        "load" => {
            load(store, number(1), number(2) as usize, number(3) as usize);
            "loaded".to_string()
        }
        "count" => store.iter().count().to_string(),
        kind => {
            let work = Work {
                set: kind == "set",
                threads: number(1) as usize,
                duration: Duration::from_nanos(number(2)),
                seed: number(3),
                calls_per_look: number(4),
                entries: number(5),
                key_bytes: number(6) as usize,
                value_bytes: number(7) as usize,
            };
            run(store, &work).to_string()
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let config = Config {
        silent: true,
        snapshot_interval: u64::MAX,
        sync_mode: if arguments[2] == "sync" { SyncMode::BlockAndSync } else { SyncMode::BlockNoExplicitSync },
        ..Config::default()
    };
    let store = Store::new(&arguments[1], config).expect("open");
    let mut output = std::io::stdout();
    let mut say = |line: &str| {
        writeln!(output, "{line}").and_then(|()| output.flush()).expect("output");
    };
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("input");
        say(&answer(&store, &line.split(' ').collect::<Vec<_>>()));
    }
}
