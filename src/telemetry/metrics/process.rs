//! What the process uses, under the names that Prometheus gives it everywhere.
//!
//! Own code: the collector of the `prometheus` crate adds crates for a few files
//! of text, and what it shows is not pushed. Linux only, as the image; elsewhere
//! nothing is shown. Each value is read when it is asked for.

use std::fs;

use opentelemetry::metrics::Meter;

/// Units of time in `/proc`: `USER_HZ`, which is 100 on every architecture that the
/// image is built for.
const TICKS_A_SECOND: f64 = 100.0;

/// Shows everything that can be read here.
pub(super) fn show(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("Processor time that the process has used, user and system")
        .with_callback(|observer| {
            let used = Stat::read().and_then(|stat| Some(stat.ticks(USER)? + stat.ticks(SYSTEM)?));
            used.into_iter().for_each(|used| observer.observe(used, &[]));
        })
        .build();
    meter
        .f64_observable_gauge("process.start_time")
        .with_unit("s")
        .with_description("When the process began, in seconds since 1970")
        .with_callback(|observer| {
            let began = booted_at().zip(Stat::read().and_then(|stat| stat.ticks(BEGAN)));
            began
                .into_iter()
                .for_each(|(booted, since)| observer.observe(booted + since, &[]));
        })
        .build();
    gauge(
        meter,
        "process.resident_memory",
        "By",
        "Memory of the process that is resident",
        resident,
    );
    gauge(meter, "process.threads", "", "Threads of the process", || {
        Stat::read()?.number(THREADS)
    });
    gauge(
        meter,
        "process.open_fds",
        "",
        "File descriptors that are open",
        open_descriptors,
    );
    gauge(
        meter,
        "process.max_fds",
        "",
        "File descriptors that may be open",
        || rlimit::Resource::NOFILE.get_soft().ok(),
    );
}

fn gauge(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    read: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    meter
        .u64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |observer| {
            read().into_iter().for_each(|value| observer.observe(value, &[]));
        })
        .build();
}

/// Fields of `/proc/self/stat` behind the name, which may hold blanks; the first of
/// them is the third in proc(5).
struct Stat(String);

const USER: usize = 14;
const SYSTEM: usize = 15;
const THREADS: usize = 20;
const BEGAN: usize = 22;

impl Stat {
    fn read() -> Option<Self> {
        fs::read_to_string("/proc/self/stat").ok().map(Self)
    }

    /// The field of this number in proc(5).
    fn number(&self, field: usize) -> Option<u64> {
        let (_, fields) = self.0.rsplit_once(") ")?;
        fields.split(' ').nth(field.checked_sub(3)?)?.trim().parse().ok()
    }

    /// A field that is a time, in seconds.
    fn ticks(&self, field: usize) -> Option<f64> {
        self.number(field).map(|ticks| ticks as f64 / TICKS_A_SECOND)
    }
}

/// When the machine was booted, in seconds since 1970.
fn booted_at() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn open_descriptors() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // The folder itself was open meanwhile.
    u64::try_from(open).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_a_name_with_blanks() {
        let fields: Vec<String> = (4..=52).map(|field| (field * 10).to_string()).collect();
        let stat = Stat(format!("77 (a ) b) S {}\n", fields.join(" ")));
        assert_eq!(stat.number(USER), Some(140));
        assert_eq!(stat.number(THREADS), Some(200));
        assert_eq!(stat.ticks(BEGAN), Some(2.2));
        assert_eq!(stat.number(60), None);
        assert_eq!(Stat(String::new()).number(USER), None);
    }
}
