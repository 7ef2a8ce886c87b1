//! `stock`: what was delivered gets into the stock beside a gateway that runs,
//! and is sold by it.

use std::path::{Path, PathBuf};

use serde_json::json;
use transatel_gateway::domain::stock::SetAside;
use transatel_simulator::{Control, Criteria, SimView};
use uuid::Uuid;

use crate::operations::commands::run;
use crate::operations::ledger_commands::Beside;
use crate::support::gateway::{FRANCE, settings};
use crate::support::markdown::{first_cells, page};
use crate::support::process::command;

/// What must not be shown or kept.
const PUK: &str = "73915028";

/// SIMs that can be sold.
fn fresh(control: &Control, count: usize) -> Vec<SimView> {
    let fresh = control.find_sims(Criteria::FRESH, usize::MAX).into_iter();
    fresh.filter(|sim| sim.eid.is_none()).take(count).collect()
}

/// A file as deliveries of cards are: without a number in any line.
fn delivery(folder: &Path, sims: &[SimView]) -> PathBuf {
    let mut text = "\u{feff}TransatelId;Msisdn;Release;IccId;HLRStatus;Pin1;Puk1\r\n".to_owned();
    for sim in sims {
        text.push_str(&format!(
            "{};;1.0;{};Available;0000;{PUK}\r\n",
            sim.number, sim.iccid
        ));
    }
    write(folder, &text)
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("delivery.csv");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_delivery_file_gets_into_the_stock_beside_the_gateway_and_is_sold() {
    for beside in Beside::on_each().await {
        let folder = tempfile::tempdir().unwrap();
        let sims = fresh(&beside.env.control(), 3);
        let file = delivery(folder.path(), &sims);
        let import = format!("stock import {} --pool shop", file.display());
        let checked = beside.answer(&format!("{import} --dry-run")).await;
        assert_eq!(checked, "3 would be added, 0 in the stock already\n");
        let empty = beside.answered("Inventory/GetStock", json!({})).await;
        assert_eq!(empty, json!({}));

        assert_eq!(beside.answer(&import).await, "3 added, 0 in the stock already\n");
        assert_eq!(beside.answer(&import).await, "0 added, 3 in the stock already\n");
        let checked = beside.answer(&format!("{import} --dry-run")).await;
        assert_eq!(checked, "0 would be added, 3 in the stock already\n");

        // The gateway sells one, and finds its number.
        let sale = json!({"request_id": Uuid::new_v4(), "pool": "shop", "product_id": FRANCE});
        let sold = beside.answered("Provisioning/CreateOrder", sale).await;
        let expected = json!({"iccid": sims[0].iccid, "msisdn": sims[0].msisdn});
        assert_eq!(sold["order"]["sim"], expected);
        assert_eq!(sold["order"]["state"], "ORDER_STATE_PLACED");
        let id = sold["order"]["orderId"].as_str().unwrap();
        let known = beside
            .answered("Provisioning/GetOrder", json!({ "order_id": id }))
            .await;
        assert_eq!(known["order"]["pool"], "shop");
        assert_eq!(beside.json(&format!("orders show --json {id}")).await, known);
        let withdraw = json!({"iccid": sims[1].iccid});
        beside.answered("Inventory/WithdrawSim", withdraw).await;

        let shown = beside.answer("stock show").await;
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .collect()
            })
            .collect();
        let head = [
            "POOL",
            "AVAILABLE",
            "RESERVED",
            "SOLD",
            "SET ASIDE",
            "DELIVERED",
            "WHY SET ASIDE",
        ];
        let row = ["shop", "1", "0", "1", "1", "3", "1 withdrawn"];
        assert_eq!(rows, [head, row]);
        let counted = beside.answered("Inventory/GetStock", json!({})).await;
        assert_eq!(beside.json("stock show --json").await, counted);
        assert_eq!(beside.json("stock show --json --pool shop").await, counted);
        let (code, _, err) = beside.run("stock show --pool none").await;
        assert_eq!(code, Some(1));
        assert_eq!(err, "there is no pool none: no SIM was ever added to it\n");

        // Another delivery has some that are known.
        let more = fresh(&beside.env.control(), 6);
        assert_eq!(more[0].iccid, sims[1].iccid);
        delivery(folder.path(), &more);
        let added = beside.answer(&import).await;
        assert_eq!(added, "4 added, 2 in the stock already\n");
    }
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_every_bad_line_is_named() {
    let beside = Beside::on_each().await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let sims = fresh(&beside.env.control(), 2);
    let (one, other) = (&sims[0].iccid, &sims[1].iccid);
    let file = write(
        folder.path(),
        &format!("IccId;Msisdn;Puk1\n{one};;{PUK}\n\n{other};12;{PUK}\n;;{PUK}\n{one};;{PUK}\n"),
    );
    for dry_run in ["", " --dry-run"] {
        let import = format!("stock import {} --pool shop{dry_run}", file.display());
        let (code, out, err) = beside.run(&import).await;
        assert_eq!((code, out.as_str()), (Some(1), ""));
        let expected = format!(
            "{}: nothing was imported\n\
             line 4: column MSISDN: is not 6 to 15 digits, with or without a leading +\n\
             line 5: column ICCID: is empty\n\
             line 6: column ICCID: the same card as in line 2\n",
            file.display()
        );
        assert_eq!(err, expected);
    }
    let lines: String = (0..700).map(|line| format!("x{line};;{PUK}\n")).collect();
    write(
        folder.path(),
        &format!("IccId;Msisdn;Puk1\n{one};;{PUK}\n{lines}"),
    );
    let import = format!("stock import {} --pool shop", file.display());
    let (code, _, err) = beside.run(&import).await;
    assert_eq!((code, err.lines().count()), (Some(1), 22));
    assert!(err.ends_with("\nand 680 more\n") && !err.contains(PUK), "{err}");
    let stock = beside.answered("Inventory/GetStock", json!({})).await;
    assert_eq!(stock, json!({}));

    // Through the standard input.
    let mut import = command(&["stock", "import", "-", "--pool", "shop"], &[]);
    import.stdin(std::fs::File::open(&file).unwrap());
    let output = import.output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let expected = err.replace(file.to_str().unwrap(), "standard input");
    assert_eq!((output.status.code(), text), (Some(1), expected));

    let (code, _, err) = beside.run("stock import /nowhere/file.csv --pool shop").await;
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("/nowhere/file.csv: nothing was imported\nNo such file"),
        "{err}"
    );
}

#[tokio::test]
async fn pre_activated_sims_are_imported_from_sim_search() {
    let beside = Beside::on_each().await.remove(0);
    let control = beside.env.control();
    let preactivated = Criteria {
        status: Criteria::FRESH.status,
        ..Criteria::default()
    };
    let mut sims = control.find_sims(preactivated, usize::MAX);
    // Its status is not shown: it is not imported on a guess.
    sims.retain(|sim| sim.number != 34);
    let group = sims.iter().filter(|sim| sim.group.as_deref() == Some("fleet-a"));
    let group = group.count();
    assert!(group > 2 && group < sims.len());

    let import = "stock import --from-search --pool cards";
    let added = beside.answer(&format!("{import} --group fleet-a")).await;
    assert_eq!(added, format!("{group} added, 0 in the stock already\n"));
    let left = sims.len() - group;
    let checked = beside.answer(&format!("{import} --dry-run")).await;
    assert_eq!(
        checked,
        format!("{left} would be added, {group} in the stock already\n")
    );
    let added = beside.answer(import).await;
    assert_eq!(added, format!("{left} added, {group} in the stock already\n"));

    control.deny("/sim-search");
    let (code, _, err) = beside.run(import).await;
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("SIM Search is not enabled for this account: ask Transatel"),
        "{err}"
    );
}

#[tokio::test]
async fn a_wrong_command_line_of_the_stock_ends_with_64_and_opens_nothing() {
    let missing = settings(
        "http://127.0.0.1:1",
        &[("STORE__URL", "sqlite:///nowhere/ledger.db")],
    );
    for (line, said) in [
        ("stock", "Usage"),
        ("stock import", "--pool <NAME>"),
        ("stock import --pool shop", "<FILE>"),
        ("stock import f.csv", "--pool <NAME>"),
        ("stock import f.csv --pool -x", "--pool"),
        (
            "stock import f.csv --pool a/b",
            "beginning with a letter or digit",
        ),
        ("stock import f.csv --pool a --from-search", "cannot be used with"),
        ("stock import f.csv --pool a --group g", "--group"),
        ("stock show --pool a/b", "beginning with a letter or digit"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (code, _, err) = run(&arguments, &missing).await;
        assert_eq!(code, Some(64), "{line}: {err}");
        assert!(err.contains(said), "{said} in {err}");
    }
}

#[test]
fn every_reason_to_set_a_sim_aside_is_explained() {
    let page = page("docs/stock.md");
    let reasons = SetAside::ALL.iter().map(|reason| reason.name().to_uppercase());
    let explained = first_cells(page.section("## SIMs that are set aside"));
    assert_eq!(explained, reasons.collect::<Vec<_>>());
}
