//! External authorization and filters of the embedding program: what is wanted, and the comparison.

use std::collections::BTreeMap;

use gatewright::apply::auth::{self, Verdict};
use gatewright::decision::{Check, Extensions, Target};
use gatewright::{ObjectRef, Table};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::differences::{Differences, fields};
use super::status::object_name;

/// A service that is asked first ([E-1]).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedAuth {
    protocol: String,
    backend: String,
    /// Octets of the body that it gets at most; 0 is no body.
    max_body: Option<u32>,
    /// For HTTP: the target that it is asked about.
    target: Option<String>,
    /// Fields of the question, with exactly this value.
    #[serde(default)]
    sent: Vec<(String, String)>,
    /// Fields that the question does not have.
    #[serde(default)]
    not_sent: Vec<String>,
    /// The fields of an answer that allows; `set` and `removed` are then those of the request after it.
    #[serde(default)]
    pub(super) answer: Vec<(String, String)>,
    /// Status code of an answer over HTTP to what becomes of the request: `allow`, or the client's status code.
    #[serde(default)]
    verdicts: BTreeMap<u16, String>,
}

impl WantedAuth {
    /// `target` is that of the decision, if it forwards; `client` the request as it came.
    pub(super) fn check(
        &self,
        got: Option<&Check<'_>>,
        target: Option<&Target<'_>>,
        client: &http::request::Parts,
        table: &Table,
        differ: &mut Differences,
    ) -> Result<(), String> {
        let Some(got) = got else { return Err("no service is asked".to_owned()) };
        differ.equal("the protocol of the check", got.service.protocol().as_str(), &*self.protocol);
        differ.equal("the service that is asked", &table.backend_report(got.service.backend()).to_string(), &self.backend);
        if let Some(wanted) = self.max_body {
            differ.equal("the body that the service gets", got.service.max_body(), wanted);
        }
        let question = target.filter(|_| self.protocol == "http").map(|target| auth::request(got, target, client, 0));
        let sent = match &question {
            Some(question) => question.headers.clone(),
            None => auth::headers(got.service, &client.headers).map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        if let Some(wanted) = &self.target {
            differ.equal("the target of the check", question.map(|question| question.uri.to_string()).as_ref(), Some(wanted));
        }
        self.sent.iter().for_each(|(name, value)| differ.field("the check's", &sent, name, Some(value)));
        self.not_sent.iter().for_each(|name| differ.field("the check's", &sent, name, None));
        for (status, wanted) in &self.verdicts {
            let verdict = Verdict::of_status(StatusCode::from_u16(*status).map_err(|error| error.to_string())?);
            let got = verdict.status().map_or("allow".to_owned(), |status| status.as_u16().to_string());
            differ.equal(&format!("what an answer of {status} means"), &got, wanted);
        }
        Ok(())
    }

    /// The fields of an answer that allows.
    pub(super) fn answered(&self) -> Result<Option<HeaderMap>, String> {
        if self.answer.is_empty() { Ok(None) } else { fields(&self.answer).map(Some) }
    }
}

/// Compares filters of the embedding program, all of them in the order in which they run.
pub(super) fn extensions(wanted: Option<&Vec<String>>, got: &Extensions<'_>, differ: &mut Differences) {
    if let Some(wanted) = wanted {
        differ.equal("the list of extensions", got.iter().map(object_name).collect::<Vec<_>>(), wanted.clone());
    }
}

/// An object as `group/Kind namespace/name`.
///
/// # Errors
///
/// A text that is none.
pub(super) fn extension(text: &str) -> Result<ObjectRef, String> {
    let parts = text.split_once(' ').and_then(|(kind, name)| Some((kind.split_once('/')?, name.split_once('/')?)));
    let ((group, kind), (namespace, name)) = parts.ok_or_else(|| format!("`{text}` is not group/Kind namespace/name"))?;
    Ok(ObjectRef::new(group, kind, namespace, name))
}
