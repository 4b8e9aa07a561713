//! Results for people and for programs.

use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What one benchmark found.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What was done, and how the numbers are to be read.
    pub(crate) note: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) targets: Vec<Target>,
    /// The share of the machine that other programs used before or after, whichever was more.
    pub(crate) others: f64,
}

/// Above this share, the numbers say more about the other programs.
const QUIET: f64 = 0.1;

/// A promise and what became of it.
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) measured: f64,
    pub(crate) limit: f64,
    pub(crate) unit: &'static str,
}

impl Target {
    fn is_met(&self) -> bool {
        self.measured <= self.limit
    }
}

impl Section {
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n{}\n\n", self.title, self.note);
        let _ = writeln!(out, "| {} |\n|{}", self.columns.join(" | "), "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        out.push('\n');
        if self.others > QUIET {
            let _ = writeln!(
                out,
                "**Not to be trusted: other programs used {:.0} % of the machine.**\n",
                self.others * 100.0
            );
        }
        for Target { what, measured, limit, unit } in &self.targets {
            let verdict = if *measured <= *limit { "met" } else { "**missed**" };
            let _ = writeln!(out, "* {what}: {measured:.2}{unit}, target ≤ {limit}{unit}: {verdict}");
        }
        if !self.targets.is_empty() {
            out.push('\n');
        }
        out
    }

    pub(crate) fn json(&self) -> Value {
        let targets = self.targets.iter().map(|target| {
            json!({
                "what": target.what,
                "measured": target.measured,
                "limit": target.limit,
                "unit": target.unit.trim(),
                "met": target.is_met(),
            })
        });
        json!({
            "name": self.name,
            "columns": self.columns,
            "rows": self.rows.iter().map(|row| row.iter().map(|cell| number_or_text(cell)).collect()).collect::<Vec<Value>>(),
            "targets": targets.collect::<Vec<_>>(),
            "used_by_others": self.others,
        })
    }
}

fn number_or_text(cell: &str) -> Value {
    match cell.trim_end_matches(" %").parse::<f64>() {
        Ok(number) => number.into(),
        Err(_) => cell.into(),
    }
}

/// The value that the share `rank` of the values does not exceed; 0 where there are none.
pub(crate) fn percentile<T: Copy + PartialOrd + Default>(values: &[T], rank: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    let at = (sorted.len() as f64 * rank) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) fn median<T: Copy + PartialOrd + Default>(values: &[T]) -> T {
    percentile(values, 0.5)
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
