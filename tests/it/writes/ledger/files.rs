//! What is particular to SQLite: the file, the locks beside it, and what is
//! in it when the process dies.

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::*;

#[tokio::test]
async fn everything_is_there_when_it_is_opened_again() {
    let folder = Folder::new();
    let opened = folder.open().await;
    let mut records = Vec::new();
    for (sim, state) in (1..).zip(State::ALL) {
        records.push(in_state(&*opened.ledger, sim, state).await);
    }
    drop(opened);
    let opened = folder.open().await;
    for record in records {
        assert_eq!(found(&*opened.ledger, record.write.id).await, Some(record));
    }
}

#[tokio::test]
async fn what_was_reported_is_in_the_files_when_the_process_dies() {
    let folder = Folder::new();
    let opened = folder.open().await;
    for sim in 1..20 {
        let record = in_state(&*opened.ledger, sim, State::Done).await;
        // What a process that died at this moment would have left behind.
        let left = Folder::new();
        for ending in ["", "-wal"] {
            let name = format!("orders.db{ending}");
            std::fs::copy(folder.0.path().join(&name), left.0.path().join(&name)).unwrap();
        }
        let again = left.open().await;
        assert_eq!(found(&*again.ledger, record.write.id).await, Some(record));
    }
}

#[tokio::test]
async fn whoever_is_alone_ends_the_leases_of_the_dead() {
    let folder = Folder::new();
    let first = folder.open().await;
    assert!(first.exclusive);
    let second = folder.open().await;
    assert!(!second.exclusive);
    let record = begun(&*first.ledger, wanted(1, "P", request(1))).await;
    drop(first);
    let third = folder.open().await;
    assert!(!third.exclusive, "the second is still there");
    assert_eq!(
        third
            .ledger
            .take_over(BY_ANOTHER, at(1), horizon())
            .await
            .unwrap(),
        0
    );
    drop(second);
    drop(third);
    let fourth = folder.open().await;
    assert!(fourth.exclusive);
    assert_eq!(
        fourth
            .ledger
            .take_over(BY_ANOTHER, at(1), horizon())
            .await
            .unwrap(),
        1
    );
    let now = found(&*fourth.ledger, record.write.id).await.unwrap();
    assert_eq!((now.write.state, now.sent_by), (State::Unknown, record.sent_by));
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once_and_one_is_alone() {
    let folder = Folder::new();
    let opened = futures_util::future::join_all((0..8).map(|_| folder.open())).await;
    let alone = opened.iter().filter(|opened| opened.exclusive).count();
    assert_eq!(alone, 1);
    for (sim, opened) in (1..).zip(&opened) {
        begun(&*opened.ledger, wanted(sim, "P", request(sim.into()))).await;
    }
    assert_eq!(
        opened[0].ledger.counts().await.unwrap(),
        counted(State::Submitting, 8)
    );
}

#[tokio::test]
async fn a_ledger_in_memory_is_always_ones_own() {
    let (one, other) = (open(StoreUrl::Memory).await, open(StoreUrl::Memory).await);
    assert!(one.exclusive && other.exclusive);
    begun(&*one.ledger, wanted(1, "P", request(1))).await;
    assert_eq!(other.ledger.counts().await.unwrap(), []);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let opened = folder.open().await;
    begun(&*opened.ledger, wanted(1, "P", request(1))).await;
    let mut files = 0;
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 4, "the database, its log and the locks");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_with_its_setting() {
    let folder = Folder::new();
    let absent = folder.0.path().join("no/such/orders.db");
    let text = refused(StoreUrl::File(absent.clone())).await;
    let missing = absent.parent().unwrap().display().to_string();
    assert_eq!(text, format!("store.url: the folder {missing} does not exist"));

    let text = refused(StoreUrl::File(folder.0.path().to_owned())).await;
    assert!(text.starts_with("store.url: cannot use "), "{text}");

    let other = folder.0.path().join("other.db");
    std::fs::write(
        &other,
        "this is no database, whatever its name says. ".repeat(100),
    )
    .unwrap();
    let text = refused(StoreUrl::File(other)).await;
    assert!(text.contains("file is not a database"), "{text}");
}

#[tokio::test]
async fn the_tables_of_a_newer_gateway_are_left_alone() {
    let folder = Folder::new();
    drop(folder.open().await);
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", folder.file().display()))
        .await
        .unwrap();
    file.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', TRUE, x'00', 0)",
    )
    .await
    .unwrap();
    let text = refused(StoreUrl::File(folder.file())).await;
    assert!(text.contains("made by a newer gateway"), "{text}");
}

#[tokio::test]
async fn one_bad_row_spoils_no_others_work() {
    let folder = Folder::new();
    let opened = folder.open().await;
    let bad = begun(&*opened.ledger, wanted(0, "P", request(0))).await;
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", folder.file().display()))
        .await
        .unwrap();
    file.execute("UPDATE orders SET baseline = 'secret 88247'")
        .await
        .unwrap();
    let ledger = &*opened.ledger;
    let (id, settlement) = (bad.write.id, unknown(100));
    let spoilt = (0..10).map(|_| ledger.settle(id, 1, settlement.clone(), None, at(1)));
    let others = (1..50).map(|sim| begun(ledger, wanted(sim, "P", request(sim.into()))));
    let (spoilt, others) = tokio::join!(
        futures_util::future::join_all(spoilt),
        futures_util::future::join_all(others)
    );
    for answer in spoilt {
        let error = answer.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the order ledger: column baseline does not hold what it should"
        );
    }
    for record in others {
        assert_eq!(found(ledger, record.write.id).await, Some(record));
    }
    let census = ledger.counts().await.unwrap();
    assert_eq!(
        census,
        counted(State::Submitting, 50),
        "what failed left nothing behind"
    );
}
