use secrecy::ExposeSecret as _;

use super::*;

fn read(text: &str) -> Result<PostgresAddress, String> {
    PostgresAddress::parse(text).expect("it is a PostgreSQL")
}

fn urls(text: &str) -> Vec<String> {
    let address = read(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let servers = address.servers.iter();
    servers
        .map(|server| server.url.expose_secret().to_owned())
        .collect()
}

#[test]
fn several_servers_are_read_as_libpq_reads_them() {
    for (text, expected) in [
        ("postgres://u:p@a/db", &["postgres://u:p@a/db"][..]),
        (
            "postgres://u:p@a:1,b:2,[::1]:3/db?sslmode=require",
            &[
                "postgres://u:p@a:1/db?sslmode=require",
                "postgres://u:p@b:2/db?sslmode=require",
                "postgres://u:p@[::1]:3/db?sslmode=require",
            ],
        ),
        (
            "postgresql://u@a,b/db?target_session_attrs=read-write&connect_timeout=2",
            &["postgresql://u@a/db", "postgresql://u@b/db"],
        ),
        (
            "postgres:///db?host=a,b&port=1,2",
            &["postgres:///db?host=a&port=1", "postgres:///db?host=b&port=2"],
        ),
        (
            "postgres://a,b/db?port=7",
            &["postgres://a/db?port=7", "postgres://b/db?port=7"],
        ),
        (
            "postgres://u@localhost/db?host=/one,/two",
            &[
                "postgres://u@localhost/db?host=%2Fone",
                "postgres://u@localhost/db?host=%2Ftwo",
            ],
        ),
        (
            "postgres://u:p,@x@a,b/db",
            &["postgres://u:p,%40x@a/db", "postgres://u:p,%40x@b/db"],
        ),
    ] {
        assert_eq!(urls(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_whose_limit_it_is() {
    for (text, expected) in [
        (
            "postgres://a/db?channel_binding=require",
            "the driver for PostgreSQL does not support",
        ),
        (
            "postgres://a/db?gssencmode=prefer",
            "does not support the parameter \"gssencmode\"",
        ),
        (
            "postgres://a/db?sslmod=require",
            "PostgreSQL knows no parameter \"sslmod\"",
        ),
        (
            "postgres://a/db?target_session_attrs=standby",
            "has to be read-write, primary or any",
        ),
        (
            "postgres://a/db?connect_timeout=2s",
            "has to be a number of seconds",
        ),
        ("postgres://a,b/db?port=1,2,3", "lists of different lengths"),
        ("postgres://a/db?port=1,2", "lists of different lengths"),
        (
            "postgres:///db?host=a,b&hostaddr=1.1.1.1",
            "lists of different lengths",
        ),
        ("postgres://a:x/db", SHAPE),
        ("postgres://a:1,b:x/db", SHAPE),
    ] {
        let problem = read(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn times_names_and_what_is_shown() {
    let address = read("postgres://u:hunter2@a:1,b/db?connect_timeout=3&password=hunter3").unwrap();
    assert_eq!(address.connect_timeout, Some(Duration::from_secs(3)));
    let names: Vec<&str> = address.servers.iter().map(|server| &*server.name).collect();
    assert_eq!(names, ["a:1", "b"]);
    assert_eq!(
        address.shown,
        "postgres://u:redacted@a:1,b/db?connect_timeout=3&password=redacted"
    );
    assert_eq!(
        read("postgres://a/db?connect_timeout=0").unwrap().connect_timeout,
        None
    );
}
