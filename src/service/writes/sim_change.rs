//! What became of a change of a SIM: by the provider's transaction while that
//! runs, by the SIM itself where there is none or it takes too long.

use std::time::Duration;

use super::Inner;
use super::verdict::{Judgement, Passed, Verdict, Windows};
use crate::domain::act::{Labels, SimAct, SimChange};
use crate::domain::order::{Order, Reason};
use crate::domain::{Msisdn, SimIds, SimRecord, SimRef, SimStatus};
use crate::store::{Observed, Record};
use crate::transatel::api::sim_operations::Progress;
use crate::transatel::client::request::CallOptions;

/// What the provider says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub reported: Reported,
    pub seen: Seen,
}

/// What its transaction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// There is none, or the provider does not know it.
    Nothing,
    /// It could not be read.
    Unreadable,
    /// Where it is.
    At(Progress),
}

/// What the SIM itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not looked at, or could not be.
    Unreadable,
    /// It is as it was wished.
    AsWished,
    /// It is not.
    Otherwise,
    /// What was wished does not show in it.
    Hidden,
}

/// Judges a change. As long as its transaction runs nothing is said of it
/// but that the SIM has changed.
pub(super) fn judge_change(
    record: &Record,
    change: Change,
    windows: Windows,
    observed: Observed,
    step: Duration,
) -> Judgement {
    let is_absent = matches!(
        (change.reported, change.seen),
        (Reported::Nothing, Seen::Otherwise)
    );
    let since = match is_absent {
        true => observed.absent_for + step,
        false => observed.watched_for,
    };
    let Passed { settled, too_long } = windows.passed(record, observed, since);
    let verdict = match (change.reported, change.seen) {
        (Reported::At(Progress::Done), _) => Verdict::Done,
        (Reported::At(Progress::Failed), _) => Verdict::NotPlaced,
        (_, Seen::AsWished) => Verdict::Done,
        (Reported::Nothing, Seen::Otherwise) if settled => Verdict::NotPlaced,
        // It will not show later either.
        (Reported::Nothing, Seen::Hidden) if settled => Verdict::NeedsOperator(Reason::Ambiguous),
        _ if too_long => Verdict::NeedsOperator(Reason::Unreadable),
        _ => Verdict::Open,
    };
    Judgement { verdict, is_absent }
}

/// What a SIM shows of a change. A swap is looked for on the new card: `line`
/// is the number that moves.
fn seen(act: &SimAct, line: &Msisdn, sim: &SimRecord) -> Seen {
    let so = |so: bool| if so { Seen::AsWished } else { Seen::Otherwise };
    match act {
        SimAct::Activate | SimAct::Reactivate => so(sim.status == Some(SimStatus::Active)),
        SimAct::Suspend => so(sim.status == Some(SimStatus::Suspended)),
        SimAct::Terminate => so(sim.status == Some(SimStatus::Terminated)),
        SimAct::Swap { .. } => so(sim.ids.msisdn.as_ref() == Some(line)),
        SimAct::Update(labels) => labels_seen(labels, sim),
    }
}

/// One label that is not as wished decides. That all are decides only when
/// none is hidden: the visible ones may have been so before.
fn labels_seen(labels: &Labels, sim: &SimRecord) -> Seen {
    let group = labels.group.as_ref().map(|group| Some(*group == sim.group));
    let metadata = (!labels.metadata.is_empty()).then(|| {
        sim.metadata.as_ref().map(|shown| {
            labels.metadata.iter().all(|(key, value)| match shown.get(key) {
                Some(shown) => shown == value,
                None => value.is_empty(),
            })
        })
    });
    // The provider shows it nowhere.
    let reference = labels.reference.as_ref().map(|_| None);
    let wished = [group, metadata, reference].into_iter().flatten();
    wished.fold(Seen::AsWished, |seen, label| match (seen, label) {
        (Seen::Otherwise, _) | (_, Some(false)) => Seen::Otherwise,
        (_, None) => Seen::Hidden,
        (seen, Some(true)) => seen,
    })
}

impl Inner {
    /// Where a change's transaction is and, once it should be over, whether
    /// the SIM is as it was wished.
    pub(super) async fn look_at_sim(
        &self,
        record: &Record,
        change: &SimChange,
        line: &Msisdn,
        watched_for: Duration,
        options: CallOptions,
    ) -> Change {
        let reported = match &record.order.provider_reference {
            None => Reported::Nothing,
            Some(id) => match self.provider.transaction(id, options.clone()).await {
                Ok(Some(progress)) => Reported::At(progress),
                Ok(None) => Reported::Nothing,
                Err(_) => Reported::Unreadable,
            },
        };
        let given_up = watched_for >= self.config.give_up_after;
        let enough = match reported {
            Reported::At(Progress::Done | Progress::Failed) => true,
            Reported::At(Progress::Pending) | Reported::Unreadable => !given_up,
            Reported::Nothing => false,
        };
        let sim = match &change.act {
            SimAct::Swap { new_iccid } => Some(new_iccid),
            _ => record.order.sim.iccid.as_ref(),
        };
        let seen = match sim {
            Some(sim) if !enough => {
                let sim = SimRef::Iccid(sim.clone());
                let answer = self.provider.subscriber(&sim, options).await;
                answer.map_or(Seen::Unreadable, |sim| seen(&change.act, line, &sim))
            }
            Some(_) | None => Seen::Unreadable,
        };
        Change { reported, seen }
    }

    /// What has to be forgotten once a change took place.
    pub(super) async fn settled_as_wished(&self, order: &Order) {
        match order.wish.act.on_sim().map(|change| &change.act) {
            Some(SimAct::Swap { new_iccid }) => {
                let new_card = SimIds {
                    iccid: Some(new_iccid.clone()),
                    msisdn: None,
                };
                self.sims.forget(&order.sim).await;
                self.sims.forget(&new_card).await;
            }
            Some(SimAct::Terminate) => self.sims.forget(&order.sim).await,
            Some(SimAct::Activate | SimAct::Suspend | SimAct::Reactivate | SimAct::Update(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::verdict::tests::{WINDOWS, after, record};
    use super::*;
    use crate::domain::Iccid;

    #[test]
    fn a_change_of_a_sim_is_judged_by_its_transaction_and_the_sim() {
        use Verdict::{Done, NotPlaced, Open};
        let operator = |reason| Verdict::NeedsOperator(reason);
        let (unreadable, hidden) = (operator(Reason::Unreadable), operator(Reason::Ambiguous));
        let [done, failed, pending] = [Progress::Done, Progress::Failed, Progress::Pending].map(Reported::At);
        // At 10 s, at 60 s when it should have settled, at 600 s.
        for (reported, seen, early, settled, late) in [
            (done, Seen::Otherwise, &Done, &Done, &Done),
            (done, Seen::Unreadable, &Done, &Done, &Done),
            (failed, Seen::Unreadable, &NotPlaced, &NotPlaced, &NotPlaced),
            (failed, Seen::AsWished, &NotPlaced, &NotPlaced, &NotPlaced),
            (pending, Seen::AsWished, &Done, &Done, &Done),
            (pending, Seen::Otherwise, &Open, &Open, &unreadable),
            (pending, Seen::Hidden, &Open, &Open, &unreadable),
            (pending, Seen::Unreadable, &Open, &Open, &unreadable),
            // It may still be carried out.
            (Reported::Unreadable, Seen::Otherwise, &Open, &Open, &unreadable),
            (Reported::Unreadable, Seen::AsWished, &Done, &Done, &Done),
            (Reported::Unreadable, Seen::Hidden, &Open, &Open, &unreadable),
            (Reported::Nothing, Seen::AsWished, &Done, &Done, &Done),
            (Reported::Nothing, Seen::Otherwise, &Open, &NotPlaced, &NotPlaced),
            (Reported::Nothing, Seen::Hidden, &Open, &hidden, &hidden),
            (Reported::Nothing, Seen::Unreadable, &Open, &Open, &unreadable),
        ] {
            for (seconds, expected) in [(10, early), (60, settled), (600, late)] {
                let (observed, step) = after(seconds);
                let judged = judge_change(&record(&[]), Change { reported, seen }, WINDOWS, observed, step);
                assert_eq!(judged.verdict, *expected, "{reported:?} {seen:?} at {seconds} s");
            }
        }
    }

    fn msisdn() -> Msisdn {
        Msisdn::parse("882470000000001").unwrap()
    }

    fn sim(status: Option<SimStatus>) -> SimRecord {
        SimRecord {
            ids: SimIds {
                iccid: None,
                msisdn: Some(msisdn()),
            },
            status,
            raw_status: String::new(),
            rate_plan: String::new(),
            group: "fleet".into(),
            metadata: Some(BTreeMap::from([("depot".into(), "Lyon".into())])),
            activated_at: None,
            last_seen_at: None,
            last_country: None,
            esim_status: None,
            as_of: std::time::SystemTime::now(),
        }
    }

    #[test]
    fn every_status_tells_of_every_act() {
        use SimStatus::*;
        for status in [
            Preactivated,
            Active,
            Suspended,
            Barred,
            Test,
            OnHold,
            Terminated,
            Available,
        ] {
            for (act, reached) in [
                (SimAct::Activate, Active),
                (SimAct::Reactivate, Active),
                (SimAct::Suspend, Suspended),
                (SimAct::Terminate, Terminated),
            ] {
                let expected = if status == reached {
                    Seen::AsWished
                } else {
                    Seen::Otherwise
                };
                assert_eq!(
                    seen(&act, &msisdn(), &sim(Some(status))),
                    expected,
                    "{act:?} {status:?}"
                );
                assert_eq!(seen(&act, &msisdn(), &sim(None)), Seen::Otherwise);
            }
        }
        let swap = SimAct::Swap {
            new_iccid: Iccid::parse("8988247000000000027").unwrap(),
        };
        assert_eq!(seen(&swap, &msisdn(), &sim(None)), Seen::AsWished);
        let other = Msisdn::parse("882470000000002").unwrap();
        assert_eq!(seen(&swap, &other, &sim(None)), Seen::Otherwise);
    }

    #[test]
    fn labels_count_only_when_all_of_them_show() {
        let labels = |group: Option<&str>, reference: Option<&str>, metadata: &[(&str, &str)]| Labels {
            group: group.map(str::to_owned),
            reference: reference.map(str::to_owned),
            metadata: metadata
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let lyon = [("depot", "Lyon")];
        for (wished, expected) in [
            (labels(Some("fleet"), None, &[]), Seen::AsWished),
            (labels(Some("other"), None, &[]), Seen::Otherwise),
            (labels(None, None, &lyon), Seen::AsWished),
            (labels(None, None, &[("depot", "Paris")]), Seen::Otherwise),
            (labels(None, None, &[("depot", "")]), Seen::Otherwise),
            (labels(None, None, &[("gone", "")]), Seen::AsWished),
            (labels(None, None, &[("new", "x")]), Seen::Otherwise),
            (labels(Some("other"), None, &lyon), Seen::Otherwise),
            (labels(None, Some("R"), &[]), Seen::Hidden),
            (labels(Some("fleet"), Some("R"), &lyon), Seen::Hidden),
            (labels(Some("other"), Some("R"), &lyon), Seen::Otherwise),
        ] {
            let act = SimAct::Update(wished.clone());
            assert_eq!(seen(&act, &msisdn(), &sim(None)), expected, "{wished:?}");
        }
        let shy = SimRecord {
            metadata: None,
            ..sim(None)
        };
        let act = SimAct::Update(labels(Some("fleet"), None, &lyon));
        assert_eq!(seen(&act, &msisdn(), &shy), Seen::Hidden);
    }
}
