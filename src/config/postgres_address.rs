//! The address of a PostgreSQL, as libpq reads it: one server or several, and
//! parameters. The driver takes one server and some of the parameters; what it
//! lacks is either done by the gateway or refused here.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// A PostgreSQL that is one server or several, of which one accepts writes.
#[derive(Clone)]
pub struct PostgresAddress {
    servers: Vec<PostgresServer>,
    connect_timeout: Option<Duration>,
    shown: String,
    pub(super) files: CredentialFiles,
    pub(super) password: Option<SecretString>,
}

/// Where credentials are read from again; empty when the settings hold them.
#[derive(Clone, Default)]
pub(super) struct CredentialFiles {
    /// Of the whole address.
    pub(super) url: Option<PathBuf>,
    /// Of the password alone.
    pub(super) password: Option<PathBuf>,
}

/// One server, as the driver understands it.
#[derive(Clone)]
pub struct PostgresServer {
    /// Host and port as in the address, for error texts.
    pub name: String,
    /// Its address; may hold a password.
    pub url: SecretString,
}

/// Parameters that the driver knows and that are passed on as they are. It
/// would ignore any other, and log it with its value.
const PASSED_ON: [&str; 15] = [
    "application_name",
    "dbname",
    "options",
    "password",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parameters of libpq that neither the driver nor the gateway has.
const NOT_SUPPORTED: [&str; 34] = [
    "channel_binding",
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "tcp_user_timeout",
];

/// What `target_session_attrs` may be: each of them means the server that
/// accepts writes, because a ledger is nothing without them.
const SESSIONS: [&str; 3] = ["any", "primary", "read-write"];

/// What an address of a store looks like.
pub(super) const SHAPE: &str = "has to be sqlite://FILE, sqlite::memory: or postgres://USER@HOST/DATABASE";

impl PostgresAddress {
    /// Reads an address; `None` when it is not one of a PostgreSQL.
    ///
    /// # Errors
    /// What is wrong with it and how to fix it, without its values.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, _) = text.split_once("://")?;
        matches!(scheme, "postgres" | "postgresql").then(|| Self::read(text))
    }

    fn read(text: &str) -> Result<Self, String> {
        let (before, hosts, after) = parts(text).ok_or(SHAPE)?;
        let named: Vec<&str> = hosts.split(',').collect();
        let url = |host: &str| {
            let url = Url::parse(&format!("{before}{host}{after}"));
            url.map_err(|_| SHAPE.to_owned())
        };
        let first = url(named.first().copied().unwrap_or_default())?;
        let parameters = Parameters::read(&first)?;
        let count = parameters.servers(&named)?;
        let servers = (0..count).map(|at| {
            let host = if count == named.len() {
                named.get(at)
            } else {
                named.first()
            };
            let host = host.copied().unwrap_or_default();
            let mut url = url(host)?;
            let pairs = parameters.of(at);
            match pairs.is_empty() {
                true => url.set_query(None),
                false => {
                    url.query_pairs_mut().clear().extend_pairs(&pairs);
                }
            }
            Ok(PostgresServer {
                name: name(host, &pairs),
                url: String::from(url).into(),
            })
        });
        Ok(Self {
            servers: servers.collect::<Result<_, String>>()?,
            connect_timeout: parameters.connect_timeout,
            shown: shown(first, hosts).ok_or(SHAPE)?,
            files: CredentialFiles::default(),
            password: None,
        })
    }

    /// At least one.
    pub fn servers(&self) -> &[PostgresServer] {
        &self.servers
    }

    /// Time limit of connecting to one server.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// Without the password, for people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// Parameters, those of each server in lists.
#[derive(Default)]
struct Parameters {
    connect_timeout: Option<Duration>,
    /// `host` or `hostaddr`, and `port`: one value, or one for each server.
    lists: Vec<(String, Vec<String>)>,
    others: Vec<(String, String)>,
}

impl Parameters {
    fn read(url: &Url) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in url.query_pairs() {
            match &*name {
                "connect_timeout" => read.connect_timeout = seconds(&value)?,
                "target_session_attrs" if SESSIONS.contains(&&*value) => {}
                "target_session_attrs" => {
                    return Err("target_session_attrs has to be read-write, primary or any: \
                                the ledger needs a server that accepts writes"
                        .into());
                }
                "host" | "hostaddr" | "port" => {
                    let values = value.split(',').map(str::to_owned).collect();
                    read.lists.push((name.into_owned(), values));
                }
                known if is_passed_on(known) => read.others.push((name.into_owned(), value.into_owned())),
                unknown if NOT_SUPPORTED.contains(&unknown) => {
                    return Err(format!(
                        "the driver for PostgreSQL does not support the parameter {unknown:?}: leave it out"
                    ));
                }
                unknown => return Err(format!("PostgreSQL knows no parameter {unknown:?}")),
            }
        }
        Ok(read)
    }

    /// How many servers there are, by the longest list.
    fn servers(&self, named: &[&str]) -> Result<usize, String> {
        let lists = self.lists.iter().map(|(_, values)| values.len());
        let count = lists.chain([named.len()]).max().unwrap_or(1);
        let hosts = self.lists.iter().filter(|(name, _)| name != "port");
        let hosts: Vec<usize> = hosts.map(|(_, values)| values.len()).collect();
        let hosts_fit = match hosts.as_slice() {
            [] => named.len() == count,
            // The parameter replaces the host before the path.
            hosts => hosts.iter().all(|hosts| *hosts == count) && [1, count].contains(&named.len()),
        };
        let mut ports = self.lists.iter().filter(|(name, _)| name == "port");
        match hosts_fit && ports.all(|(_, values)| [1, count].contains(&values.len())) {
            true => Ok(count),
            false => Err("names hosts and ports in lists of different lengths".into()),
        }
    }

    /// The parameters of one server.
    fn of(&self, at: usize) -> Vec<(String, String)> {
        let lists = self.lists.iter().filter_map(|(name, values)| {
            let value = if values.len() == 1 {
                values.first()
            } else {
                values.get(at)
            };
            Some((name.clone(), value?.clone()))
        });
        self.others.iter().cloned().chain(lists).collect()
    }
}

fn is_passed_on(name: &str) -> bool {
    PASSED_ON.contains(&name) || name.starts_with("options[") && name.ends_with(']')
}

/// libpq waits without limit when it is 0 or less.
fn seconds(text: &str) -> Result<Option<Duration>, String> {
    let seconds: i32 = text
        .trim()
        .parse()
        .map_err(|_| "connect_timeout has to be a number of seconds")?;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    Ok(seconds.map(Duration::from_secs))
}

/// What is before the hosts, the hosts, and what is after them.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("://")? + "://".len();
    let rest = text.get(start..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest.get(..end)?.rfind('@').map_or(0, |at| at + 1);
    let (before, rest) = text.split_at_checked(start + user)?;
    let (hosts, after) = rest.split_at_checked(end - user)?;
    Some((before, hosts, after))
}

/// The server in error texts.
fn name(host: &str, pairs: &[(String, String)]) -> String {
    let value = |name: &str| {
        pairs
            .iter()
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1.as_str())
    };
    let host = value("host").or_else(|| value("hostaddr")).unwrap_or(host);
    match value("port") {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The whole address without its password. `url` has the first of the hosts.
fn shown(mut url: Url, hosts: &str) -> Option<String> {
    const HIDDEN: &str = "redacted";
    if url.password().is_some() {
        url.set_password(Some(HIDDEN)).ok()?;
    }
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.query_pairs_mut().clear().extend_pairs(
            pairs
                .iter()
                .map(|(name, value)| (name, if name == "password" { HIDDEN } else { value })),
        );
    }
    let url = String::from(url);
    if !hosts.contains(',') {
        return Some(url);
    }
    let (before, _, after) = parts(&url)?;
    Some(format!("{before}{hosts}{after}"))
}

#[cfg(test)]
#[path = "postgres_address_tests.rs"]
mod tests;
