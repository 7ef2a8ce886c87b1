//! The dashboard as it is written: what its queries group by exists, its legends
//! show what they group by, and each panel says what it means. What Prometheus
//! answers to them is shown by helm/tests/dashboard.py.

use std::collections::BTreeSet;

use serde_json::Value;

use super::chart::{DASHBOARD, mentioned, metric_of, table};

/// Labels that Prometheus gives to what it scrapes or computes itself.
const GIVEN: [&str; 6] = ["namespace", "job", "pod", "le", "alertname", "severity"];

/// Names between two texts, wherever they occur.
fn between<'a>(text: &'a str, start: &str, end: &str) -> BTreeSet<&'a str> {
    let parts = text.split(start).skip(1);
    let parts = parts.map(|part| part.split_once(end).unwrap().0);
    parts.flat_map(|part| part.split(',')).map(str::trim).collect()
}

fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    let panels = board["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row")
}

#[test]
fn what_a_query_groups_by_exists_and_a_legend_shows_nothing_else() {
    let table = table();
    let board: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut grouped = 0;
    let targets = panels(&board).flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown = targets.map(|target| {
        (
            &target["expr"],
            target["legendFormat"].as_str().unwrap().to_owned(),
        )
    });
    let annotations = board["annotations"]["list"].as_array().unwrap().iter();
    let annotations = annotations.map(|one| {
        (
            &one["expr"],
            format!("{} {}", one["titleFormat"], one["textFormat"]),
        )
    });
    for (expression, legend) in shown.chain(annotations) {
        let expression = expression.as_str().unwrap();
        let groups = between(expression, " by (", ")");
        let own: BTreeSet<&String> = mentioned(expression)
            .into_iter()
            .flat_map(|word| metric_of(&table, word).unwrap().1)
            .collect();
        for label in &groups {
            let known = GIVEN.contains(label) || own.iter().any(|own| own == label);
            assert!(known, "there is no {label} in {expression}");
            grouped += 1;
        }
        for label in between(&legend, "{{", "}}") {
            let whole = groups.is_empty() && GIVEN.contains(&label);
            assert!(whole || groups.contains(label), "{label} is lost by {expression}");
        }
    }
    assert!(grouped > 40, "{grouped}");
}

#[test]
fn every_panel_says_what_it_means_and_what_there_is_none_of() {
    let board: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&board) {
        let title = panel["title"].as_str().unwrap();
        let about = panel["description"].as_str().unwrap();
        assert!(about.ends_with('.') && about.len() > 12, "{title}: {about:?}");
        assert!(titles.insert(title), "two panels are called {title:?}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        assert_eq!(panel["datasource"]["uid"], "$datasource", "{title}");
    }
    let first = board["panels"].as_array().unwrap().iter().skip(1);
    let first: Vec<&Value> = first.take_while(|panel| panel["type"] != "row").collect();
    for whose in ["Us: ", "Them: ", "Money: "] {
        let panels = first
            .iter()
            .filter(|panel| panel["title"].as_str().unwrap().starts_with(whose));
        assert!(panels.count() >= 3, "the first row says too little of {whose:?}");
    }
}
