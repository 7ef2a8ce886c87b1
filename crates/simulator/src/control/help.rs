//! The page that says what the control API can do.

use std::fmt::Write as _;

use axum::extract::State;

use crate::{
    control::{handle::Control, http},
    faults::fault::FAULTS,
    http::routes::CONTROL,
    kinds::Kind,
    webhooks::disturbance::DISTURBANCES,
};

const INTRODUCTION: &str = "Simulated Transatel: the control API

No credentials, never counted, never hit by faults. Bodies are JSON with any content type; a
member that a call does not know is refused by name (400). Durations are text: 300ms, 5m, 2h, 31days.
{sim} is a number in the stock, an MSISDN or an ICCID.
";

/// `GET /__sandbox/`.
pub(super) async fn page(State(control): State<Control>) -> String {
    let base = format!("http://{}{}", control.server.address, CONTROL);
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\nCalls\n\n");
    for endpoint in http::endpoints() {
        let call = format!("{:6} {}{}", endpoint.method, CONTROL, endpoint.path);
        // Writing to a text cannot fail.
        let _ = writeln!(page, "  {call:52} {}", endpoint.does);
        if !endpoint.takes.is_empty() {
            let _ = writeln!(page, "  {:52}   {}", "", endpoint.takes);
        }
    }
    page.push_str(
        "\nFaults, each with \"commit\" (carried out first), \"repeat\" (so many requests) and \"forever\"\n\n",
    );
    list(&mut page, FAULTS);
    page.push_str("\nDisturbances, one for each of the next events\n\n");
    list(&mut page, DISTURBANCES);
    let _ = write!(
        page,
        "
Examples

  An order that is carried out, and answered 40 seconds later:
  curl -d '{{\"method\":\"POST\",\"path\":\"/ocs/subscriptions\",\"steps\":[{{\"fault\":\"delay\",\"for\":\"40s\",\
         \"commit\":true}}]}}' {base}/faults

  An inventory that shows what is bought five minutes later:
  curl -d '{{\"inventory\":{{\"lag\":\"5m\"}}}}' {base}/settings

  An order that is carried out, and answered when its gate is opened:
  curl -d '{{\"method\":\"POST\",\"path\":\"/ocs/subscriptions\",\"steps\":[{{\"fault\":\"hold\",\"gate\":\"answers\",\
         \"commit\":true}}]}}' {base}/faults
  curl {base}/gates
  curl -X POST {base}/gates/answers/release

  Events that wait, and then come in the reverse order:
  curl -X POST {base}/webhook/hold
  curl -d '{{\"order\":\"reversed\"}}' {base}/webhook/release
"
    );
    page
}

fn list(page: &mut String, kinds: &[Kind]) {
    for kind in kinds {
        let members = match kind.members {
            [] => String::new(),
            members => format!("({})", members.join(", ")),
        };
        let _ = writeln!(page, "  {:16} {:36} {}", kind.name, members, kind.what);
    }
}
