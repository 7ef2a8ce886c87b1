//! eSIM: the status of an eSIM, and what a customer needs to install it.
//!
//! Always live: a profile that was installed a moment ago must not look
//! installable. Nothing is stored, and the activation code appears only in the
//! answer.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Sims;
use super::qr_code::{self, Picture};
use crate::config;
use crate::domain::esim::{ActivationCode, Esim, Obstacle, Reinstallable};
use crate::domain::{Deadline, Error, EsimStatus, Iccid, Msisdn, Result, SimRef};
use crate::transatel::Transatel;
use crate::transatel::api::sim_management::Profile;
use crate::transatel::client::request::CallOptions;

/// The eSIM use cases. Cheap to clone.
#[derive(Clone)]
pub struct Esims {
    provider: Transatel,
    sims: Sims,
    apn: Option<String>,
}

/// Everything needed to install an eSIM. All of it is secret; `Debug` prints
/// none of it.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The activation code.
    pub code: ActivationCode,
    /// The requested picture of it.
    pub picture: Option<Picture>,
    /// The access point name to set, where it is configured.
    pub apn: Option<String>,
    /// Why no device can download it now; `None` when any can.
    pub obstacle: Option<Obstacle>,
}

impl Installation {
    /// Link that starts the installation on an iPhone.
    pub fn apple_url(&self) -> String {
        one_tap("https://esimsetup.apple.com", &self.code)
    }

    /// Link that starts the installation on an Android phone.
    pub fn android_url(&self) -> String {
        one_tap("https://esimsetup.android.com", &self.code)
    }
}

/// What has to be escaped in the value of a query parameter. `:` and `$` are
/// allowed there unescaped, as in Apple's and Google's examples.
const IN_VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn one_tap(host: &str, code: &ActivationCode) -> String {
    let link = code.link();
    let data = utf8_percent_encode(&link, IN_VALUE);
    format!("{host}/esim_qrcode_provisioning?carddata={data}")
}

impl Esims {
    /// Requests nothing yet.
    pub fn new(provider: Transatel, sims: Sims, config: config::Esim) -> Self {
        Self {
            provider,
            sims,
            apn: config.apn,
        }
    }

    /// The status of an eSIM, without activation material.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `ESIM_NOT_FOUND`, `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the
    /// provider's errors.
    pub async fn esim(&self, sim: &SimRef, with_history: bool, deadline: Deadline) -> Result<Esim> {
        let options = CallOptions::until(deadline);
        let (iccid, msisdn) = self.ids(sim).await?;
        let profile = self.provider.esim(&iccid, with_history, options).await?;
        Ok(Esim {
            installable: installable(&profile),
            reinstallable: Reinstallable::of(profile.status, profile.downloads),
            iccid,
            msisdn,
            status: profile.status,
            raw_status: profile.raw_status,
            status_changed_at: profile.status_changed_at,
            eid: profile.eid,
            history: profile.history,
        })
    }

    /// What installs an eSIM, with the requested picture.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// `ESIM_NOT_RELEASED` before there is a code, and those of
    /// [`Esims::esim`].
    pub async fn installation(
        &self,
        sim: &SimRef,
        picture: Option<qr_code::Request>,
        deadline: Deadline,
    ) -> Result<Installation> {
        let options = CallOptions::until(deadline);
        let (iccid, _) = self.ids(sim).await?;
        let profile = self.provider.esim(&iccid, false, options).await?;
        let obstacle = obstacle(&profile);
        let code = code(profile)?;
        let picture = picture
            .map(|request| qr_code::draw(&code.link(), request))
            .transpose()
            .map_err(|error| {
                tracing::error!(%error, "no QR code could be drawn");
                Error::Internal
            })?;
        Ok(Installation {
            code,
            picture,
            apn: self.apn.clone(),
            obstacle,
        })
    }

    /// The ICCID, which SIM Management needs, and the MSISDN when it is known
    /// without a request.
    async fn ids(&self, sim: &SimRef) -> Result<(Iccid, Option<Msisdn>)> {
        let iccid = self.sims.iccid(sim).await?;
        Ok((iccid, self.sims.known(sim).await.msisdn))
    }
}

/// Released, with a code, and not bound to a device.
fn installable(profile: &Profile) -> bool {
    profile.code.is_some() && obstacle(profile).is_none()
}

/// Why a profile that has a code cannot be downloaded by any device.
fn obstacle(profile: &Profile) -> Option<Obstacle> {
    match profile.status {
        Some(EsimStatus::Released) => profile.eid.is_some().then_some(Obstacle::BoundToDevice),
        Some(EsimStatus::Downloaded | EsimStatus::Installed | EsimStatus::Enabled | EsimStatus::Disabled) => {
            Some(Obstacle::OnDevice)
        }
        Some(EsimStatus::Deleted) => Some(Obstacle::Deleted),
        // Those two have no code to give.
        Some(EsimStatus::Available | EsimStatus::Allocated) | None => Some(Obstacle::StatusUnknown),
    }
}

/// The code of a profile that is released.
fn code(profile: Profile) -> Result<ActivationCode> {
    let released = match profile.status {
        Some(EsimStatus::Available | EsimStatus::Allocated) => return Err(Error::EsimNotReleased),
        Some(
            EsimStatus::Released
            | EsimStatus::Downloaded
            | EsimStatus::Installed
            | EsimStatus::Enabled
            | EsimStatus::Disabled
            | EsimStatus::Deleted,
        ) => true,
        // The provider gives the code only of released profiles.
        None => false,
    };
    profile.code.ok_or_else(|| {
        if released {
            tracing::warn!(
                status = profile.raw_status,
                "a released eSIM has no activation code"
            );
            Error::ProviderProtocol {
                provider: crate::domain::ProviderDetail::default(),
            }
        } else {
            Error::EsimNotReleased
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::esim::Eid;

    fn profile(status: Option<EsimStatus>, with_code: bool, with_eid: bool) -> Profile {
        Profile {
            status,
            raw_status: "x".to_owned(),
            status_changed_at: None,
            eid: with_eid.then(|| Eid::parse("89001012012341234012345678901224").unwrap()),
            code: with_code.then(|| ActivationCode::parse("1$rsp.example$ID").unwrap()),
            history: Vec::new(),
            downloads: None,
        }
    }

    const ALL: [EsimStatus; 8] = [
        EsimStatus::Available,
        EsimStatus::Allocated,
        EsimStatus::Released,
        EsimStatus::Downloaded,
        EsimStatus::Installed,
        EsimStatus::Enabled,
        EsimStatus::Disabled,
        EsimStatus::Deleted,
    ];

    #[test]
    fn installable_is_released_with_a_code_and_without_a_device() {
        for status in ALL.map(Some).into_iter().chain([None]) {
            for (with_code, with_eid) in [(false, false), (false, true), (true, false), (true, true)] {
                let expected = status == Some(EsimStatus::Released) && with_code && !with_eid;
                let profile = profile(status, with_code, with_eid);
                assert_eq!(installable(&profile), expected, "{profile:?}");
            }
        }
    }

    #[test]
    fn a_code_is_given_from_release_on() {
        for status in ALL {
            let before = matches!(status, EsimStatus::Available | EsimStatus::Allocated);
            let with = code(profile(Some(status), true, false));
            let without = code(profile(Some(status), false, false)).unwrap_err();
            if before {
                assert_eq!(with, Err(Error::EsimNotReleased), "{status:?}");
                assert_eq!(without, Error::EsimNotReleased, "{status:?}");
            } else {
                assert!(with.is_ok(), "{status:?}");
                assert!(matches!(without, Error::ProviderProtocol { .. }), "{status:?}");
            }
        }
        assert!(code(profile(None, true, false)).is_ok());
        assert_eq!(code(profile(None, false, false)), Err(Error::EsimNotReleased));
    }

    #[test]
    fn links_carry_the_whole_escaped_code() {
        let installation = |text: &str| Installation {
            code: ActivationCode::parse(text).unwrap(),
            picture: None,
            apn: None,
            obstacle: None,
        };
        let usual = installation("1$rsp.example$ID-1");
        assert_eq!(
            usual.apple_url(),
            "https://esimsetup.apple.com/esim_qrcode_provisioning?carddata=LPA:1$rsp.example$ID-1"
        );
        assert_eq!(
            usual.android_url(),
            "https://esimsetup.android.com/esim_qrcode_provisioning?carddata=LPA:1$rsp.example$ID-1"
        );
        let text = "1$rsp.example$A+B&C=D#E%F?/;'\"<>\\^`{|}";
        let url = url::Url::parse(&installation(text).apple_url()).unwrap();
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("carddata".to_owned(), format!("LPA:{text}"))]);
        assert_eq!(url.fragment(), None);
    }

    #[test]
    fn debug_prints_no_secret() {
        let picture = qr_code::draw(
            "LPA:1$rsp.example$ID-1",
            qr_code::Request {
                format: qr_code::Format::Svg,
                pixels: 128,
            },
        );
        let installation = Installation {
            code: ActivationCode::parse("1$rsp.example$ID-1").unwrap(),
            picture: Some(picture.unwrap()),
            apn: None,
            obstacle: None,
        };
        let printed = format!("{installation:?}");
        assert!(
            !printed.contains("rsp") && !printed.contains("ID-1") && !printed.contains("svg"),
            "{printed}"
        );
    }
}
