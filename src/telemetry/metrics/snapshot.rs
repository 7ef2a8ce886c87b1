//! The metrics at one moment, for those who read single values.

use prometheus::proto::{Metric, MetricFamily};

/// All metrics at one moment, by the names that Prometheus has for them.
pub struct Snapshot(Vec<MetricFamily>);

/// One series of a metric.
pub struct Series<'a>(&'a Metric);

impl Snapshot {
    pub(super) fn new(families: Vec<MetricFamily>) -> Self {
        Self(families)
    }

    /// The series of a metric; none while it shows nothing.
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Series<'a>> {
        let families = self.0.iter().filter(move |family| family.name() == name);
        families.flat_map(|family| family.get_metric().iter().map(Series))
    }

    /// The sum of the series of a metric with this label; `None` when there are
    /// none.
    pub fn labelled(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let series = self.series(name);
        sum(series.filter(|series| series.label(label) == Some(value)))
    }

    /// The sum of all series of a metric; `None` when there are none.
    pub fn value(&self, name: &str) -> Option<f64> {
        sum(self.series(name))
    }
}

fn sum<'a>(series: impl Iterator<Item = Series<'a>>) -> Option<f64> {
    series
        .map(|series| series.value())
        .reduce(|sum, value| sum + value)
}

impl<'a> Series<'a> {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        let labels = self.0.get_label();
        labels
            .iter()
            .find(|label| label.name() == name)
            .map(|label| label.value())
    }

    /// The value of a gauge or a counter; of a histogram how much was measured.
    pub fn value(&self) -> f64 {
        let metric = self.0;
        // Only one of them is set.
        metric.get_gauge().get_value()
            + metric.get_counter().get_value()
            + metric.get_histogram().get_sample_count() as f64
    }
}
