//! What differs, as sentences.

use std::fmt::Debug;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Collects what differs.
#[derive(Debug, Default)]
pub struct Differences(pub Vec<String>);

impl Differences {
    /// Compares two values.
    pub fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
        if got != wanted {
            self.0.push(format!("{what} is {got:?}, expected {wanted:?}"));
        }
    }

    /// Compares field lines, joined by a comma, with the wanted value.
    pub fn field(&mut self, what: &str, headers: &HeaderMap, name: &str, wanted: Option<&str>) {
        let lines: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let got = (!lines.is_empty()).then(|| lines.join(","));
        self.equal(&format!("{what} `{name}`"), got.as_deref(), wanted);
    }

    /// Compares a duration with its text; `none` is none.
    ///
    /// # Errors
    ///
    /// The text is not a duration.
    pub fn duration(&mut self, what: &str, got: Option<Duration>, wanted: &str) -> Result<(), String> {
        let wanted = if wanted == "none" { None } else { Some(duration(wanted)?) };
        self.equal(what, got, wanted);
        Ok(())
    }
}

/// One number with one unit is enough for expectations.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration"))?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{text}` is not a duration")),
    };
    Ok(Duration::from_millis(number * millis))
}

/// A list of field lines as a map.
///
/// # Errors
///
/// A name or value that no field may have.
pub(crate) fn fields(list: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("`{name}`: {error}"))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|error| format!("`{value}`: {error}"))?);
    }
    Ok(headers)
}
