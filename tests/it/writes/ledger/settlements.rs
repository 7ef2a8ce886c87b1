//! What becomes of an attempt.

use transatel_gateway::store::Note;

use super::*;

suite! {
    only_allowed_transitions_happen,
    each_settlement_writes_what_it_knows,
    a_subscription_belongs_to_one_order_of_its_sim,
}

async fn only_allowed_transitions_happen(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut sim = 0;
    for from in State::ALL {
        for settlement in settlements() {
            sim += 1;
            let next = settlement.state();
            let record = in_state(ledger, sim, from).await;
            let id = record.write.id;
            let answer = ledger
                .settle(id, 1, settlement.clone(), None, at(5))
                .await
                .unwrap();
            let now = found(ledger, id).await.unwrap();
            match answer {
                Settled::Yes(answer) => {
                    assert!(from.may_become(next), "{from:?} became {next:?}");
                    assert_eq!((answer.write.state, answer.write.updated_at), (next, at(5)));
                    assert_eq!(*answer, now);
                }
                Settled::No(answer) => {
                    assert!(!from.may_become(next), "{from:?} did not become {next:?}");
                    assert_eq!((*answer, &now), (record.clone(), &record));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let gone = ledger
        .settle(WriteId::new(), 1, placed(None), None, at(5))
        .await
        .unwrap();
    assert!(matches!(gone, Settled::Gone));
}

async fn each_settlement_writes_what_it_knows(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, wanted(1, "P", request(1))).await;
    let sent = settled(ledger, &record, unknown(100), 1).await;
    assert_eq!((sent.sent_by, sent.write.next_check_at), (at(30), Some(at(100))));
    let stuck = settled(ledger, &sent, Settlement::NeedsOperator(failure()), 2).await;
    assert_eq!(
        (stuck.write.next_check_at, &stuck.write.failure),
        (None, &Some(failure()))
    );
    let bought = Settlement::Done {
        subscription_id: None,
        provider_reference: Some("REF".into()),
        next_check_at: Some(at(300)),
    };
    let note = Some(Note {
        by: Some("ops".into()),
        text: "seen on the invoice".into(),
    });
    let answer = ledger
        .settle(stuck.write.id, 1, bought, note, at(3))
        .await
        .unwrap();
    let Settled::Yes(bought) = answer else {
        panic!("{answer:?}")
    };
    let kept = bought.write.note.clone().unwrap();
    assert_eq!(
        (kept.by.as_deref(), kept.text.as_str()),
        (Some("ops"), "seen on the invoice")
    );
    assert!(!format!("{kept:?}").contains("invoice"));
    assert_eq!(bought.write.failure, None);
    assert_eq!(bought.write.provider_reference.as_deref(), Some("REF"));
    assert_eq!(
        (bought.write.next_check_at, bought.write.updated_at),
        (Some(at(300)), at(3))
    );

    // The id of the subscription comes later; that is no change of state.
    let named = settled(ledger, &bought, placed(Some("SUB-1")), 9).await;
    let mut expected = *bought;
    purchase_mut(&mut expected.write).subscription_id = Some("SUB-1".into());
    expected.write.next_check_at = None;
    expected.due_at = None;
    expected.checked_at = Some(at(9));
    assert_eq!(named, expected);
    // The same once more, with what was not known before.
    let same = Settlement::Done {
        subscription_id: Some("SUB-1".into()),
        provider_reference: Some("REF-2".into()),
        next_check_at: None,
    };
    let named = settled(ledger, &named, same, 9).await;
    assert_eq!(named.write.provider_reference.as_deref(), Some("REF-2"));
    let renamed = ledger
        .settle(named.write.id, 1, placed(Some("SUB-2")), None, at(9))
        .await
        .unwrap();
    assert!(matches!(renamed, Settled::No(record) if *record == named));

    let refused = begun(ledger, wanted(2, "P", request(2))).await;
    let refused = settled(ledger, &refused, Settlement::Rejected(failure()), 1).await;
    assert_eq!(refused.write.failure, Some(failure()));
}

async fn a_subscription_belongs_to_one_order_of_its_sim(stage: &Stage) {
    let ledger = &*stage.ledger;
    let first = begun(ledger, wanted(1, "P", request(1))).await;
    let first = settled(ledger, &first, placed(Some("SUB-1")), 1).await;
    let other = begun(ledger, wanted(1, "Q", request(2))).await;
    let claimed = ledger
        .settle(other.write.id, 1, placed(Some("SUB-1")), None, at(2))
        .await
        .unwrap();
    assert!(matches!(claimed, Settled::Claimed), "{claimed:?}");
    assert_eq!(found(ledger, other.write.id).await.as_ref(), Some(&other));
    let unnamed = settled(ledger, &other, placed(None), 2).await;
    let claimed = ledger
        .settle(other.write.id, 1, placed(Some("SUB-1")), None, at(2))
        .await
        .unwrap();
    assert!(matches!(claimed, Settled::Claimed), "{claimed:?}");
    assert_eq!(found(ledger, other.write.id).await, Some(unnamed));
    // The provider may use one id for different SIMs.
    let elsewhere = begun(ledger, wanted(2, "P", request(3))).await;
    settled(ledger, &elsewhere, placed(Some("SUB-1")), 1).await;

    let claims = ledger.claims(&slot(1, "Q"), first.write.id).await.unwrap();
    assert_eq!((claims.subscription_ids.len(), claims.rivals), (0, 1));
    let claims = ledger.claims(&slot(1, "Q"), other.write.id).await.unwrap();
    assert_eq!(
        (claims.subscription_ids, claims.rivals),
        (vec!["SUB-1".to_owned()], 0)
    );
    let claims = ledger.claims(&slot(1, "P"), WriteId::new()).await.unwrap();
    assert_eq!(
        (claims.subscription_ids, claims.rivals),
        (vec!["SUB-1".to_owned()], 0)
    );
}
