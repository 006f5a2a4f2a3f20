//! What was measured, for people and for machines.

use serde::Serialize;

/// Which figures are asked for.
pub(crate) struct Report(Vec<String>);

/// A figure.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) bench: &'static str,
    /// How much.
    pub(crate) rate: f64,
    /// Of what.
    pub(crate) unit: &'static str,
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
        let Figure { bench, rate, unit, floor, ratio, target } = figure;
        if !self.wants(&[bench]) {
            return Ok(());
        }
        let reached = ratio.unwrap_or(rate);
        let met = if better == Better::More { reached >= target } else { reached <= target };
        let verdict = if met { "reached" } else { "MISSED" };
        let bound = if better == Better::More { "at least" } else { "at most" };
        match (floor, ratio) {
            (Some(floor), Some(ratio)) => println!(
                "{bench:<20} {rate:>10.0} {unit} over {floor:>8.0} {unit} = {ratio:>5.2}   {bound} {target}: {verdict}"
            ),
            _ => println!("{bench:<20} {rate:>10.1} {unit}   {bound} {target}: {verdict}"),
        }
        println!("{}", serde_json::to_string(&figure)?);
        Ok(())
    }
}
