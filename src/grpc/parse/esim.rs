//! Requests of the Esim service.

use super::Violations;
use crate::domain::{Result, SimRef};
use crate::pb::connectivity::v1 as pb;
use crate::service::qr_code::{Format, Request};

const DEFAULT_PIXELS: u32 = 512;
const FEWEST_PIXELS: u32 = 128;
const MOST_PIXELS: u32 = 2048;

/// Parses the SIM of a `GetEsimRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_esim(request: &pb::GetEsimRequest) -> Result<SimRef> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    violations.into_result(sim)
}

/// Parses the SIM and the picture of a `GetInstallationRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_installation(request: &pb::GetInstallationRequest) -> Result<(SimRef, Option<Request>)> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    let format = match pb::QrFormat::try_from(request.qr_format) {
        Ok(pb::QrFormat::Unspecified | pb::QrFormat::None) => None,
        Ok(pb::QrFormat::Png) => Some(Format::Png),
        Ok(pb::QrFormat::Svg) => Some(Format::Svg),
        Err(_) => {
            violations.add("qr_format", "is not one of the documented values");
            None
        }
    };
    let pixels = match u32::try_from(request.qr_size_pixels) {
        Ok(0) => DEFAULT_PIXELS,
        Ok(pixels) if (FEWEST_PIXELS..=MOST_PIXELS).contains(&pixels) => pixels,
        _ => {
            let rule = format!("must be from {FEWEST_PIXELS} to {MOST_PIXELS}, or 0 for {DEFAULT_PIXELS}");
            violations.add("qr_size_pixels", rule);
            DEFAULT_PIXELS
        }
    };
    let picture = format.map(|format| Request { format, pixels });
    violations.into_result(sim.map(|sim| (sim, picture)))
}
