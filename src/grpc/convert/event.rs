//! Domain to protobuf: the Events service.

use bytes::Bytes;
use prost::Message as _;

use super::esim::{self, entry};
use super::{balance, list_price, sim_ids, timestamp};
use crate::domain::event::EventType;
use crate::domain::stock_level::StockLevel;
use crate::domain::write::WriteId;
use crate::pb::connectivity::v1 as pb;
use crate::service::events::Logged;

/// Encodes an event once, for every answer that will carry it.
pub fn prepare_event(logged: &Logged) -> Bytes {
    let event = logged.event.clone();
    let r#type = event_type(event.event_type()).into();
    let details = event.details;
    let id = |id: Option<WriteId>| id.map(|id| id.to_string()).unwrap_or_default();
    pb::Event {
        r#type,
        event_id: event.id,
        raw_type: event.raw_type,
        occurred_at: event.occurred_at.map(timestamp),
        received_at: Some(timestamp(event.received_at)),
        sim: Some(sim_ids(event.sim)),
        subscription_id: event.subscription_id.unwrap_or_default(),
        product_id: event.product_id.unwrap_or_default(),
        order_id: id(event.order_id),
        operation_id: id(event.operation_id),
        request_id: event.request_id.map(|id| id.to_string()).unwrap_or_default(),
        caller: event.caller.unwrap_or_default(),
        reference: event.reference.unwrap_or_default(),
        activated_at: details.activated_at.map(timestamp),
        activation_deadline: details.activation_deadline.map(timestamp),
        expires_at: details.expires_at.map(timestamp),
        country: details
            .country
            .map(|country| country.alpha2().to_owned())
            .unwrap_or_default(),
        esim_status: esim::status(details.esim_status).into(),
        balance: details.balance.map(balance),
        infrastructure: event.infrastructure,
        attributes: Some(entry(logged.attributes.clone())),
        list_price: details.list_price.map(list_price),
        stock: details.stock.map(stock_level),
    }
    .encode_to_vec()
    .into()
}

fn stock_level(level: StockLevel) -> pb::StockLevel {
    pb::StockLevel {
        pool: level.pool.to_string(),
        available: super::stock::number(level.available),
        threshold: super::stock::number(level.threshold),
    }
}

/// The type with this number; `None` for one that is not sent.
pub fn event_type_of(number: i32) -> Option<EventType> {
    let wanted = pb::EventType::try_from(number).ok()?;
    let known = EventType::KNOWN.iter().map(|(kind, _)| *kind);
    known
        .chain([EventType::Other])
        .find(|kind| event_type(*kind) == wanted)
}

fn event_type(kind: EventType) -> pb::EventType {
    match kind {
        EventType::Other => pb::EventType::Other,
        EventType::ProductPreloaded => pb::EventType::ProductPreloaded,
        EventType::ProductDeferred => pb::EventType::ProductDeferred,
        EventType::ProductActivated => pb::EventType::ProductActivated,
        EventType::ProductRenewed => pb::EventType::ProductRenewed,
        EventType::ProductCanceled => pb::EventType::ProductCanceled,
        EventType::ProductExpired => pb::EventType::ProductExpired,
        EventType::ProductTerminated => pb::EventType::ProductTerminated,
        EventType::ProductResourceThreshold => pb::EventType::ProductResourceThreshold,
        EventType::ProductResourceExhausted => pb::EventType::ProductResourceExhausted,
        EventType::ResourceThreshold => pb::EventType::ResourceThreshold,
        EventType::ResourceExhausted => pb::EventType::ResourceExhausted,
        EventType::EsimReleased => pb::EventType::EsimReleased,
        EventType::EsimDownloaded => pb::EventType::EsimDownloaded,
        EventType::EsimInstalled => pb::EventType::EsimInstalled,
        EventType::EsimEnabled => pb::EventType::EsimEnabled,
        EventType::EsimDisabled => pb::EventType::EsimDisabled,
        EventType::EsimDeleted => pb::EventType::EsimDeleted,
        EventType::EsimError => pb::EventType::EsimError,
        EventType::SimPreactivated => pb::EventType::SimPreactivated,
        EventType::SimActivated => pb::EventType::SimActivated,
        EventType::SimModified => pb::EventType::SimModified,
        EventType::SimCardSwapped => pb::EventType::SimCardSwapped,
        EventType::SimMsisdnSwapped => pb::EventType::SimMsisdnSwapped,
        EventType::SimSuspended => pb::EventType::SimSuspended,
        EventType::SimReactivated => pb::EventType::SimReactivated,
        EventType::SimRoamingAlert => pb::EventType::SimRoamingAlert,
        EventType::SimTerminated => pb::EventType::SimTerminated,
        EventType::SimTestModeExited => pb::EventType::SimTestModeExited,
        EventType::SimHolidayEntered => pb::EventType::SimHolidayEntered,
        EventType::SimHolidayExited => pb::EventType::SimHolidayExited,
        EventType::SmsReceived => pb::EventType::SmsReceived,
        EventType::SmsReported => pb::EventType::SmsReported,
        EventType::LocationUpdateAccepted => pb::EventType::LocationUpdateAccepted,
        EventType::LocationUpdateDenied => pb::EventType::LocationUpdateDenied,
        EventType::OrderPlaced => pb::EventType::OrderPlaced,
        EventType::OrderRejected => pb::EventType::OrderRejected,
        EventType::OrderNotPlaced => pb::EventType::OrderNotPlaced,
        EventType::OrderNeedsOperator => pb::EventType::OrderNeedsOperator,
        EventType::SimOperationSucceeded => pb::EventType::SimOperationSucceeded,
        EventType::SimOperationFailed => pb::EventType::SimOperationFailed,
        EventType::SimOperationNeedsOperator => pb::EventType::SimOperationNeedsOperator,
        EventType::StockLow => pb::EventType::StockLow,
        EventType::StockFilled => pb::EventType::StockFilled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_number() {
        for (kind, _) in EventType::KNOWN {
            assert_eq!(event_type_of(event_type(*kind).into()), Some(*kind));
        }
        assert_eq!(event_type_of(1), Some(EventType::Other));
        assert_eq!(event_type_of(0), None);
        assert_eq!(event_type_of(-1), None);
    }
}
