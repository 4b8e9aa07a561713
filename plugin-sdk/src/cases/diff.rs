//! Two values, line by line.

use serde_json::Value;
use similar::TextDiff;

pub(super) fn of(expected: &Value, actual: &Value) -> String {
    let (expected, actual) = (format!("{expected:#}\n"), format!("{actual:#}\n"));
    TextDiff::from_lines(&expected, &actual).unified_diff().header("expected", "actual").to_string()
}
