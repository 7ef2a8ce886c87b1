//! `[orders]` and `[operations]`: how the outcome of a write is found out.

use std::time::Duration;

use super::reader::{MILLISECOND, Reader, SECOND};

/// Buying, and finding out what was bought.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Bound on one send of an order.
    pub send_timeout: Duration,
    /// A process that has not settled an order by then counts as dead.
    pub lease: Duration,
    /// First look at what became of an order.
    pub reconcile_after: Duration,
    /// Longest time between two looks.
    pub reconcile_at_most: Duration,
    /// A subscription that has not shown by then was not bought.
    pub settle_window: Duration,
    /// An operator is called when nothing can be found out for so long.
    pub escalate_after: Duration,
    /// How long settled orders are kept.
    pub keep_for: Duration,
    /// First look at a change of a SIM that was accepted.
    pub poll_after: Duration,
    /// From then on it is not taken for being carried out any more.
    pub give_up_after: Duration,
}

impl Orders {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let orders = Self {
            send_timeout: reader.duration("orders.send_timeout", MILLISECOND),
            // Below it a slow commit would look like a process that has died.
            lease: reader.duration("orders.lease", SECOND),
            reconcile_after: reader.duration("orders.reconcile_after", MILLISECOND),
            reconcile_at_most: reader.duration("orders.reconcile_at_most", MILLISECOND),
            settle_window: reader.duration("orders.settle_window", SHORTEST_WINDOW),
            escalate_after: reader.duration("orders.escalate_after", SHORTEST_WINDOW),
            keep_for: reader.duration("orders.keep_for", LEAST_KEPT),
            poll_after: reader.duration("operations.poll_after", MILLISECOND),
            give_up_after: reader.duration("operations.give_up_after", MILLISECOND),
        };
        if orders.reconcile_at_most < orders.reconcile_after {
            reader.problem(
                "orders.reconcile_at_most",
                "is shorter than orders.reconcile_after",
            );
        }
        if orders.settle_window < orders.reconcile_after * 2 {
            let text = "is shorter than twice orders.reconcile_after: an order has to be looked for at least \
                        twice before it is taken for not placed";
            reader.problem("orders.settle_window", text);
        }
        if orders.escalate_after < orders.settle_window {
            reader.problem("orders.escalate_after", "is shorter than orders.settle_window");
        }
        orders
    }
}

/// No provider shows what it did sooner; far below what is sensible, so that
/// tests can be quick.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);

/// A `request_id` protects as long as its order is kept.
const LEAST_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
