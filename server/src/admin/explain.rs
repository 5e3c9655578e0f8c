//! `/debug/explain`: what `gatewright explain -o json` says, of the table that serves.

use super::pairs;
use crate::command::ask::{Question, Reasons, Transport};
use crate::publish::Published;

/// Answers a question such as `method=GET&host=example.com&path=/cart&header=x-version:+v2`.
pub(super) fn page(published: &Published, query: &str) -> Result<Reasons, String> {
    let mut question = Question { target: Some("/".to_owned()), ..Question::default() };
    for (name, value) in pairs(query) {
        let text = || Some(value.to_string());
        match &*name {
            "gateway" => question.gateway = text(),
            "port" => question.port = Some(value.parse().map_err(|_| format!("`{value}` is not a port"))?),
            "listener" => question.listener = text(),
            "scheme" => question.scheme = text(),
            "sni" => question.sni = text(),
            "method" => question.method = text(),
            "host" => question.authority = text(),
            "path" => question.target = text(),
            "pick" => question.pick = value.parse().map_err(|_| format!("`{value}` is not a number"))?,
            "header" => {
                let (name, value) =
                    value.split_once(':').ok_or_else(|| format!("`{value}` is not a header field, expected `Name: value`"))?;
                question.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "connection" => {
                question.target = None;
                question.connection = Some(match &*value {
                    "tls" => Transport::Tls,
                    "tcp" => Transport::Tcp,
                    "udp" => Transport::Udp,
                    _ => return Err(format!("`{value}` is not one of tls, tcp, udp")),
                });
            }
            _ => {
                return Err(format!(
                    "`{name}` is not one of gateway, port, listener, scheme, sni, method, host, path, header, connection, pick"
                ));
            }
        }
    }
    // As on the command line: the handshake of a URL names its host.
    if question.scheme.as_deref() == Some("https") && question.sni.is_none() {
        question.sni = question.authority.as_deref().map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned());
    }
    question.explain(&published.table)
}
