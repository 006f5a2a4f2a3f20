//! What was measured, for people and for machines.

use serde::Serialize;

/// Which figures are asked for.
pub(crate) struct Report(Vec<String>);

/// A figure.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Figure<'a> {
    /// What was measured.
    pub(crate) bench: &'a str,
    /// The part of the measurement that the figure is about; `None` if the measurement has one figure only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<&'a str>,
    /// The figure itself.
    pub(crate) rate: f64,
    /// The unit of the figure, such as `per second`.
    pub(crate) unit: &'static str,
    /// The median, where the rate is another percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) median: Option<f64>,
    /// The same of what it is compared with; `None` where the target is a rate of its own.
    pub(crate) floor: Option<f64>,
    /// The rate over the floor.
    pub(crate) ratio: Option<f64>,
    /// What the ratio, or the rate where there is no floor, should be.
    pub(crate) target: f64,
}

/// Whether a figure should be at least or at most its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

impl Report {
    /// The figures with these names; all when there are none.
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether any of these is asked for.
    pub(crate) fn wants(&self, names: &[&str]) -> bool {
        self.0.is_empty() || names.iter().any(|it| self.0.iter().any(|name| name == it))
    }

    /// Writes a figure that is asked for: a line for people, and a line of JSON.
    pub(crate) fn write(&self, figure: Figure, better: Better) -> Result<(), serde_json::Error> {
        let Figure { bench, part, rate, unit, median, floor, ratio, target } = figure;
        if !self.wants(&[bench]) {
            return Ok(());
        }
        let reached = ratio.unwrap_or(rate);
        let met = if better == Better::More { reached >= target } else { reached <= target };
        let verdict = if met { "reached" } else { "MISSED" };
        let bound = if better == Better::More { "at least" } else { "at most" };
        let name = part.map_or_else(|| bench.to_owned(), |it| format!("{bench:<20} {it:<45}"));
        let median = median.map_or_else(String::new, |it| format!(" ({} at the median)", number(it)));
        let floor = floor
            .zip(ratio)
            .map_or_else(String::new, |(floor, ratio)| format!(" over {:>8} {unit} = {ratio:>5.2}", number(floor)));
        println!("{name:<20} {:>10} {unit}{median}{floor}   {bound} {target}: {verdict}", number(rate));
        println!("{}", serde_json::to_string(&figure)?);
        Ok(())
    }
}

/// A number with the decimals that matter.
fn number(of: f64) -> String {
    if of < 1_000.0 { format!("{of:.2}") } else { format!("{of:.0}") }
}
