//! `sessionPersistence` of HTTPRoute, GRPCRoute and XBackendTrafficPolicy, in the shape of v1.6.1 and in the
//! one that follows it ([R-12]).

use super::format::{DURATION, SESSION_NAME, SESSION_TOKEN};
use super::report::{Path, Report};
use crate::resource::session::{CookieLifetimeType, SessionPersistence, SessionPersistenceType};

pub(super) fn session(report: &mut Report<'_>, at: &Path<'_>, field: &SessionPersistence) {
    report.optional(&at.field("sessionName"), field.session_name.as_deref(), &SESSION_NAME);
    report.optional(&at.field("absoluteTimeout"), field.absolute_timeout.as_deref(), &DURATION);
    let type_ = field.type_.as_ref().unwrap_or(&SessionPersistenceType::Cookie);
    report.known(&at.field("type"), type_.as_str(), SessionPersistenceType::KNOWN);
    let is_cookie = *type_ == SessionPersistenceType::Cookie;
    for (name, config) in [("cookieConfig", &field.cookie_config), ("cookie", &field.cookie)] {
        let Some(config) = config else { continue };
        if !is_cookie {
            let message = match name {
                "cookieConfig" => "cookieConfig can only be set with type Cookie",
                _ => "cookie must be nil if type is not Cookie",
            };
            report.rejected(&at.field(name), message);
        }
        if name == "cookie" {
            report.optional(&at.field(name).field("name"), config.name.as_deref(), &SESSION_TOKEN);
        }
        let Some(lifetime) = &config.lifetime_type else { continue };
        report.known(&at.field(name).field("lifetimeType"), lifetime.as_str(), CookieLifetimeType::KNOWN);
        if *lifetime == CookieLifetimeType::Permanent && field.absolute_timeout.is_none() {
            report.rejected(at, "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent");
        }
    }
    if let Some(header) = &field.header {
        if *type_ != SessionPersistenceType::Header {
            report.rejected(&at.field("header"), "header must be nil if type is not Header");
        }
        report.optional(&at.field("header").field("name"), header.name.as_deref(), &SESSION_TOKEN);
    }
}
