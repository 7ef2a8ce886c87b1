//! Settings of a simulator in a process of its own, from its environment. All
//! that is wrong is reported at once, and no value of a secret or of an address
//! that may hold one.

use std::{env, ffi::OsString, fmt, fs, net::SocketAddr};

use crate::{options::Options, webhooks::receiver::Webhook};

/// Where the process listens.
const LISTEN: &str = "SIMULATOR_LISTEN";
/// Where events are posted.
const WEBHOOK_URL: &str = "SIMULATOR_WEBHOOK_URL";
/// What they are signed with.
const WEBHOOK_SECRET_FILE: &str = "SIMULATOR_WEBHOOK_SECRET_FILE";

/// Without a setting: not reachable from other machines.
const LOOPBACK: &str = "127.0.0.1:8080";

/// Everything that is wrong, a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Options {
    /// What the environment of this process asks for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_environment() -> Result<Self, Problems> {
        read(|name| env::var_os(name))
    }
}

/// An empty value is none: tools that fill templates write it so.
fn read(value: impl Fn(&str) -> Option<OsString>) -> Result<Options, Problems> {
    let mut problems = Problems::default();
    let mut text = |name: &str| match value(name).map(OsString::into_string)? {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(text),
        Err(_) => {
            problems.0.push(format!("{name}: is not UTF-8"));
            None
        }
    };
    let listen = text(LISTEN).unwrap_or_else(|| LOOPBACK.to_owned());
    let (url, file) = (text(WEBHOOK_URL), text(WEBHOOK_SECRET_FILE));
    let listen: Option<SocketAddr> = listen.parse().ok().or_else(|| {
        let problem = format!("{LISTEN}: {listen:?} is not ADDRESS:PORT, such as {LOOPBACK}");
        problems.0.push(problem);
        None
    });
    let webhook = match (url, file) {
        (None, None) => None,
        (url, file) => {
            let secret = secret(file, &mut problems);
            let webhook = Webhook::new(url.unwrap_or_default(), secret);
            if webhook.url.is_empty() {
                problems
                    .0
                    .push(format!("{WEBHOOK_URL}: required with {WEBHOOK_SECRET_FILE}"));
            } else if webhook.uri().is_none() {
                problems.0.push(format!("{WEBHOOK_URL}: is not http://HOST/PATH"));
            }
            Some(webhook)
        }
    };
    match listen {
        Some(listen) if problems.0.is_empty() => Ok(Options {
            listen,
            webhook,
            ..Options::default()
        }),
        _ => Err(problems),
    }
}

/// Events without a signature are refused by their receiver.
fn secret(file: Option<String>, problems: &mut Problems) -> String {
    let Some(file) = file else {
        problems
            .0
            .push(format!("{WEBHOOK_SECRET_FILE}: required with {WEBHOOK_URL}"));
        return String::new();
    };
    let problem = match fs::read_to_string(&file) {
        Ok(text) => {
            let secret = text.trim_end_matches(['\r', '\n']);
            if !secret.is_empty() {
                return secret.to_owned();
            }
            "is empty".to_owned()
        }
        Err(error) => format!("cannot be read: {error}"),
    };
    problems
        .0
        .push(format!("{WEBHOOK_SECRET_FILE}: {file} {problem}"));
    String::new()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_value_that_is_no_text_is_a_problem_and_not_the_default() {
        let odd = |name: &str| (name == LISTEN).then(|| OsString::from_vec(vec![b'1', 0xFF]));
        let problems = read(odd).unwrap_err();
        assert_eq!(problems.to_string(), "SIMULATOR_LISTEN: is not UTF-8");
    }

    #[test]
    fn an_empty_value_is_none() {
        let options = read(|_| Some(OsString::new())).unwrap();
        assert_eq!(options.listen.to_string(), LOOPBACK);
        assert_eq!(options.webhook, None);
    }
}
