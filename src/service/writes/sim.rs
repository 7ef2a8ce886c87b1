//! Changes of a SIM: what is checked before one is sent, and how its outcome is
//! judged: by the provider's transaction while that runs, by the SIM itself
//! where there is none or it takes too long.
//!
//! A SIM has at most one change in flight of any kind, the provider's normal
//! answer is that it has begun, and none is ever sent twice.

use super::prepared::{Before, Change, Prepared, Ready};
use super::verdict::{Judgement, Observation, PassedWindows, Verdict};
use super::{Inner, Request, Writes};
use crate::domain::change::{Applicability, Labels, SimAction, SimChange, SimTerms};
use crate::domain::error::Violation;
use crate::domain::failure::Reason;
use crate::domain::sim::Identifier;
use crate::domain::{Deadline, Error, Iccid, Msisdn, Result, SimIds, SimRecord, SimRef, SimStatus};
use crate::store::{Record, Slot};
use crate::transatel::api::sim_operations::Progress;
use crate::transatel::client::request::CallOptions;

impl Writes {
    /// Finds the SIM and checks that it is the intended one.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`,
    /// `SIM_STATUS_NOT_ELIGIBLE`, and those of reading.
    pub(super) async fn prepare_sim_change(
        &self,
        request: &Request,
        terms: &SimTerms,
        confirmed: Option<&Iccid>,
        deadline: Deadline,
    ) -> Result<Prepared> {
        self.ensure_can_be_sent(terms)?;
        let read = self.inner.sims.subscriber(&request.sim, deadline).await?;
        let (sim, status) = (read.ids, read.status);
        let missing = |needed| Error::SimNotResolvable { needed };
        let msisdn = sim.msisdn.ok_or(missing(Identifier::Msisdn))?;
        let iccid = sim.iccid.ok_or(missing(Identifier::Iccid))?;
        if confirmed.is_some_and(|card| *card != iccid) {
            let rule = violation("confirm_iccid", "is not the ICCID of this SIM");
            return Err(Error::InvalidRequest(vec![rule]));
        }
        let slot = Slot::Sim {
            msisdn: msisdn.clone(),
        };
        let Some(generation) = self.free_slot(&slot, request, Before::default()).await? else {
            return Ok(Prepared::Stale);
        };
        // After that: an operation in flight is about to change the status.
        match status {
            Some(status) if terms.action.applies_to(status) == Applicability::Impossible => {
                return Err(Error::SimStatusNotEligible { status });
            }
            Some(_) | None => {}
        }
        let change = SimChange {
            msisdn,
            iccid,
            terms: terms.clone(),
        };
        Ok(Prepared::Ready(Box::new(Ready {
            change: Change::Sim(change, status),
            baseline: Vec::new(),
            generation,
            alone: None,
        })))
    }

    /// This account can be sent these terms.
    ///
    /// # Errors
    /// `INVALID_REQUEST`.
    fn ensure_can_be_sent(&self, terms: &SimTerms) -> Result<()> {
        let provider = &self.inner.provider;
        let mut violations = Vec::new();
        if terms.plan.is_none() && !provider.has_plan() {
            let rule = "is required: this gateway has no transatel.rate_plan";
            violations.push(violation("plan", rule));
        }
        if !provider.clears_labels() {
            let rule = "cannot be cleared: transatel.empty_label of this gateway refuses it";
            let cleared = terms.action.labels().into_iter().flat_map(Labels::cleared);
            violations.extend(cleared.map(|field| violation(field, rule)));
        }
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Error::InvalidRequest(violations)),
        }
    }
}

fn violation(field: &str, rule: &str) -> Violation {
    Violation {
        field: field.into(),
        description: rule.into(),
    }
}

/// What the provider reports about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub reported: Reported,
    pub effect: Effect,
}

/// The state of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// There is none, or the provider does not know it.
    Nothing,
    /// It could not be read.
    Unreadable,
    /// Its progress.
    At(Progress),
}

/// What the SIM itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It was not read, or could not be.
    Unreadable,
    /// It is as requested.
    AsRequested,
    /// It is not.
    Different,
    /// It does not show whether it is.
    Hidden,
}

/// Judges a change. While its transaction runs, the only possible conclusion is
/// that the SIM has changed.
pub(super) fn judge_change(record: &Record, answers: Answers, observation: Observation) -> Judgement {
    let is_absent = matches!(
        (answers.reported, answers.effect),
        (Reported::Nothing, Effect::Different)
    );
    let since = match is_absent {
        true => observation.absent_for(),
        false => observation.observed.watched_for,
    };
    let PassedWindows { settled, too_long } = observation.passed(record, since);
    let verdict = match (answers.reported, answers.effect) {
        (Reported::At(Progress::Done), _) => Verdict::Done,
        (Reported::At(Progress::Failed), _) => Verdict::NotDone,
        (_, Effect::AsRequested) => Verdict::Done,
        (Reported::Nothing, Effect::Different) if settled => Verdict::NotDone,
        // It will not show later either.
        (Reported::Nothing, Effect::Hidden) if settled => Verdict::NeedsOperator(Reason::Ambiguous),
        _ if too_long => Verdict::NeedsOperator(Reason::Unreadable),
        _ => Verdict::Open,
    };
    Judgement { verdict, is_absent }
}

/// What a SIM shows of a change. A swap shows on the new card: `line` is the
/// number that moves.
fn effect(action: &SimAction, line: &Msisdn, sim: &SimRecord) -> Effect {
    let so = |so: bool| {
        if so {
            Effect::AsRequested
        } else {
            Effect::Different
        }
    };
    match action {
        SimAction::Activate | SimAction::Reactivate => so(sim.status == Some(SimStatus::Active)),
        SimAction::Suspend => so(sim.status == Some(SimStatus::Suspended)),
        SimAction::Terminate => so(sim.status == Some(SimStatus::Terminated)),
        SimAction::Swap { .. } => so(sim.ids.msisdn.as_ref() == Some(line)),
        SimAction::Update(labels) => labels_effect(labels, sim),
    }
}

/// One label that is not as requested decides. That all match decides only when
/// none is hidden: the visible ones may have been so before.
fn labels_effect(labels: &Labels, sim: &SimRecord) -> Effect {
    let group = labels.group.as_ref().map(|group| Some(*group == sim.group));
    let metadata = (!labels.metadata.is_empty()).then(|| {
        sim.metadata.as_ref().map(|shown| {
            labels.metadata.iter().all(|(key, value)| match shown.get(key) {
                Some(shown) => shown == value,
                None => value.is_empty(),
            })
        })
    });
    // Where none is shown, there may be none, or it is hidden.
    let reference = labels
        .reference
        .as_ref()
        .map(|reference| sim.reference.as_ref().map(|shown| shown == reference));
    let requested = [group, metadata, reference].into_iter().flatten();
    requested.fold(Effect::AsRequested, |effect, label| match (effect, label) {
        (Effect::Different, _) | (_, Some(false)) => Effect::Different,
        (_, None) => Effect::Hidden,
        (effect, Some(true)) => effect,
    })
}

impl Inner {
    /// Judges a change by the progress of its transaction and, once that should
    /// be over, by whether the SIM is as requested.
    pub(super) async fn judge_sim_change(
        &self,
        record: &Record,
        change: &SimChange,
        observation: Observation,
        options: CallOptions,
    ) -> Judgement {
        let reported = match &record.write.provider_reference {
            None => Reported::Nothing,
            Some(id) => match self.provider.transaction(id, options.clone()).await {
                Ok(Some(progress)) => Reported::At(progress),
                Ok(None) => Reported::Nothing,
                Err(_) => Reported::Unreadable,
            },
        };
        let given_up = observation.observed.watched_for >= self.config.give_up_after;
        let enough = match reported {
            Reported::At(Progress::Done | Progress::Failed) => true,
            Reported::At(Progress::Pending) | Reported::Unreadable => !given_up,
            Reported::Nothing => false,
        };
        let action = &change.terms.action;
        let effect = match enough {
            true => Effect::Unreadable,
            false => {
                let card = match action {
                    SimAction::Swap { new_iccid } => new_iccid,
                    _ => &change.iccid,
                };
                let answer = self
                    .provider
                    .subscriber(&SimRef::Iccid(card.clone()), options)
                    .await;
                answer.map_or(Effect::Unreadable, |sim| effect(action, &change.msisdn, &sim))
            }
        };
        judge_change(record, Answers { reported, effect }, observation)
    }

    /// Drops what is cached of a changed SIM.
    pub(super) async fn forget_changed_sim(&self, change: &SimChange) {
        let sim = SimIds {
            iccid: Some(change.iccid.clone()),
            msisdn: Some(change.msisdn.clone()),
        };
        match &change.terms.action {
            SimAction::Swap { new_iccid } => {
                let new_card = SimIds {
                    iccid: Some(new_iccid.clone()),
                    msisdn: None,
                };
                self.sims.forget(&sim).await;
                self.sims.forget(&new_card).await;
            }
            SimAction::Terminate => self.sims.forget(&sim).await,
            SimAction::Activate | SimAction::Suspend | SimAction::Reactivate | SimAction::Update(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::verdict::tests::{after, record};
    use super::*;
    use crate::domain::Iccid;

    #[test]
    fn a_change_of_a_sim_is_judged_by_its_transaction_and_the_sim() {
        use Verdict::{Done, NotDone, Open};
        let operator = |reason| Verdict::NeedsOperator(reason);
        let (unreadable, hidden) = (operator(Reason::Unreadable), operator(Reason::Ambiguous));
        let [done, failed, pending] = [Progress::Done, Progress::Failed, Progress::Pending].map(Reported::At);
        // At 10 s, at 60 s when it should have settled, at 600 s.
        for (reported, effect, early, settled, late) in [
            (done, Effect::Different, &Done, &Done, &Done),
            (done, Effect::Unreadable, &Done, &Done, &Done),
            (failed, Effect::Unreadable, &NotDone, &NotDone, &NotDone),
            (failed, Effect::AsRequested, &NotDone, &NotDone, &NotDone),
            (pending, Effect::AsRequested, &Done, &Done, &Done),
            (pending, Effect::Different, &Open, &Open, &unreadable),
            (pending, Effect::Hidden, &Open, &Open, &unreadable),
            (pending, Effect::Unreadable, &Open, &Open, &unreadable),
            // It may still be carried out.
            (Reported::Unreadable, Effect::Different, &Open, &Open, &unreadable),
            (Reported::Unreadable, Effect::AsRequested, &Done, &Done, &Done),
            (Reported::Unreadable, Effect::Hidden, &Open, &Open, &unreadable),
            (Reported::Nothing, Effect::AsRequested, &Done, &Done, &Done),
            (Reported::Nothing, Effect::Different, &Open, &NotDone, &NotDone),
            (Reported::Nothing, Effect::Hidden, &Open, &hidden, &hidden),
            (Reported::Nothing, Effect::Unreadable, &Open, &Open, &unreadable),
        ] {
            for (seconds, expected) in [(10, early), (60, settled), (600, late)] {
                let judged = judge_change(&record(&[]), Answers { reported, effect }, after(seconds));
                assert_eq!(
                    judged.verdict, *expected,
                    "{reported:?} {effect:?} at {seconds} s"
                );
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
            plan: String::new(),
            group: "fleet".into(),
            reference: None,
            metadata: Some(BTreeMap::from([("depot".into(), "Lyon".into())])),
            activated_at: None,
            last_seen_at: None,
            last_country: None,
            esim_status: None,
            as_of: std::time::SystemTime::now(),
        }
    }

    #[test]
    fn every_status_is_judged_for_every_action() {
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
            for (action, reached) in [
                (SimAction::Activate, Active),
                (SimAction::Reactivate, Active),
                (SimAction::Suspend, Suspended),
                (SimAction::Terminate, Terminated),
            ] {
                let expected = if status == reached {
                    Effect::AsRequested
                } else {
                    Effect::Different
                };
                assert_eq!(
                    effect(&action, &msisdn(), &sim(Some(status))),
                    expected,
                    "{action:?} {status:?}"
                );
                assert_eq!(effect(&action, &msisdn(), &sim(None)), Effect::Different);
            }
        }
        let swap = SimAction::Swap {
            new_iccid: Iccid::parse("8988247000000000027").unwrap(),
        };
        assert_eq!(effect(&swap, &msisdn(), &sim(None)), Effect::AsRequested);
        let other = Msisdn::parse("882470000000002").unwrap();
        assert_eq!(effect(&swap, &other, &sim(None)), Effect::Different);
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
        for (requested, expected) in [
            (labels(Some("fleet"), None, &[]), Effect::AsRequested),
            (labels(Some("other"), None, &[]), Effect::Different),
            (labels(None, None, &lyon), Effect::AsRequested),
            (labels(None, None, &[("depot", "Paris")]), Effect::Different),
            (labels(None, None, &[("depot", "")]), Effect::Different),
            (labels(None, None, &[("gone", "")]), Effect::AsRequested),
            (labels(None, None, &[("new", "x")]), Effect::Different),
            (labels(Some("other"), None, &lyon), Effect::Different),
            (labels(None, Some("R"), &[]), Effect::Hidden),
            (labels(Some("fleet"), Some("R"), &lyon), Effect::Hidden),
            (labels(Some("other"), Some("R"), &lyon), Effect::Different),
            (labels(Some(""), None, &[]), Effect::Different),
            (labels(None, Some(""), &[]), Effect::Hidden),
        ] {
            let action = SimAction::Update(requested.clone());
            assert_eq!(effect(&action, &msisdn(), &sim(None)), expected, "{requested:?}");
        }
        let shown = SimRecord {
            group: String::new(),
            reference: Some("R".into()),
            ..sim(None)
        };
        for (requested, expected) in [
            (labels(Some(""), None, &[]), Effect::AsRequested),
            (labels(Some(""), Some("R"), &lyon), Effect::AsRequested),
            (labels(None, Some("S"), &[]), Effect::Different),
            (labels(None, Some(""), &[]), Effect::Different),
        ] {
            let action = SimAction::Update(requested.clone());
            assert_eq!(effect(&action, &msisdn(), &shown), expected, "{requested:?}");
        }
        let shy = SimRecord {
            metadata: None,
            ..sim(None)
        };
        let action = SimAction::Update(labels(Some("fleet"), None, &lyon));
        assert_eq!(effect(&action, &msisdn(), &shy), Effect::Hidden);
    }
}
