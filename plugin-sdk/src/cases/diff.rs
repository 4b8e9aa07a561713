//! Two values, line by line.

use super::layout;
use serde_json::Value;
use similar::TextDiff;

pub fn of(expected: &Value, actual: &Value) -> String {
    let (expected, actual) = (layout::text(expected), layout::text(actual));
    TextDiff::from_lines(&expected, &actual).unified_diff().header("expected", "actual").to_string()
}
