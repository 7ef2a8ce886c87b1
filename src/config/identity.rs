//! `[grpc.tls]` and `[callers]`: how callers show who they are, and what each
//! may call.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::address_range::AddressRange;
use super::methods::Grant;
use super::reader::Reader;
use super::scopes;
use super::whom::Whom;
use crate::domain::Caller;
use crate::domain::scope::Scopes;

/// What connections are secured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate and those above it, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// Who signs callers' certificates, PEM: with it, every connection needs
    /// one.
    pub client_ca_file: Option<PathBuf>,
    /// The files are looked at this often.
    pub reload_interval: Duration,
}

/// Who callers are, and what each may call.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// What each may call. `None`: everybody may call everything.
    pub policy: Option<Policy>,
    /// What each may see.
    pub scopes: Scopes,
    /// How a mesh passes on who calls.
    pub forwarded: Option<Forwarded>,
}

/// What each caller may call; who is not named may call nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// By name.
    pub named: BTreeMap<Caller, Vec<Grant>>,
    /// What everybody with a name may call.
    pub anyone: Vec<Grant>,
}

/// How a mesh passes on who calls.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The header, in small letters.
    pub header: String,
    /// Whose header is believed.
    pub from: Vec<AddressRange>,
}

impl Tls {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const CERTIFICATE: &str = "grpc.tls.cert_file";
        const KEY: &str = "grpc.tls.key_file";
        const AUTHORITY: &str = "grpc.tls.client_ca_file";
        let cert_file = file(reader, CERTIFICATE);
        let key_file = file(reader, KEY);
        let client_ca_file = file(reader, AUTHORITY);
        let reload_interval = reader.duration("grpc.tls.reload_interval", Duration::from_millis(1));
        match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => {
                return Some(Self {
                    cert_file,
                    key_file,
                    client_ca_file,
                    reload_interval,
                });
            }
            (Some(_), None) => reader.problem(KEY, format!("required beside {CERTIFICATE}")),
            (None, Some(_)) => reader.problem(CERTIFICATE, format!("required beside {KEY}")),
            (None, None) if client_ca_file.is_some() => {
                reader.problem(AUTHORITY, format!("needs {CERTIFICATE} and {KEY}"));
            }
            (None, None) => {}
        }
        None
    }
}

/// A file that can be read; what is in it is looked at when it is used.
fn file(reader: &mut Reader, key: &str) -> Option<PathBuf> {
    let path = reader.optional_text(key)?;
    if let Err(error) = File::open(&path) {
        reader.problem(key, format!("cannot read {path}: {error}"));
    }
    Some(path.into())
}

impl Callers {
    /// `shown`: whether callers show certificates.
    pub(super) fn read(reader: &mut Reader, shown: bool) -> Self {
        let policy = Policy::read(reader);
        let scopes = scopes::read(reader);
        let forwarded = Forwarded::read(reader);
        if policy.is_some() && forwarded.is_none() && !shown {
            reader.problem(
                Policy::KEY,
                "nobody could ever be let in: set grpc.tls.client_ca_file or callers.header, so that callers have \
                 names",
            );
        }
        if scopes.limit_any() && forwarded.is_none() && !shown {
            reader.problem(
                scopes::KEY,
                "no caller has a name: set grpc.tls.client_ca_file or callers.header, so that what is its own is \
                 known",
            );
        }
        Self {
            policy,
            scopes,
            forwarded,
        }
    }
}

impl Policy {
    const KEY: &str = "callers.allow";

    fn read(reader: &mut Reader) -> Option<Self> {
        let given = reader.lists(Self::KEY)?;
        let mut policy = Self::default();
        for (name, methods) in given {
            let grants = Self::grants(reader, &name, &methods);
            match Whom::read(reader, Self::KEY, &name) {
                Some(Whom::Others) => policy.anyone = grants,
                Some(Whom::Named(caller)) => {
                    policy.named.insert(caller, grants);
                }
                None => {}
            }
        }
        Some(policy)
    }

    fn grants(reader: &mut Reader, name: &str, methods: &[String]) -> Vec<Grant> {
        let mut grants = Vec::new();
        for method in methods {
            match Grant::parse(method) {
                Some(grant) => grants.push(grant),
                None => reader.problem(
                    Self::KEY,
                    format!("{method:?} of {name:?} is neither a method such as Catalog/GetProduct or Catalog/* nor *"),
                ),
            }
        }
        grants
    }
}

impl Forwarded {
    fn read(reader: &mut Reader) -> Option<Self> {
        const HEADER: &str = "callers.header";
        const FROM: &str = "callers.header_from";
        let header = reader.optional_text(HEADER);
        let from = AddressRange::list(reader, FROM);
        let header = match (header, from.is_empty()) {
            (Some(header), false) => header,
            (Some(_), true) => {
                reader.problem(
                    FROM,
                    format!("required beside {HEADER}: anybody could write that header"),
                );
                return None;
            }
            (None, false) => {
                reader.problem(HEADER, format!("required beside {FROM}"));
                return None;
            }
            (None, true) => return None,
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !header.bytes().all(letter) {
            reader.problem(HEADER, format!("{header:?} is not the name of a header"));
        }
        Some(Self {
            header: header.to_ascii_lowercase(),
            from,
        })
    }
}
