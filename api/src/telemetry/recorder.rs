//! Who takes the metrics down: `/metrics`, and the receiver of telemetry under the same names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::layers::FanoutBuilder;
use metrics_util::registry::{Registry, Storage};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// How often the recorder of `/metrics` merges the samples that it has collected.
const UPKEEP: Duration = Duration::from_secs(5);
/// The upper bounds of the classes of durations, in seconds.
const SECONDS: [f64; 13] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// The upper bounds of the classes of batches, by their size.
const SIZES: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 10_000.0];
/// How the name of a metric of durations ends.
const OF_SECONDS: &str = "_seconds";

/// The recorder of `/metrics`: one for the whole process, even where a test starts several servers. With `sends`, the
/// receiver of telemetry is given the metrics too.
pub(crate) fn prometheus(sends: bool) -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix(OF_SECONDS.to_owned()), &SECONDS)
                .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), &SIZES))
                .map_or_else(|_| PrometheusBuilder::new().build_recorder(), PrometheusBuilder::build_recorder);
            let handle = recorder.handle();
            // Samples are merged even if nobody reads /metrics, so that they do not pile up in memory.
            let upkeep = handle.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(UPKEEP).await;
                    upkeep.run_upkeep();
                }
            });
            let installed = if sends {
                let sent = Sent(Registry::new(Instruments(opentelemetry::global::meter("hims"))));
                let both = FanoutBuilder::default().add_recorder(recorder).add_recorder(sent).build();
                metrics::set_global_recorder(both).is_ok()
            } else {
                metrics::set_global_recorder(recorder).is_ok()
            };
            if !installed {
                tracing::warn!("another metrics recorder is installed already, so /metrics stays empty");
            }
            handle
        })
        .clone()
}

/// The recorder for the receiver of telemetry.
struct Sent(Registry<Key, Instruments>);

impl Recorder for Sent {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |it| Counter::from_arc(Arc::clone(it)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |it| Gauge::from_arc(Arc::clone(it)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |it| Histogram::from_arc(Arc::clone(it)))
    }
}

/// Makes the instruments of OpenTelemetry in which metrics are taken down.
struct Instruments(Meter);

/// A metric with its labels, and the value that OpenTelemetry was told last.
struct Told<Instrument> {
    instrument: Instrument,
    labels: Vec<KeyValue>,
    last: AtomicU64,
}

impl<Instrument> Told<Instrument> {
    fn new(key: &Key, instrument: Instrument) -> Arc<Self> {
        let label = |it: &metrics::Label| KeyValue::new(it.key().to_owned(), it.value().to_owned());
        Arc::new(Self { instrument, labels: key.labels().map(label).collect(), last: AtomicU64::new(0) })
    }
}

impl Storage<Key> for Instruments {
    type Counter = Arc<Told<opentelemetry::metrics::Counter<u64>>>;
    type Gauge = Arc<Told<opentelemetry::metrics::Gauge<f64>>>;
    type Histogram = Arc<Told<opentelemetry::metrics::Histogram<f64>>>;

    fn counter(&self, key: &Key) -> Self::Counter {
        Told::new(key, self.0.u64_counter(key.name().to_owned()).build())
    }

    fn gauge(&self, key: &Key) -> Self::Gauge {
        Told::new(key, self.0.f64_gauge(key.name().to_owned()).build())
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        let bounds = if key.name().ends_with(OF_SECONDS) { SECONDS.to_vec() } else { SIZES.to_vec() };
        Told::new(key, self.0.f64_histogram(key.name().to_owned()).with_boundaries(bounds).build())
    }
}

impl CounterFn for Told<opentelemetry::metrics::Counter<u64>> {
    fn increment(&self, value: u64) {
        self.last.fetch_add(value, Ordering::Relaxed);
        self.instrument.add(value, &self.labels);
    }

    fn absolute(&self, value: u64) {
        let before = self.last.fetch_max(value, Ordering::Relaxed);
        self.instrument.add(value.saturating_sub(before), &self.labels);
    }
}

impl Told<opentelemetry::metrics::Gauge<f64>> {
    fn change(&self, change: impl Fn(f64) -> f64) {
        let changed = |bits| Some(change(f64::from_bits(bits)).to_bits());
        if let Ok(before) = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed) {
            self.instrument.record(change(f64::from_bits(before)), &self.labels);
        }
    }
}

impl GaugeFn for Told<opentelemetry::metrics::Gauge<f64>> {
    fn increment(&self, value: f64) {
        self.change(|last| last + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|last| last - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Told<opentelemetry::metrics::Histogram<f64>> {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}
