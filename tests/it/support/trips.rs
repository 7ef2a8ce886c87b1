//! Round trips to PostgreSQL, read from what its clients send: whatever ends
//! with a `Sync` or is a simple query is answered before the client goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What was asked, by all connections, in order.
#[derive(Clone, Default)]
pub struct Trips(Arc<Mutex<Vec<String>>>);

impl Trips {
    /// Those since the last call: the statement of each, or [`PING`].
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A question whether the connection still works.
pub const PING: &str = "ping";

/// Reads what one client sends.
pub struct Reader {
    trips: Trips,
    unread: Vec<u8>,
    has_started: bool,
    /// Statements by the name that the client gave them.
    prepared: HashMap<Vec<u8>, String>,
    /// What the next `Sync` sends off.
    asked: Option<String>,
}

impl Reader {
    pub fn new(trips: Trips) -> Self {
        Self {
            trips,
            unread: Vec::new(),
            has_started: false,
            prepared: HashMap::new(),
            asked: None,
        }
    }

    pub fn read(&mut self, part: &[u8]) {
        self.unread.extend_from_slice(part);
        loop {
            // The first messages of a connection have no type.
            let head = usize::from(self.has_started);
            let Some(length) = self.unread.get(head..head + 4) else {
                return;
            };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.unread.len() < head + length {
                return;
            }
            let message: Vec<u8> = self.unread.drain(..head + length).collect();
            match self.has_started {
                true => self.message(message[0], &message[5..]),
                // Everything but the question for TLS.
                false => self.has_started = message[4..8] != 80_877_103_u32.to_be_bytes(),
            }
        }
    }

    fn message(&mut self, kind: u8, body: &[u8]) {
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default().to_vec();
        match kind {
            b'P' => {
                let (name, sql) = (text(), text());
                let sql = String::from_utf8(sql).unwrap();
                self.asked = Some(format!("prepare {sql}"));
                self.prepared.insert(name, sql);
            }
            b'B' => {
                let (_portal, name) = (text(), text());
                self.asked = self.prepared.get(&name).cloned();
            }
            b'Q' => self.asked(String::from_utf8(text()).unwrap()),
            b'S' => {
                let asked = self.asked.take();
                self.asked(asked.unwrap_or_else(|| PING.to_owned()));
            }
            _ => {}
        }
    }

    fn asked(&self, what: String) {
        self.trips.0.lock().unwrap().push(what);
    }
}
