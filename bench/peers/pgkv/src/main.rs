//! pgkv_peer URL TABLE sync|unlogged. A store of pgkv is one connection, and belongs to one thread at a time: each
//! thread has one of its own. Expiry is left to be checked by reads, as it comes; removing is manual.

use peer::{Peer, Session};
use pgkv::{Config, ScanOptions, Store, TableType, TtlCleanupStrategy};

struct Caller<'a>(&'a mut Store);

impl Session for Caller<'_> {
    fn set(&mut self, key: &str, value: &[u8]) {
        self.0.set(key, value).expect("set");
    }
    fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).expect("get")
    }
    fn set_many(&mut self, items: &[(&str, &[u8])]) {
        self.0.set_many(items).expect("set_many");
    }
}

struct Pgkv {
    config: Config,
    stores: Vec<Store>,
}

impl Pgkv {
    fn reach(&mut self, count: usize) {
        while self.stores.len() < count {
            self.stores.push(Store::with_config(self.config.clone()).expect("connect"));
        }
    }
}

impl Peer for Pgkv {
    fn sessions(&mut self, count: usize) -> Vec<Box<dyn Session + Send + '_>> {
        self.reach(count);
        self.stores[..count].iter_mut().map(|store| Box::new(Caller(store)) as Box<dyn Session + Send>).collect()
    }
    fn count(&mut self) -> usize {
        self.reach(1);
        self.stores[0].count(ScanOptions::default()).expect("count") as usize
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let table_type = if arguments[3] == "sync" { TableType::Regular } else { TableType::Unlogged };
    let config = Config::new(&arguments[1])
        .table_name(&arguments[2])
        .table_type(table_type)
        .ttl_cleanup_strategy(TtlCleanupStrategy::Manual);
    peer::serve(&mut Pgkv { config, stores: Vec::new() });
}
