//! The framing of HTTP/1 requests, read as RFC 9112 writes it and not otherwise.

/// Where in the stream of messages the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a request line, after so many empty lines.
    Start { empty: u8 },
    /// Among the header fields.
    Fields,
    /// In a body, with so many octets to come.
    Body(u64),
    /// At the size of a chunk.
    ChunkSize,
    /// In a chunk, with so many octets to come.
    Chunk(u64),
    /// At the line end behind a chunk.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers,
    /// Behind the head of an upgrade, which waits for its answer.
    Held,
    /// In another protocol: whatever comes passes.
    Other,
}

/// What is to become of some octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// All of them pass.
    Pass,
    /// So many pass; the rest waits for the answer to an upgrade.
    Hold(usize),
    /// So many pass; they end inside a head, and what follows must not be taken for one.
    BadHead(usize),
    /// A body has no end that two readers would agree on.
    BadBody,
}

/// What the lines of a head have said.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_http10: bool,
    length: Option<u64>,
    is_chunked: bool,
    is_upgrade: bool,
    is_websocket: bool,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    head: Head,
    /// Octets of chunk extensions in this body.
    extensions: usize,
}

/// A line has a reading that is not allowed.
struct Bad;

/// Of a line at most: hyper refuses a head before, by its size.
const MAX_LINE: usize = 128 * 1024;
/// Empty lines before a request line (RFC 9112 section 2.2).
const MAX_EMPTY: u8 = 2;
/// Octets of chunk extensions in a body ([R-S3]).
const MAX_EXTENSIONS: usize = 4 * 1024;

impl Framing {
    pub(super) fn new() -> Self {
        Self { at: At::Start { empty: 0 }, line: Vec::new(), head: Head::default(), extensions: 0 }
    }

    /// Whether an upgrade waits for its answer.
    pub(super) fn is_holding(&self) -> bool {
        self.at == At::Held
    }

    /// The upgrade is answered.
    pub(super) fn answered(&mut self, switched: bool) {
        self.at = if switched { At::Other } else { At::Start { empty: 0 } };
    }

    /// Looks at the next octets of the stream.
    pub(super) fn scan(&mut self, octets: &[u8]) -> Scan {
        let mut position = 0;
        while position < octets.len() {
            let rest = &octets[position..];
            match &mut self.at {
                At::Other => return Scan::Pass,
                At::Held => return Scan::Hold(position),
                At::Body(left) | At::Chunk(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    position += taken;
                    if *left == 0 {
                        self.at = if matches!(self.at, At::Body(_)) { At::Start { empty: 0 } } else { At::ChunkEnd };
                    }
                }
                At::Start { .. } | At::Fields | At::ChunkSize | At::ChunkEnd | At::Trailers => {
                    let in_head = matches!(self.at, At::Start { .. } | At::Fields);
                    let bad = |before| if in_head { Scan::BadHead(before) } else { Scan::BadBody };
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        self.line.extend_from_slice(rest);
                        return if self.line.len() > MAX_LINE { bad(position) } else { Scan::Pass };
                    };
                    let seen = if self.line.is_empty() {
                        self.line_end(&rest[..end])
                    } else {
                        self.line.extend_from_slice(&rest[..end]);
                        let mut line = std::mem::take(&mut self.line);
                        let seen = self.line_end(&line);
                        line.clear();
                        self.line = line;
                        seen
                    };
                    if seen.is_err() {
                        return bad(position);
                    }
                    position += end + 1;
                }
            }
        }
        if self.is_holding() { Scan::Hold(position) } else { Scan::Pass }
    }

    /// Looks at a line without its LF.
    fn line_end(&mut self, line: &[u8]) -> Result<(), Bad> {
        let line = line.strip_suffix(b"\r").ok_or(Bad)?;
        if memchr::memchr2(b'\r', b'\0', line).is_some() {
            return Err(Bad);
        }
        self.at = match self.at {
            At::Start { empty } if line.is_empty() && empty < MAX_EMPTY => At::Start { empty: empty + 1 },
            At::Start { .. } => self.request_line(line)?,
            At::Fields if line.is_empty() => self.head_end()?,
            At::Fields => {
                self.field(line)?;
                At::Fields
            }
            At::ChunkSize => self.chunk_size(line)?,
            At::ChunkEnd if line.is_empty() => At::ChunkSize,
            At::Trailers if line.is_empty() => At::Start { empty: 0 },
            // What trailers say is looked at elsewhere ([R-F8]).
            At::Trailers => At::Trailers,
            _ => return Err(Bad),
        };
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<At, Bad> {
        // The preface of HTTP/2: what follows is read as frames, or refused for its version.
        if line == b"PRI * HTTP/2.0" {
            return Ok(At::Other);
        }
        // hyper cuts a fragment off before anyone sees it ([R-T3]).
        if memchr::memchr(b'#', line).is_some() {
            return Err(Bad);
        }
        self.head = Head { is_http10: line.ends_with(b" HTTP/1.0"), ..Head::default() };
        self.extensions = 0;
        if self.head.is_http10 || line.ends_with(b" HTTP/1.1") { Ok(At::Fields) } else { Err(Bad) }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Bad> {
        let colon = memchr::memchr(b':', line).ok_or(Bad)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // A line that goes on with the one before, and a name with a space at its end.
        if name.first().is_none_or(u8::is_ascii_whitespace) || name.last().is_none_or(u8::is_ascii_whitespace) {
            return Err(Bad);
        }
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.head.length.is_some() {
                    return Err(Bad);
                }
                self.head.length = Some(decimal(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.head.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Bad);
                }
                self.head.is_chunked = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.head.is_upgrade = true;
                self.head.is_websocket |=
                    value.split(|&octet| octet == b',').any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
        Ok(())
    }

    fn head_end(&self) -> Result<At, Bad> {
        let Head { is_http10, length, is_chunked, is_upgrade, is_websocket } = self.head;
        match (is_chunked, length.unwrap_or(0)) {
            (true, _) if length.is_some() || is_http10 || is_websocket => Err(Bad),
            (true, _) => Ok(At::ChunkSize),
            (false, 0) if is_upgrade => Ok(At::Held),
            (false, 0) => Ok(At::Start { empty: 0 }),
            (false, _) if is_websocket => Err(Bad),
            (false, length) => Ok(At::Body(length)),
        }
    }

    /// `1*HEXDIG [ ";" extension ]`, of sixteen digits at most.
    fn chunk_size(&mut self, line: &[u8]) -> Result<At, Bad> {
        let end = line.iter().position(|octet| !octet.is_ascii_hexdigit()).unwrap_or(line.len());
        let (digits, extension) = line.split_at(end);
        self.extensions += extension.len();
        let is_extension = extension.is_empty() || matches!(extension.trim_ascii_start().first(), Some(b';'));
        let has_control = extension.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t');
        if digits.len() > 16 || !is_extension || has_control || self.extensions > MAX_EXTENSIONS {
            return Err(Bad);
        }
        let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(Bad)?;
        Ok(if size == 0 { At::Trailers } else { At::Chunk(size) })
    }
}

/// `1*DIGIT` ([R-S2]).
fn decimal(value: &[u8]) -> Result<u64, Bad> {
    let text = std::str::from_utf8(value).map_err(|_| Bad)?;
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Bad);
    }
    text.parse().map_err(|_| Bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a stream that is cut at these places: how much passes, and how it ends.
    fn scan(octets: &[u8], cuts: &[usize]) -> (usize, Scan) {
        let (mut framing, mut passed, mut from) = (Framing::new(), 0, 0);
        for to in cuts.iter().copied().chain([octets.len()]) {
            match framing.scan(&octets[from..to]) {
                Scan::Pass => passed += to - from,
                Scan::Hold(n) => return (passed + n, Scan::Hold(0)),
                Scan::BadHead(n) => return (passed + n, Scan::BadHead(0)),
                Scan::BadBody => return (0, Scan::BadBody),
            }
            from = to;
        }
        (passed, Scan::Pass)
    }

    const STREAMS: &[(&str, Scan)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", Scan::Pass),
        ("\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.0\r\n\r\n", Scan::Pass),
        ("POST / HTTP/1.1\r\ntransfer-encoding:\tChunked \r\n\r\n5;a=b\r\nhe\nlo\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n", Scan::Pass),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n\0\r\r", Scan::Pass),
        ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", Scan::Hold(0)),
        ("GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\nGET /x HTTP/1.1\r\n\r\n", Scan::Hold(0)),
        ("POST / HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx", Scan::Pass),
        ("POST / HTTP/1.1\r\nUpgrade: foo, WebSocket\r\nContent-Length: 1\r\n\r\nx", Scan::BadHead(0)),
        ("POST / HTTP/1.1\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n", Scan::BadHead(0)),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Scan::BadHead(0)),
        ("GET /#a HTTP/1.1\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.2\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", Scan::BadHead(0)),
        ("GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", Scan::BadHead(0)),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", Scan::BadHead(0)),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Scan::BadHead(0)),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Scan::BadHead(0)),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Scan::BadHead(0)),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", Scan::BadBody),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", Scan::BadBody),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\n", Scan::BadBody),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;\u{1}\r\nhello\r\n0\r\n\r\n", Scan::BadBody),
    ];

    /// However the octets arrive, the reading is the same: cut at every place, and octet by octet.
    #[test]
    fn every_stream_has_one_reading() {
        for (stream, expected) in STREAMS {
            let octets = stream.as_bytes();
            let whole = scan(octets, &[]);
            assert_eq!(whole.1, *expected, "{stream:?}");
            assert!(*expected != Scan::Pass || whole.0 == octets.len(), "{stream:?}");
            let each: Vec<usize> = (1..octets.len()).collect();
            let slowly = scan(octets, &each);
            assert_eq!(slowly.1, *expected, "{stream:?}");
            for cut in each {
                let (passed, end) = scan(octets, &[cut]);
                assert_eq!(end, *expected, "{stream:?} at {cut}");
                // A bad head may pass up to the line that makes it bad; a held one passes as a whole.
                assert!(*expected == Scan::BadHead(0) || passed == whole.0, "{stream:?} at {cut}: {passed}");
            }
        }
    }

    #[test]
    fn long_lines_and_long_extensions_end() {
        assert_eq!(scan(&[b'a'; MAX_LINE + 1], &[]).1, Scan::BadHead(0));
        let chunk = format!("1;{}\r\nx\r\n", "a".repeat(MAX_EXTENSIONS / 2));
        let body = |chunks: usize| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(chunks));
        assert_eq!(scan(body(1).as_bytes(), &[]).1, Scan::Pass);
        assert_eq!(scan(body(2).as_bytes(), &[]).1, Scan::BadBody);
        // Of one body, not of all on a connection.
        assert_eq!(scan(body(1).repeat(3).as_bytes(), &[]).1, Scan::Pass);
    }
}
