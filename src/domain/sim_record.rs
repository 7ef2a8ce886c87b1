//! The state of a SIM itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;

use super::esim_status::EsimStatus;
use super::{Country, Iccid, Msisdn, SimRef};

/// Both identifiers of a SIM, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SimIds {
    /// The card's.
    pub iccid: Option<Iccid>,
    /// The number.
    pub msisdn: Option<Msisdn>,
}

impl SimIds {
    /// Whether this is the requested SIM.
    pub fn is(&self, sim: &SimRef) -> bool {
        match sim {
            SimRef::Iccid(iccid) => self.iccid.as_ref() == Some(iccid),
            SimRef::Msisdn(msisdn) => self.msisdn.as_ref() == Some(msisdn),
        }
    }

    /// What a reference alone says.
    pub fn of(sim: &SimRef) -> Self {
        match sim {
            SimRef::Iccid(iccid) => Self {
                iccid: Some(iccid.clone()),
                msisdn: None,
            },
            SimRef::Msisdn(msisdn) => Self {
                iccid: None,
                msisdn: Some(msisdn.clone()),
            },
        }
    }
}

/// What the provider says about a SIM. Its labels may describe a person:
/// `Debug` prints none of them.
#[derive(Clone, PartialEq)]
pub struct SimRecord {
    /// Its identifiers.
    pub ids: SimIds,
    /// Its status; `None` when the provider's value is not known.
    pub status: Option<SimStatus>,
    /// The status as the provider gives it; may be empty.
    pub raw_status: String,
    /// What it is charged by; may be empty.
    pub plan: String,
    /// Group; may be empty.
    pub group: String,
    /// The company's own reference; `None` where it is not shown.
    pub reference: Option<String>,
    /// Metadata; `None` where it is not shown.
    pub metadata: Option<BTreeMap<String, String>>,
    /// When it went into service.
    pub activated_at: Option<Timestamp>,
    /// When a network last saw the SIM.
    pub last_seen_at: Option<Timestamp>,
    /// The country where that was.
    pub last_country: Option<Country>,
    /// Status of its profile.
    pub esim_status: Option<EsimStatus>,
    /// When the provider was asked.
    pub as_of: SystemTime,
}

impl fmt::Debug for SimRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRecord")
            .field("ids", &self.ids)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl SimRecord {
    /// Takes the labels that this record does not show from another one of the
    /// same SIM.
    pub fn take_labels(&mut self, other: Self) {
        if self.group.is_empty() {
            self.group = other.group;
        }
        self.reference = self.reference.take().or(other.reference);
        self.metadata = self.metadata.take().or(other.metadata);
    }

    /// Whether the SIM has ended permanently: its number is given to another
    /// one in time.
    pub fn has_ended(&self) -> bool {
        self.status == Some(SimStatus::Terminated)
    }
}

/// The status of a SIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimStatus {
    /// Ready to be sold.
    Preactivated,
    /// In service.
    Active,
    /// Switched off temporarily.
    Suspended,
    /// Barred by the operator.
    Barred,
    /// In test mode.
    Test,
    /// Paused by its tariff.
    OnHold,
    /// Ended permanently.
    Terminated,
    /// In stock.
    Available,
}

impl SimStatus {
    /// Its name in texts and in the metadata of errors: the contract's, without
    /// prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preactivated => "PREACTIVATED",
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Barred => "BARRED",
            Self::Test => "TEST",
            Self::OnHold => "ON_HOLD",
            Self::Terminated => "TERMINATED",
            Self::Available => "AVAILABLE",
        }
    }
}
