//! How a backend is talked to: timeouts, retries, retry budgets, sessions ([TO-1], [RT-1], [BT-2], [SP-1]).

use std::time::Duration;

use http::{Uri, uri};

use super::findings::{Findings, Invalid};
use crate::decision::Timeouts;
use crate::diagnostic::Code;
use crate::model::retry::Retry;
use crate::model::retry_budget::RetryBudget;
use crate::model::session::{SessionCarrier, SessionPersistence, generated_name};
use crate::model::time::parse_duration;
use crate::resource::http_route::{HttpRouteRetry, HttpRouteTimeouts};
use crate::resource::policy::RetryConstraint;
use crate::resource::session::{self, CookieLifetimeType, SessionPersistenceType};

fn duration(text: Option<&str>, at: &str) -> Result<Option<Duration>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    parse_duration(text).map(Some).ok_or_else(|| {
        let message =
            format!("`{}` is not a duration, expected up to four parts such as `1h30m` or `500ms` (GEP-2257)", text.escape_debug());
        Invalid::value(Code::InvalidValue, at, message)
    })
}

/// Zero switches a timeout off ([TO-3]); an attempt cannot outlast the request ([TO-4]).
pub(crate) fn timeouts(field: Option<&HttpRouteTimeouts>, path: &str) -> Result<Timeouts, Invalid> {
    let Some(field) = field else { return Ok(Timeouts::default()) };
    let set = |text: Option<&str>, member: &str| Ok(duration(text, &format!("{path}.{member}"))?.filter(|d| !d.is_zero()));
    let request = set(field.request.as_deref(), "request")?;
    let backend_request = set(field.backend_request.as_deref(), "backendRequest")?;
    if request.zip(backend_request).is_some_and(|(request, backend)| backend > request) {
        return Err(Invalid::value(Code::InvalidCombination, path, "backendRequest timeout cannot be longer than request timeout"));
    }
    Ok(Timeouts { request, backend_request })
}

pub(crate) fn retry(field: &HttpRouteRetry, path: &str) -> Result<Retry, Invalid> {
    let mut codes = Vec::with_capacity(field.codes.len());
    for (n, code) in field.codes.iter().enumerate() {
        let at = format!("{path}.codes[{n}]");
        match u16::try_from(*code).ok().filter(|code| (400..=599).contains(code)) {
            None => return Err(Invalid::value(Code::InvalidValue, at, format!("status code {code} is not from 400 to 599"))),
            Some(code) if codes.contains(&code) => {
                return Err(Invalid::value(Code::InvalidValue, at, format!("status code {code} is listed twice")));
            }
            Some(code) => codes.push(code),
        }
    }
    let attempts = field.attempts.unwrap_or(1);
    let Some(attempts) = u32::try_from(attempts).ok().filter(|attempts| *attempts > 0) else {
        return Err(Invalid::value(Code::InvalidValue, format!("{path}.attempts"), format!("{attempts} attempts are less than 1")));
    };
    Ok(Retry { attempts, codes: codes.into(), backoff: duration(field.backoff.as_deref(), &format!("{path}.backoff"))? })
}

/// `retryConstraint` of an XBackendTrafficPolicy; what is absent has its default ([R-5]).
pub(crate) fn retry_budget(field: &RetryConstraint, path: &str) -> Result<RetryBudget, Invalid> {
    let invalid = |at: &str, message: String| Invalid::value(Code::InvalidValue, format!("{path}.{at}"), message);
    let hour = Duration::from_secs(3600);
    let (default, budget) = (RetryBudget::default(), field.budget.clone().unwrap_or_default());
    let percent = budget.percent.unwrap_or(i32::from(default.percent));
    let percent = u8::try_from(percent)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| invalid("budget.percent", format!("{percent} percent is not from 0 to 100")))?;
    let at = format!("{path}.budget.interval");
    let interval = duration(budget.interval.as_deref(), &at)?.unwrap_or(default.interval);
    if interval > hour || interval < Duration::from_secs(1) {
        return Err(invalid("budget.interval", "interval cannot be greater than one hour or less than one second".to_owned()));
    }
    let rate = field.min_retry_rate.clone().unwrap_or_default();
    let min_count = match rate.count {
        None => default.min_count,
        Some(count) => u32::try_from(count)
            .ok()
            .filter(|count| (1..=1_000_000).contains(count))
            .ok_or_else(|| invalid("minRetryRate.count", format!("{count} retries is not from 1 to 1000000")))?,
    };
    let at = format!("{path}.minRetryRate.interval");
    let min_interval = duration(rate.interval.as_deref(), &at)?.unwrap_or(default.min_interval);
    if min_interval > hour || min_interval.is_zero() {
        return Err(invalid("minRetryRate.interval", "interval cannot be greater than one hour, nor zero".to_owned()));
    }
    Ok(RetryBudget { percent, interval, min_count, min_interval })
}

/// `sessionPersistence`, in the shape of v1.6.1 and of the release after it ([R-12]). `owner` names whose it is, for
/// a cookie without a name.
pub(crate) fn session(
    field: &session::SessionPersistence,
    path: &str,
    owner: &[&str],
    findings: &mut Findings,
) -> Result<SessionPersistence, Invalid> {
    if field.idle_timeout.is_some() {
        findings.warning(
            Code::UnsupportedValue,
            format!("{path}.idleTimeout"),
            "idleTimeout was removed in Gateway API v1.6 and is ignored",
        );
    }
    let (cookie, of_cookies) = match (&field.cookie, &field.cookie_config) {
        (None, config) => (config.as_ref(), "cookieConfig can only be set with type Cookie"),
        (cookie, _) => (cookie.as_ref(), "cookie must be nil if type is not Cookie"),
    };
    if cookie.is_some() && field.type_ == Some(SessionPersistenceType::Header) {
        return Err(Invalid::value(Code::InvalidCombination, path, of_cookies));
    }
    let (carrier, name) = match &field.type_ {
        None | Some(SessionPersistenceType::Cookie) => (SessionCarrier::Cookie, field.cookie.as_ref().and_then(|c| c.name.as_deref())),
        Some(SessionPersistenceType::Header) => (SessionCarrier::Header, field.header.as_ref().and_then(|h| h.name.as_deref())),
        Some(SessionPersistenceType::Other(other)) => {
            let message = format!("type `{other}` is not supported, expected Cookie or Header");
            return Err(Invalid::value(Code::UnsupportedValue, format!("{path}.type"), message));
        }
    };
    let name = match (name.or(field.session_name.as_deref()), carrier) {
        (Some(name), _) => name.to_owned(),
        (None, SessionCarrier::Cookie) => generated_name(owner.iter().copied()),
        (None, SessionCarrier::Header) => {
            return Err(Invalid::value(Code::UnsupportedValue, path, "a session in a header field needs its name"));
        }
    };
    let Some(mut session) = SessionPersistence::new(carrier, &name) else {
        let message = format!("`{}` cannot be the name of a session: not a name, or one of HTTP's own fields", name.escape_debug());
        return Err(Invalid::value(Code::InvalidValue, path, message));
    };
    session.absolute_timeout = duration(field.absolute_timeout.as_deref(), &format!("{path}.absoluteTimeout"))?;
    session.permanent = match cookie.and_then(|cookie| cookie.lifetime_type.as_ref()) {
        None | Some(CookieLifetimeType::Session) => false,
        Some(CookieLifetimeType::Permanent) if session.absolute_timeout.is_some() => true,
        Some(CookieLifetimeType::Permanent) => {
            let message = "absoluteTimeout must be specified when cookie lifetimeType is Permanent";
            return Err(Invalid::value(Code::InvalidCombination, path, message));
        }
        Some(CookieLifetimeType::Other(other)) => {
            let message = format!("lifetimeType `{other}` is not supported, expected Permanent or Session");
            return Err(Invalid::value(Code::UnsupportedValue, path, message));
        }
    };
    if let Some(cookie_path) = cookie.and_then(|cookie| cookie.path.as_deref()) {
        session.path = self::cookie_path(cookie_path).ok_or_else(|| {
            let message = format!("`{}` is not the path of a cookie: it begins with `/` and has no `;`", cookie_path.escape_debug());
            Invalid::value(Code::InvalidValue, format!("{path}.cookie.path"), message)
        })?;
    }
    Ok(session)
}

/// `Path` of a cookie (RFC 6265 section 4.1.1): a path of a URI, in which `;` would end the attribute.
fn cookie_path(text: &str) -> Option<Box<str>> {
    let path = text.parse::<uri::PathAndQuery>().ok()?;
    let whole = Uri::from(path);
    (whole.path() == text && text.starts_with('/') && !text.contains(';')).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::ObjectRef;

    /// [RT-1], [RT-3]
    #[test]
    fn retries() {
        let retry = |attempts: Option<i32>, codes: &[i32], backoff: Option<&str>| {
            let field = HttpRouteRetry { attempts, codes: codes.to_vec(), backoff: backoff.map(str::to_owned) };
            super::retry(&field, "retry").map(|retry| (retry.attempts(), retry.codes().to_vec(), retry.backoff()))
        };
        assert_eq!(retry(None, &[], None).unwrap(), (1, vec![], None));
        assert_eq!(retry(Some(3), &[400, 599], Some("1s")).unwrap(), (3, vec![400, 599], Some(Duration::from_secs(1))));
        for (attempts, codes, backoff, path) in [
            (Some(0), &[][..], None, "retry.attempts"),
            (None, &[399][..], None, "retry.codes[0]"),
            (None, &[500, 600][..], None, "retry.codes[1]"),
            (None, &[500, 503, 500][..], None, "retry.codes[2]"),
            (None, &[][..], Some("fast"), "retry.backoff"),
        ] {
            assert_eq!(retry(attempts, codes, backoff).unwrap_err().path, path);
        }
    }

    /// [SP-2] to [SP-4], [R-12]
    #[test]
    fn sessions() {
        let session = |text: &str| {
            let field = serde_json::from_str(text).unwrap();
            super::session(&field, "s", &["HTTPRoute", "ns", "r", "spec.rules[0]"], &mut Findings::new(ObjectRef::default()))
        };
        let one = session("{}").unwrap();
        assert_eq!((one.carrier(), one.path(), one.is_permanent()), (SessionCarrier::Cookie, "/", false));
        assert!(one.name().starts_with("gw-session-"));
        let next = session(r#"{"type": "Header", "header": {"name": "X-S"}, "absoluteTimeout": "1h"}"#).unwrap();
        assert_eq!((next.field().as_str(), next.absolute_timeout()), ("x-s", Some(Duration::from_secs(3600))));
        let cookie = r#"{"cookie": {"name": "c", "path": "/a", "lifetimeType": "Permanent"}, "absoluteTimeout": "1h"}"#;
        assert_eq!(
            session(cookie).map(|s| (s.name().to_owned(), s.path().to_owned(), s.is_permanent())).unwrap(),
            ("c".into(), "/a".into(), true)
        );
        for (text, path) in [
            (r#"{"type": "Header"}"#, "s"),
            (r#"{"type": "Token"}"#, "s.type"),
            (r#"{"sessionName": "a b"}"#, "s"),
            (r#"{"type": "Header", "sessionName": "Host"}"#, "s"),
            (r#"{"absoluteTimeout": "1"}"#, "s.absoluteTimeout"),
            (r#"{"cookieConfig": {"lifetimeType": "Permanent"}}"#, "s"),
            (r#"{"cookieConfig": {"lifetimeType": "Forever"}}"#, "s"),
            (r#"{"type": "Header", "sessionName": "x", "cookieConfig": {}}"#, "s"),
            (r#"{"cookie": {"path": "a"}}"#, "s.cookie.path"),
            (r#"{"cookie": {"path": "/a; Domain=x"}}"#, "s.cookie.path"),
        ] {
            assert_eq!(session(text).unwrap_err().path, path, "{text}");
        }
    }

    /// [BT-2], [R-5]
    #[test]
    fn retry_budgets() {
        let budget = |text: &str| retry_budget(&serde_json::from_str(text).unwrap(), "b");
        let default = budget("{}").unwrap();
        assert_eq!((default.percent(), default.interval(), default.min_count()), (20, Duration::from_secs(10), 10));
        assert_eq!(budget(r#"{"budget": {"percent": 0, "interval": "60m"}}"#).map(|b| b.percent()).unwrap(), 0);
        for (text, path) in [
            (r#"{"budget": {"percent": 101}}"#, "b.budget.percent"),
            (r#"{"budget": {"interval": "999ms"}}"#, "b.budget.interval"),
            (r#"{"budget": {"interval": "61m"}}"#, "b.budget.interval"),
            (r#"{"minRetryRate": {"count": 0}}"#, "b.minRetryRate.count"),
            (r#"{"minRetryRate": {"interval": "0s"}}"#, "b.minRetryRate.interval"),
            (r#"{"minRetryRate": {"interval": "61m"}}"#, "b.minRetryRate.interval"),
        ] {
            assert_eq!(budget(text).unwrap_err().path, path, "{text}");
        }
    }
}
