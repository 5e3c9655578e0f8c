//! ErrorPagePolicy: bodies of error responses from a backend.

use std::num::NonZeroU16;

use gatewright::ObjectRef;
use http::StatusCode;
use http::uri::PathAndQuery;
use serde::Deserialize;

use super::Wrong;
use super::fields::some;

/// The specification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(deserialize_with = "some")]
    error_pages: Vec<RawPage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    #[serde(deserialize_with = "some")]
    codes: Vec<ErrorCode>,
    backend_ref: BackendRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
struct ErrorCode(u16);

impl TryFrom<u16> for ErrorCode {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, String> {
        if (400..=599).contains(&code) { Ok(Self(code)) } else { Err(format!("{code} is not the code of an error, expected 400 to 599")) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct BackendRef {
    name: String,
    namespace: Option<String>,
    port: NonZeroU16,
    #[serde(default)]
    path: PagePath,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PagePath(PathAndQuery);

impl Default for PagePath {
    fn default() -> Self {
        Self(PathAndQuery::from_static("/"))
    }
}

impl TryFrom<String> for PagePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = Some(&text).filter(|text| text.starts_with('/')).and_then(|text| text.parse().ok());
        parsed.map(Self).ok_or_else(|| format!("`{}` is not a path, expected one that begins with `/`", text.escape_debug()))
    }
}

/// A Service with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: Box<str>,
    pub(crate) port: u16,
}

/// Where the body of some codes comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    codes: Vec<ErrorCode>,
    pub(crate) service: Service,
    pub(crate) path: PathAndQuery,
}

/// A valid policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorPages {
    pages: Vec<Page>,
    namespace: Box<str>,
}

impl ErrorPages {
    pub(super) fn new(spec: Spec, policy: &ObjectRef) -> Result<Self, Wrong> {
        let namespace = policy.namespace.clone();
        let page = |(n, RawPage { codes, backend_ref }): (usize, RawPage)| {
            if backend_ref.namespace.as_deref().is_some_and(|other| !other.is_empty() && other != &*namespace) {
                let message = "the backend must be in the namespace of the policy; no ReferenceGrant changes that".to_owned();
                return Err(Wrong { path: format!("spec.errorPages[{n}].backendRef.namespace"), message });
            }
            let service = Service { name: backend_ref.name.into(), port: backend_ref.port.get() };
            Ok(Page { codes, service, path: backend_ref.path.0 })
        };
        let pages = spec.error_pages.into_iter().enumerate().map(page).collect::<Result<_, _>>()?;
        Ok(Self { pages, namespace })
    }

    /// The Services that pages come from.
    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        self.pages.iter().map(|page| &page.service)
    }

    /// The page for a status: the first that names it.
    pub(crate) fn page(&self, status: StatusCode) -> Option<(&Page, ObjectRef)> {
        let page = self.pages.iter().find(|page| page.codes.contains(&ErrorCode(status.as_u16())))?;
        Some((page, ObjectRef::new("", "Service", &self.namespace, &page.service.name)))
    }
}
