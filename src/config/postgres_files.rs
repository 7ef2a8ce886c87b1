//! Credentials of a PostgreSQL in files, which are replaced while the gateway
//! runs: by a new password, or by those that a vault issues for an hour.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::postgres_address::PostgresAddress;
use super::reader::Reader;
use super::secret::secret_in;

/// The setting that names the file of the password.
const PASSWORD_FILE: &str = "store.password_file";

impl PostgresAddress {
    /// Takes the files from the settings.
    pub(super) fn read_files(&mut self, reader: &mut Reader) {
        self.files.url = reader.optional_text("store.url_file").map(PathBuf::from);
        self.files.password = reader.optional_text(PASSWORD_FILE).map(PathBuf::from);
        if self.files.password.is_none() {
            return;
        }
        if self.names_a_password() {
            reader.problem(PASSWORD_FILE, "the address holds a password: set one of the two");
        }
        match self.password_in_file() {
            Ok(password) => self.password = password,
            Err(problem) => reader.absence(PASSWORD_FILE, problem),
        }
    }

    /// The password beside the address.
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The address with the credentials that the files hold now; `None` when
    /// they are the same. Blocks.
    ///
    /// # Errors
    /// Why a file cannot be used, without what it holds. Only credentials may
    /// change: another database would not know what was bought.
    pub fn reread(&self) -> Result<Option<Self>, String> {
        let mut now = self.clone();
        if let Some(path) = &self.files.url {
            let text = read(path, "store.url_file")?;
            let read = Self::parse(secret_in(&text));
            let read = read.ok_or("store.url_file does not hold the address of a PostgreSQL")?;
            now = read.map_err(|problem| format!("store.url_file: {problem}"))?;
            now.files = self.files.clone();
            if now.places() != self.places() {
                return Err(
                    "store.url_file names another database now: restart the gateway to use it".into(),
                );
            }
        }
        now.password = now.password_in_file()?;
        Ok((!self.has_credentials_of(&now)).then_some(now))
    }

    /// Whether there is anything to read again.
    pub fn has_files(&self) -> bool {
        self.files.url.is_some() || self.files.password.is_some()
    }

    fn password_in_file(&self) -> Result<Option<SecretString>, String> {
        let Some(path) = &self.files.password else {
            return Ok(None);
        };
        let text = read(path, PASSWORD_FILE)?;
        match secret_in(&text) {
            // As it may be for a moment while it is replaced.
            "" => Err(format!("{PASSWORD_FILE}: {} is empty", path.display())),
            password => Ok(Some(password.into())),
        }
    }

    fn has_credentials_of(&self, other: &Self) -> bool {
        fn urls(address: &PostgresAddress) -> impl Iterator<Item = &str> {
            address.servers().iter().map(|server| server.url.expose_secret())
        }
        fn password(address: &PostgresAddress) -> Option<&str> {
            address.password().map(|password| password.expose_secret())
        }
        urls(self).eq(urls(other)) && password(self) == password(other)
    }

    fn names_a_password(&self) -> bool {
        self.servers().iter().any(|server| {
            Url::parse(server.url.expose_secret()).is_ok_and(|url| {
                url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
            })
        })
    }

    /// The servers and the database, without user and password.
    fn places(&self) -> Vec<Option<String>> {
        let place = |text: &str| {
            let mut url = Url::parse(text).ok()?;
            // An address without a host has neither.
            let _ = url.set_password(None);
            let _ = url.set_username("");
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let pairs = pairs
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "user" | "password"));
            let query: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
            url.set_query(Some(&query.join("&")));
            Some(String::from(url))
        };
        let servers = self.servers().iter();
        servers.map(|server| place(server.url.expose_secret())).collect()
    }
}

fn read(path: &std::path::Path, setting: &str) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("{setting}: cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(text: &str) -> (tempfile::NamedTempFile, PostgresAddress) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let mut address = PostgresAddress::parse(text).unwrap().unwrap();
        address.files.url = Some(file.path().to_owned());
        (file, address)
    }

    #[test]
    fn only_credentials_may_change_while_the_gateway_runs() {
        let (file, address) = in_file("postgres://a:one@host:1/orders?sslmode=require");
        assert!(address.reread().unwrap().is_none());
        std::fs::write(&file, "postgres://b:two@host:1/orders?sslmode=require\n").unwrap();
        let changed = address.reread().unwrap().unwrap();
        let [server] = changed.servers() else { panic!() };
        assert!(server.url.expose_secret().starts_with("postgres://b:two@host:1/"));
        for (text, expected) in [
            (
                "postgres://a:one@host:1/others?sslmode=require",
                "another database",
            ),
            (
                "postgres://a:one@other:1/orders?sslmode=require",
                "another database",
            ),
            ("sqlite://file.db", "does not hold the address of a PostgreSQL"),
            ("", "does not hold the address of a PostgreSQL"),
        ] {
            std::fs::write(&file, text).unwrap();
            let problem = address.reread().err().unwrap();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
