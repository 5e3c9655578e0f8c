//! `metadata`, which Kubernetes checks alike for every kind.

use super::format::patterns;
use super::report::{Path, Report};
use crate::resource::meta::ObjectMeta;

const NAME: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAMESPACE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

pub(super) fn check(report: &mut Report<'_>, metadata: &ObjectMeta) {
    let at = Path::root("metadata");
    shorter(report, &at.field("name"), &metadata.name, 253);
    if !(patterns::SUBDOMAIN.holds)(&metadata.name) {
        report.rejected_value(&at.field("name"), NAME, &metadata.name);
    }
    // An empty namespace is the default one ([R-7]).
    if let Some(namespace) = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        shorter(report, &at.field("namespace"), namespace, 63);
        if !(patterns::LABEL.holds)(namespace) {
            report.rejected_value(&at.field("namespace"), NAMESPACE, namespace);
        }
    }
    let labels = at.field("labels");
    for (key, value) in &metadata.labels {
        qualified(report, &labels.field(key), key);
        shorter(report, &labels.field(key), value, 63);
        if !(patterns::LABEL_VALUE.holds)(value) {
            report.rejected_value(&labels.field(key), LABEL, value);
        }
    }
    for key in metadata.annotations.keys() {
        qualified(report, &at.field("annotations").field(key), &key.to_lowercase());
    }
}

/// A key of a label or annotation: an optional DNS subdomain, and a name.
fn qualified(report: &mut Report<'_>, at: &Path<'_>, key: &str) {
    if !(patterns::LABEL_KEY.holds)(key) {
        report.rejected_value(at, KEY, key);
    }
}

fn shorter(report: &mut Report<'_>, at: &Path<'_>, value: &str, most: usize) {
    if value.len() > most {
        report.rejected_value(at, format!("must be no more than {most} bytes"), value);
    }
}
