//! Header fields of any shape as octets, and back.
//!
//! Text is Latin-1, as it is in every Python library that has header fields as text (PEP 3333): a code point is an octet.

use http::{HeaderMap, HeaderName, HeaderValue};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use crate::dict;
use crate::reads::Reads;

/// Field lines at most: who sends more is not understood, and an endless generator comes to an end. A map of the `http` crate
/// panics beyond 24,576 names, so that edits have room, too.
const MOST: usize = 16_384;

type Line<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);
/// Names and values, as octets.
pub(crate) type Octets<'a> = [(&'a [u8], &'a [u8])];

/// The field lines of a call, kept alive while they are looked at.
pub(crate) struct Lines<'py, 'r> {
    lines: SmallVec<[Line<'py>; 16]>,
    /// The lines that count; `None` if all do.
    reads: Option<&'r Reads>,
    seen: usize,
}

impl<'py, 'r> Lines<'py, 'r> {
    /// Reads the lines that `reads` counts, or all: of a mapping, of pairs, or of whatever has `multi_items()` or `items()`.
    ///
    /// # Errors
    ///
    /// `TypeError` for what has no lines, `ValueError` for names that are no token (RFC 9110 section 5.1).
    #[inline]
    pub(crate) fn read(headers: Option<&Bound<'py, PyAny>>, reads: Option<&'r Reads>) -> PyResult<Self> {
        let mut lines = Self { lines: SmallVec::new(), reads, seen: 0 };
        match headers {
            None => {}
            Some(headers) => {
                if let Ok(dict) = headers.cast_exact::<PyDict>() {
                    dict::pick(dict, reads, |name, value| lines.keep(name, value))?;
                } else if let Ok(list) = headers.cast::<PyList>() {
                    for line in list.iter() {
                        lines.push_pair(&line)?;
                    }
                } else if headers.is_instance_of::<PyString>() || headers.is_instance_of::<PyBytes>() {
                    return Err(PyTypeError::new_err("headers are a mapping or pairs of name and value, not one text"));
                } else {
                    lines.read_other(headers)?;
                }
            }
        }
        Ok(lines)
    }

    /// Other people's classes: those with repeated names have `multi_items` (Starlette, httpx) or tell them by `items`
    /// (aiohttp, werkzeug).
    fn read_other(&mut self, headers: &Bound<'py, PyAny>) -> PyResult<()> {
        let by = |method: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
            headers.getattr_opt(method)?.filter(Bound::is_callable).map(|method| method.call0()).transpose()
        };
        let pairs = match by("multi_items")? {
            Some(pairs) => pairs,
            None => by("items")?.unwrap_or_else(|| headers.clone()),
        };
        let pairs = pairs
            .try_iter()
            .map_err(|_| PyTypeError::new_err(format!("headers are a mapping or pairs of name and value, not {}", type_name(headers))))?;
        for pair in pairs {
            self.push_pair(&pair?)?;
        }
        Ok(())
    }

    fn push_pair(&mut self, pair: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(pair) = pair.cast::<PyTuple>()
            && pair.len() == 2
        {
            return self.push(pair.get_item(0)?, pair.get_item(1)?);
        }
        if let Ok(pair) = pair.cast::<PyList>()
            && pair.len() == 2
        {
            return self.push(pair.get_item(0)?, pair.get_item(1)?);
        }
        Err(PyTypeError::new_err(format!("a header field is a pair of name and value, not {}", type_name(pair))))
    }

    fn push(&mut self, name: Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
        self.seen += 1;
        if self.seen > MOST {
            return Err(PyValueError::new_err(format!("more than {MOST} header fields")));
        }
        if let (Some(reads), Some(octets)) = (self.reads, ascii(&name)?)
            && !counts(reads, octets)?
        {
            return Ok(());
        }
        self.keep(name, value)
    }

    /// A value that is a list stands for several lines.
    fn keep(&mut self, name: Bound<'py, PyAny>, value: Bound<'py, PyAny>) -> PyResult<()> {
        let values = value.cast::<PyList>();
        let more = values.as_ref().map_or(1, |values| values.len());
        if self.lines.len() + more > MOST {
            return Err(PyValueError::new_err(format!("more than {MOST} header fields")));
        }
        match values {
            Ok(values) => self.lines.extend(values.iter().map(|value| (name.clone(), value))),
            Err(_) => self.lines.push((name, value)),
        }
        Ok(())
    }

    /// Whether the caller's texts are `bytes`.
    pub(crate) fn are_bytes(&self) -> bool {
        self.lines.first().is_some_and(|(name, _)| name.is_instance_of::<PyBytes>())
    }

    /// Does something with the octets.
    ///
    /// # Errors
    ///
    /// `TypeError` for what is no text, `ValueError` for what no field can have (RFC 9110 sections 5.1 and 5.5).
    pub(crate) fn with<R>(&self, then: impl FnOnce(&Octets<'_>) -> PyResult<R>) -> PyResult<R> {
        let mut octets: SmallVec<[(&[u8], &[u8]); 16]> = SmallVec::new();
        for (name, value) in &self.lines {
            match (ascii(name)?, ascii(value)?) {
                (Some(name), Some(value)) => octets.push((name, value)),
                _ => return self.with_latin1(then),
            }
        }
        check(&octets)?;
        then(&octets)
    }

    /// The same for text with other octets than those of ASCII.
    fn with_latin1<R>(&self, then: impl FnOnce(&Octets<'_>) -> PyResult<R>) -> PyResult<R> {
        let owned = self.lines.iter().map(|(name, value)| Ok((latin1(name)?, latin1(value)?))).collect::<PyResult<Vec<_>>>()?;
        let octets: Vec<(&[u8], &[u8])> = owned.iter().map(|(name, value)| (&**name, &**value)).collect();
        check(&octets)?;
        then(&octets)
    }

    /// The fields as a map of the `http` crate.
    pub(crate) fn map(&self) -> PyResult<HeaderMap> {
        self.with(|octets| {
            if octets.len() > MOST {
                return Err(PyValueError::new_err(format!("more than {MOST} header fields")));
            }
            let mut map = HeaderMap::with_capacity(octets.len());
            for (name, value) in octets {
                // Both were checked; a name of more than 64 KiB is still too long for the crate.
                let name = HeaderName::from_bytes(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
                let value = HeaderValue::from_bytes(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
                map.try_append(name, value).map_err(|error| PyValueError::new_err(error.to_string()))?;
            }
            Ok(map)
        })
    }
}

/// Fields as a list of pairs, of `bytes` or of text.
pub(crate) fn pairs<'py>(py: Python<'py>, map: &HeaderMap, bytes: bool) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (name, value) in map {
        if bytes {
            list.append((PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes())))?;
        } else {
            list.append((name.as_str(), text(value)))?;
        }
    }
    Ok(list)
}

/// A value as text.
pub(crate) fn text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

/// The octets of `bytes`, or of text if all of it is ASCII.
#[inline]
fn ascii<'a>(text: &'a Bound<'_, PyAny>) -> PyResult<Option<&'a [u8]>> {
    if let Ok(text) = text.cast::<PyString>() {
        let Ok(text) = text.to_str() else { return Ok(None) };
        return Ok(text.is_ascii().then_some(text.as_bytes()));
    }
    match text.cast::<PyBytes>() {
        Ok(bytes) => Ok(Some(bytes.as_bytes())),
        Err(_) => Err(no_text(text)),
    }
}

fn latin1(text: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let Ok(text) = text.cast::<PyString>() else {
        return text.cast::<PyBytes>().map(|bytes| bytes.as_bytes().to_vec()).map_err(|_| no_text(text));
    };
    let beyond = "text of header fields is Latin-1: a character beyond U+00FF is no octet (pass bytes)";
    let text = text.to_str().map_err(|_| PyValueError::new_err(beyond))?;
    text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| PyValueError::new_err(beyond))).collect()
}

#[cold]
fn no_text(found: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("names and values of header fields are str or bytes, not {}", type_name(found)))
}

fn type_name(of: &Bound<'_, PyAny>) -> String {
    of.get_type().name().map(|name| name.to_string()).unwrap_or_default()
}

/// Names are tokens; values have no control characters but the tab.
fn check(octets: &Octets<'_>) -> PyResult<()> {
    match octets.iter().find(|(name, value)| !is_token(name) || !is_value(value)) {
        None => Ok(()),
        Some((name, _)) if !is_token(name) => Err(refused(name, "is no token (RFC 9110 section 5.1)")),
        Some((name, _)) => Err(refused(name, "has a value with control characters (RFC 9110 section 5.5)")),
    }
}

#[cold]
fn refused(name: &[u8], why: &str) -> PyErr {
    let shown: String = String::from_utf8_lossy(name).chars().take(64).flat_map(char::escape_debug).collect();
    PyValueError::new_err(format!("header field `{shown}` {why}"))
}

/// Whether a line counts; a name that is no token is refused in any case.
#[inline]
pub(crate) fn counts(reads: &Reads, name: impl AsRef<[u8]>) -> PyResult<bool> {
    let name = name.as_ref();
    if is_token(name) { Ok(reads.counts(name)) } else { Err(refused(name, "is no token (RFC 9110 section 5.1)")) }
}

/// Which octets a token has.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 128 {
        table[octet] = (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut n = 0;
    while n < marks.len() {
        table[marks[n] as usize] = true;
        n += 1;
    }
    table
};

#[inline]
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().fold(true, |token, octet| token & TOKEN[usize::from(*octet)])
}

/// Without a way out in the middle, so that many octets are looked at at a time.
#[inline]
fn is_value(value: &[u8]) -> bool {
    value.iter().fold(true, |fine, octet| fine & ((*octet >= b' ' && *octet != 0x7f) || *octet == b'\t'))
}
