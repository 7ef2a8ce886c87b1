//! Positions in the log: where a stream or a page starts, and whether the log
//! continues there. A database that was replaced by one with less of the log is
//! found by the event of the cursor itself.

use super::{Extent, Inner, Logged, PAGE, unavailable};
use crate::domain::event::Cursor;
use crate::domain::{Error, Result};
use crate::store;

/// Where a stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Latest,
    /// With the earliest that is kept.
    Earliest,
    /// After this cursor.
    After(Cursor),
}

/// The cursor where a stream or a page starts.
pub(super) fn resolve(start: Start, extent: Extent) -> Result<Cursor> {
    let (sequence, mark) = match start {
        Start::Latest => (extent.latest, None),
        Start::Earliest => (extent.earliest.saturating_sub(1), None),
        Start::After(cursor) if cursor.log != extent.log || cursor.sequence > extent.latest => {
            return Err(Error::EventCursorInvalid);
        }
        Start::After(cursor) if cursor.sequence + 1 < extent.earliest => {
            return Err(Error::EventCursorExpired);
        }
        Start::After(cursor) => (cursor.sequence, cursor.mark),
    };
    Ok(Cursor {
        log: extent.log,
        sequence,
        mark,
    })
}

impl Inner {
    /// Events after this cursor, the next one first. The event of the cursor
    /// itself is read with them: a database that was replaced by one with less
    /// of the log has another log under the same name.
    ///
    /// The check cannot be made where that event is no longer kept: then the
    /// cursor is at least `events.keep_for` old, and is trusted.
    pub(super) async fn read(&self, cursor: Cursor) -> Result<Vec<Logged>> {
        self.read_some(cursor, PAGE).await
    }

    /// The log continues from this cursor, and nothing after it was deleted.
    pub(super) async fn ensure_next(&self, cursor: Cursor) -> Result<()> {
        self.read_some(cursor, 1).await.map(|_| ())
    }

    async fn read_some(&self, cursor: Cursor, limit: u32) -> Result<Vec<Logged>> {
        let mut page = self.around(cursor.sequence, limit).await.map_err(unavailable)?;
        match page.first() {
            Some(own) if own.sequence == cursor.sequence => {
                if !cursor.is_after(own.mark()) {
                    return Err(Error::EventCursorInvalid);
                }
                page.remove(0);
                Ok(page)
            }
            Some(next) if next.sequence == cursor.sequence + 1 => Ok(page),
            Some(_) => Err(Error::EventCursorExpired),
            None if cursor.sequence == 0 => Ok(page),
            None => {
                let extent = self.log.extent().await.map_err(unavailable)?;
                if extent.latest < cursor.sequence {
                    return Err(Error::EventCursorInvalid);
                }
                // Everything was deleted.
                if extent.earliest > cursor.sequence + 1 {
                    return Err(Error::EventCursorExpired);
                }
                Ok(page)
            }
        }
    }

    /// The event with this number, if it is kept, and at most `limit` after it.
    pub(super) async fn around(&self, sequence: u64, limit: u32) -> store::Result<Vec<Logged>> {
        let (before, limit) = match sequence.checked_sub(1) {
            Some(before) => (before, limit + 1),
            None => (0, limit),
        };
        self.log.events_after(before, limit).await
    }

    /// The cursor with the mark of its event, where that is kept.
    ///
    /// # Errors
    /// `EVENT_CURSOR_INVALID` when it is a different event than before.
    pub(super) async fn marked(&self, cursor: Cursor) -> Result<Cursor> {
        let page = self.around(cursor.sequence, 0).await.map_err(unavailable)?;
        let own = page.first().filter(|own| own.sequence == cursor.sequence);
        let mark = own.map(Logged::mark);
        match mark {
            Some(mark) if !cursor.is_after(mark) => Err(Error::EventCursorInvalid),
            Some(_) | None => Ok(Cursor { mark, ..cursor }),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_has_to_be_one_that_the_log_can_continue_from() {
        let log = Uuid::from_u128(7);
        let extent = Extent {
            log,
            earliest: 11,
            latest: 20,
        };
        let begins = |start| resolve(start, extent).map(|cursor| cursor.sequence);
        let after = |sequence| {
            Start::After(Cursor {
                log,
                sequence,
                mark: None,
            })
        };
        assert_eq!(begins(Start::Latest), Ok(20));
        assert_eq!(begins(Start::Earliest), Ok(10));
        assert_eq!(begins(after(10)), Ok(10));
        assert_eq!(begins(after(20)), Ok(20));
        assert_eq!(begins(after(9)), Err(Error::EventCursorExpired));
        assert_eq!(begins(after(21)), Err(Error::EventCursorInvalid));
        let other = Cursor {
            log: Uuid::from_u128(8),
            sequence: 15,
            mark: None,
        };
        assert_eq!(begins(Start::After(other)), Err(Error::EventCursorInvalid));
    }
}
