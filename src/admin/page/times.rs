//! Times as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// How long something lasts, in its two largest units.
pub fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => two(minutes, "min", if minutes < 10 { seconds % 60 } else { 0 }, "s"),
        (0, hours, _) => two(hours, "h", minutes % 60, "min"),
        (days, ..) => two(days, "d", hours % 24, "h"),
    }
}

/// How long ago something was; nothing lies in the future.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    lasting(now.duration_since(then).try_into().unwrap_or_default())
}

/// A moment, to the second.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The time of a day.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (900, "15 min"),
            (901, "15 min"),
            (3_600, "1 h"),
            (7_500, "2 h 5 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), text);
        }
        let then = Timestamp::from_second(1_000_000_000).unwrap();
        assert_eq!(age(then, then - Duration::from_secs(5)), "0 s");
        assert_eq!(moment(then), "2001-09-09 01:46:40 UTC");
        assert_eq!(clock(then), "01:46:40");
    }
}
