//! persistent_kv_peer DIRECTORY sync|written. Snapshots are off: they only cost it time.

use peer::{Peer, Session};
use persistent_kv::{Config, PersistentKeyValueStore, SyncMode};

type Store = PersistentKeyValueStore<String, Vec<u8>>;

struct Caller<'a>(&'a Store);

impl Session for Caller<'_> {
    fn set(&mut self, key: &str, value: &[u8]) {
        self.0.set(key, value).expect("set");
    }
    fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key)
    }
}

struct PersistentKv(Store);

impl Peer for PersistentKv {
    fn sessions(&mut self, count: usize) -> Vec<Box<dyn Session + Send + '_>> {
        let store = &self.0;
        (0..count).map(|_| Box::new(Caller(store)) as Box<dyn Session + Send>).collect()
    }
    fn count(&mut self) -> usize {
        self.0.iter().count()
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
    peer::serve(&mut PersistentKv(Store::new(&arguments[1], config).expect("open")));
}
