//! One history of the catalog, whichever database keeps it: every check runs on
//! a SQLite file, on SQLite in memory and on PostgreSQL.

use std::sync::Arc;

use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::Language;
use transatel_gateway::domain::catalog_change::{Change, Kind, KnownProduct, KnownProducts, Prices, Since};
use transatel_gateway::domain::money::{Currency, Money};
use transatel_gateway::store::catalog::Recorded;
use transatel_gateway::store::{Appending, CatalogHistory, Keep, Opened};

use crate::support::postgres;
use crate::writes::ledger::{at, open, suite_of};

suite_of! { crate::reads::catalog_history::Stage:
    what_was_appended_is_read_as_it_came,
    a_version_is_appended_once_by_those_who_saw_the_same,
    many_may_append_at_once,
    a_version_that_differs_in_nothing_is_recorded_once,
    a_place_is_found_by_version_and_by_time,
    what_was_current_is_kept_and_the_rest_is_forgotten,
    languages_that_nobody_reads_are_forgotten,
}

/// Keeps what a history lives in.
pub struct Stage {
    history: Arc<dyn CatalogHistory>,
    /// Another replica on the same store; in memory the same one again.
    other: Arc<dyn CatalogHistory>,
    _folder: Option<tempfile::TempDir>,
}

impl Stage {
    fn of(one: Opened, other: Opened) -> Self {
        Self {
            history: one.catalog,
            other: other.catalog,
            _folder: None,
        }
    }

    pub async fn file() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = || StoreUrl::File(folder.path().join("store.db"));
        let stage = Self::of(open(url()).await, open(url()).await);
        Some(Self {
            _folder: Some(folder),
            ..stage
        })
    }

    pub async fn memory() -> Option<Self> {
        let history = open(StoreUrl::Memory).await.catalog;
        Some(Self {
            other: history.clone(),
            history,
            _folder: None,
        })
    }

    pub async fn postgresql() -> Option<Self> {
        let url = postgres::database().await?;
        let open = || open(StoreUrl::parse(&url).unwrap());
        Some(Self::of(open().await, open().await))
    }
}

fn english() -> Language {
    Language::parse("en-US").unwrap()
}

fn euros(units: i64) -> Option<Money> {
    Money::new(Currency::parse("EUR").unwrap(), units, 990_000_000)
}

fn change(id: &str, kind: Kind) -> Change {
    Change {
        product_id: id.into(),
        kind,
        before: Prices::default(),
        now: Prices {
            order: euros(3),
            renewal: None,
        },
    }
}

fn version(name: &str, seconds: i64, after: Option<u64>) -> Appending {
    Appending {
        language: english(),
        version: name.into(),
        seen_at: at(seconds),
        after,
        changes: vec![change("P", Kind::PriceChanged)],
        known: KnownProducts::new(),
    }
}

async fn versions(history: &dyn CatalogHistory, language: &Language) -> Vec<Recorded> {
    history.versions_from(language, 0, 1000).await.unwrap()
}

/// Appends versions of these names, a second each, after those that are there.
async fn append(history: &dyn CatalogHistory, names: &[&str]) -> Vec<u64> {
    for name in names {
        let newest = history.newest(&english(), "").await.unwrap();
        let seconds = versions(history, &english()).await.len();
        let next = version(
            name,
            i64::try_from(seconds).unwrap(),
            newest.map(|newest| newest.sequence),
        );
        assert!(history.append(next).await.unwrap());
    }
    let all = versions(history, &english()).await;
    all.iter().map(|version| version.sequence).collect()
}

async fn what_was_appended_is_read_as_it_came(stage: &Stage) {
    let (history, language) = (&*stage.history, english());
    assert_eq!(history.newest(&language, "V").await.unwrap(), None);
    let every: Vec<Change> = Kind::ALL
        .iter()
        .zip(["A\0B", "É \"quoted\"", "\\", "D"])
        .map(|(kind, id)| Change {
            before: Prices {
                order: euros(-4),
                renewal: euros(0),
            },
            ..change(id, *kind)
        })
        .collect();
    let known: KnownProducts = [("A\0B", true, euros(7)), ("gone", false, None)]
        .into_iter()
        .map(|(id, on_sale, order)| {
            let prices = Prices {
                order,
                renewal: euros(1),
            };
            (id.to_owned(), KnownProduct { prices, on_sale })
        })
        .collect();
    let first = Appending {
        changes: every.clone(),
        known: known.clone(),
        ..version("V", 5, None)
    };
    assert!(history.append(first).await.unwrap());
    let newest = stage.other.newest(&language, "V").await.unwrap().unwrap();
    assert_eq!((newest.seen_at, newest.is_recorded), (at(5), true));
    assert_eq!(newest.known, known);
    let read = versions(&*stage.other, &language).await;
    assert_eq!(
        read,
        [Recorded {
            sequence: newest.sequence,
            version: "V".into(),
            seen_at: at(5),
            changes: every,
        }]
    );
    let french = Language::parse("fr").unwrap();
    assert_eq!(versions(history, &french).await, []);
}

async fn a_version_is_appended_once_by_those_who_saw_the_same(stage: &Stage) {
    assert!(stage.history.append(version("A", 1, None)).await.unwrap());
    assert!(!stage.other.append(version("A", 1, None)).await.unwrap());
    let first = stage
        .other
        .newest(&english(), "")
        .await
        .unwrap()
        .unwrap()
        .sequence;
    assert!(stage.other.append(version("B", 2, Some(first))).await.unwrap());
    assert!(!stage.history.append(version("B", 3, Some(first))).await.unwrap());
    assert!(!stage.history.append(version("C", 3, None)).await.unwrap());
    // A version of another language is not in the way.
    let french = Appending {
        language: Language::parse("fr").unwrap(),
        ..version("F", 3, None)
    };
    assert!(stage.history.append(french).await.unwrap());
    let second = stage
        .history
        .newest(&english(), "")
        .await
        .unwrap()
        .unwrap()
        .sequence;
    assert!(stage.history.append(version("C", 4, Some(second))).await.unwrap());
    let names: Vec<String> = versions(&*stage.history, &english())
        .await
        .into_iter()
        .map(|version| version.version)
        .collect();
    assert_eq!(names, ["A", "B", "C"]);
}

async fn many_may_append_at_once(stage: &Stage) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let history = Arc::clone(if number % 2 == 0 {
            &stage.history
        } else {
            &stage.other
        });
        tasks.spawn(async move {
            let mut appended = 0;
            for round in 0..5 {
                let newest = history.newest(&english(), "").await.unwrap();
                let after = newest.map(|newest| newest.sequence);
                let next = version(&format!("{number}.{round}"), 1, after);
                appended += usize::from(history.append(next).await.unwrap());
            }
            appended
        });
    }
    let appended: usize = tasks.join_all().await.into_iter().sum();
    let all = versions(&*stage.history, &english()).await;
    assert_eq!(all.len(), appended);
    assert!((5..=100).contains(&appended), "{appended}");
    assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence));
}

/// As replicas of two releases see one catalog.
async fn a_version_that_differs_in_nothing_is_recorded_once(stage: &Stage) {
    let history = &*stage.history;
    append(history, &["old"]).await;
    let last = history.newest(&english(), "").await.unwrap().unwrap();
    let same = Appending {
        changes: Vec::new(),
        ..version("new", 9, Some(last.sequence))
    };
    assert!(history.append(same).await.unwrap());
    let is_recorded = async |version: &str| {
        let newest = history.newest(&english(), version).await.unwrap();
        newest.unwrap().is_recorded
    };
    for (name, recorded) in [("old", true), ("new", true), ("other", false)] {
        assert_eq!(is_recorded(name).await, recorded, "{name}");
    }
    append(history, &["changed"]).await;
    for (name, recorded) in [("old", false), ("new", false), ("changed", true)] {
        assert_eq!(is_recorded(name).await, recorded, "{name}");
    }
}

async fn a_place_is_found_by_version_and_by_time(stage: &Stage) {
    let history = &*stage.history;
    let places = append(history, &["A", "B", "A", "C"]).await;
    let find = async |since: Since| history.find(&english(), &since).await.unwrap();
    let named = |name: &str| Since::Version(name.into());
    assert_eq!(
        find(named("A")).await,
        Some(places[2]),
        "when it was last current"
    );
    assert_eq!(find(named("C")).await, Some(places[3]));
    assert_eq!(find(named("c")).await, None);
    assert_eq!(find(Since::Time(at(-1))).await, None);
    assert_eq!(find(Since::Time(at(0))).await, Some(places[0]));
    assert_eq!(find(Since::Time(at(2))).await, Some(places[2]));
    assert_eq!(find(Since::Time(at(1_000))).await, Some(places[3]));
    let some = history.versions_from(&english(), places[1], 2).await.unwrap();
    let some: Vec<u64> = some.iter().map(|version| version.sequence).collect();
    assert_eq!(some, places[1..3]);
    let french = Language::parse("fr").unwrap();
    assert_eq!(history.find(&french, &named("A")).await.unwrap(), None);
}

async fn what_was_current_is_kept_and_the_rest_is_forgotten(stage: &Stage) {
    let history = &*stage.history;
    append(history, &["A", "B", "C", "D"]).await;
    let left = async |current_since: i64, versions: u32| {
        let keep = Keep {
            current_since: at(current_since),
            versions,
            languages: 10,
        };
        history.forget_versions(&english(), keep).await.unwrap();
        let left = self::versions(history, &english()).await;
        left.into_iter()
            .map(|version| version.version)
            .collect::<Vec<_>>()
    };
    assert_eq!(left(0, 10).await, ["A", "B", "C", "D"]);
    // B was current until C came, at second 2.
    assert_eq!(left(2, 10).await, ["B", "C", "D"]);
    assert_eq!(left(2, 2).await, ["C", "D"]);
    // Nothing came since, and the newest one is current.
    history.confirm(&english(), at(90_000)).await.unwrap();
    assert_eq!(left(1_000, 10).await, ["D"]);
}

async fn languages_that_nobody_reads_are_forgotten(stage: &Stage) {
    let history = &*stage.history;
    let language = |number: u32| Language::parse(&format!("en-{number:03}")).unwrap();
    for number in 0..4 {
        let first = Appending {
            language: language(number),
            ..version("V", number.into(), None)
        };
        assert!(history.append(first).await.unwrap());
    }
    // A day later one of them is read again.
    let day = 24 * 3600;
    history.confirm(&language(0), at(day + 10)).await.unwrap();
    let left = async |current_since: i64, languages: u32| {
        let keep = Keep {
            current_since: at(current_since),
            versions: 10,
            languages,
        };
        history.forget_versions(&language(0), keep).await.unwrap();
        let mut left = Vec::new();
        for number in 0..4 {
            if !versions(history, &language(number)).await.is_empty() {
                left.push(number);
            }
        }
        left
    };
    assert_eq!(left(0, 10).await, [0, 1, 2, 3]);
    assert_eq!(left(2, 10).await, [0, 2, 3]);
    assert_eq!(left(2, 2).await, [0, 3]);
    assert_eq!(left(day + 10, 2).await, [0]);
}
