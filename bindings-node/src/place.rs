//! Where requests arrive, found once for all requests that arrive there.

use std::cell::RefCell;
use std::sync::Arc;

use gatewright::canonical::TargetForm;
use gatewright::table::{ListenerId, PortProtocol};
use gatewright::{Arrival, Authority, Place, Request, Table};
use http::{Version, header};
use serde::Deserialize;

use crate::head::Head;
use crate::latin;
use crate::tables::{self, Held};

/// What a caller says of it; all optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Where {
    /// `namespace/name`.
    gateway: Option<String>,
    port: Option<u16>,
    /// Name of a listener that the Gateway itself has.
    listener: Option<String>,
    /// `namespace/name` of the ListenerSet that has it instead.
    listener_set: Option<String>,
    /// In a mesh: `namespace/name` of the Service, and the namespace of the client.
    service: Option<String>,
    client: Option<String>,
    /// Takes the place of the target's own.
    scheme: Option<String>,
    /// `1.0`, `1.1`, `2` or `3`.
    http_version: Option<String>,
    /// For connections: `tls`, `tcp` or `udp`.
    transport: Option<String>,
}

/// A place with its table.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) held: Arc<Held>,
    /// For targets without TLS, and for those that say `https`.
    plain: Found,
    https: Found,
    scheme: Option<Box<str>>,
    version: Version,
}

type Found = Result<(Place, Option<ListenerId>), String>;

thread_local! {
    // Of this thread, so that no request waits for a lock.
    static SPOTS: RefCell<Vec<Option<Arc<Spot>>>> = const { RefCell::new(Vec::new()) };
}

/// What became of looking for a place.
pub(crate) enum Looked {
    /// Its number, and whether requests by `http` and `https` have one.
    At(u32),
    /// In a mesh: no route has the Service as parent.
    PassThrough,
    /// There is none; the sentence says what there is.
    Nowhere(String),
}

/// Finds a place of a table.
pub(crate) fn find(held: Arc<Held>, place: &Where) -> Looked {
    let version = match place.http_version.as_deref() {
        None | Some("1.1") => Version::HTTP_11,
        Some("1.0") => Version::HTTP_10,
        Some("2" | "2.0") => Version::HTTP_2,
        Some("3" | "3.0") => Version::HTTP_3,
        Some(other) => return Looked::Nowhere(format!("HTTP version `{other}` is none of 1.0, 1.1, 2, 3")),
    };
    let (plain, https) = if place.service.is_some() || place.client.is_some() {
        let (Some(service), Some(client)) = (&place.service, &place.client) else {
            return Looked::Nowhere("a mesh needs both `service` and `client`".to_owned());
        };
        let Some((namespace, name)) = service.split_once('/') else { return Looked::Nowhere("`service` is namespace/name".to_owned()) };
        match held.table.find_frontend(client, namespace, name, place.port.unwrap_or(80)) {
            None => return Looked::PassThrough,
            Some(frontend) => {
                let found = Ok((Place::Service(frontend.id), None));
                (found.clone(), found)
            }
        }
    } else {
        let protocols = match (place.transport.as_deref(), place.scheme.as_deref()) {
            (Some("tls"), _) => [PortProtocol::Tls; 2],
            (Some("tcp"), _) => [PortProtocol::Tcp; 2],
            (Some("udp"), _) => [PortProtocol::Udp; 2],
            (None, Some(scheme)) if scheme.eq_ignore_ascii_case("https") => [PortProtocol::Tls; 2],
            (None, Some(_)) => [PortProtocol::Http; 2],
            (None, None) => [PortProtocol::Http, PortProtocol::Tls],
            (Some(other), _) => return Looked::Nowhere(format!("transport `{other}` is none of tls, tcp, udp")),
        };
        let [plain, https] = protocols.map(|protocol| at_gateway(&held.table, place, protocol));
        if let (Err(sentence), Err(_)) = (&plain, &https) {
            return Looked::Nowhere(sentence.clone());
        }
        (plain, https)
    };
    let spot = Arc::new(Spot { held, plain, https, scheme: place.scheme.as_deref().map(Box::from), version });
    SPOTS.with_borrow_mut(|spots| {
        let free = spots.iter().position(Option::is_none).unwrap_or(spots.len());
        match spots.get_mut(free) {
            Some(slot) => *slot = Some(spot),
            None => spots.push(Some(spot)),
        }
        Looked::At(u32::try_from(free).unwrap_or(u32::MAX))
    })
}

/// The place of a number.
pub(crate) fn get(id: u32) -> Option<Arc<Spot>> {
    with(id, Arc::clone)
}

/// Looks at the place of a number.
pub(crate) fn with<T>(id: u32, look: impl FnOnce(&Arc<Spot>) -> T) -> Option<T> {
    SPOTS.with_borrow(|spots| spots.get(usize::try_from(id).ok()?)?.as_ref().map(look))
}

/// Forgets these places of this thread.
pub(crate) fn forget(ids: &[u32]) {
    SPOTS.with_borrow_mut(|spots| {
        for id in ids {
            if let Some(slot) = usize::try_from(*id).ok().and_then(|id| spots.get_mut(id)) {
                *slot = None;
            }
        }
    });
}

impl Spot {
    pub(crate) fn table(&self) -> &Table {
        &self.held.table
    }

    /// Where a connection arrives.
    ///
    /// # Errors
    ///
    /// There is no such port; the sentence says what there is.
    pub(crate) fn arrival<'r>(&self, sni: Option<&'r str>) -> Result<Arrival<'r>, String> {
        let (place, listener) = self.plain.clone()?;
        Ok(Arrival { place, sni, listener })
    }

    /// The request as core takes it, handed to `ask`.
    ///
    /// # Errors
    ///
    /// The Gateway has no port for the scheme of the target; the sentence says what it has.
    #[inline]
    pub(crate) fn ask<'r, T>(
        &'r self,
        head: &'r Head<'r>,
        ask: impl FnOnce(&'r Table, Request<'r, [(&'r [u8], &'r [u8])]>) -> T,
    ) -> Result<T, &'r str> {
        let method = latin::ascii_or_refused(head.method);
        let mut scheme = self.scheme.as_deref();
        let (mut target, mut given, mut found) = (head.target, head.authority, &self.plain);
        if !target.starts_with(b"/")
            && let Ok(TargetForm::Absolute { scheme: own, authority, target: rest }) = TargetForm::of(method, target)
        {
            if own.eq_ignore_ascii_case("https") {
                found = &self.https;
            }
            // An empty path stays with its scheme, which core reads.
            if scheme.is_some() && rest.starts_with(b"/") {
                (target, given) = (rest, Some(authority));
            } else {
                scheme = None;
            }
        }
        let (place, listener) = found.as_ref().map_err(String::as_str)?.to_owned();
        let hosts = head.fields().iter().filter(|(name, _)| name.eq_ignore_ascii_case(header::HOST.as_str().as_bytes()));
        let authority = Authority::reconcile(given, head.host.into_iter().chain(hosts.map(|(_, value)| *value)), self.version);
        // An empty name is none.
        let sni = head.sni.filter(|name| !name.is_empty()).map(latin::ascii_or_refused);
        let arrival = Arrival { place, sni, listener };
        let table = &self.held.table;
        let request = Request { arrival, method, scheme, authority, target, headers: head.fields() };
        Ok(ask(table, if head.sni.is_none() { table.assume_sni(request) } else { request }))
    }
}

/// The table of a number, or the sentence that there is none.
pub(crate) fn held(table: u32) -> Result<Arc<Held>, String> {
    tables::get(table).ok_or_else(|| "the table is closed".to_owned())
}

/// The port of a Gateway, or a listener of it, by name or by what is obvious.
fn at_gateway(table: &Table, place: &Where, protocol: PortProtocol) -> Found {
    let named = match (&place.listener, &place.listener_set) {
        (None, None) => {
            let port = table.choose_port(place.gateway.as_deref(), place.port, protocol);
            return port.map(|port| (Place::Port(port.id), None)).map_err(|error| error.to_string());
        }
        (None, Some(_)) => return Err("`listenerSet` needs `listener`".to_owned()),
        (Some(name), Some(set)) => {
            set.split_once('/').and_then(|(namespace, set)| table.find_set_listener(namespace, set, name)).ok_or((name, set.as_str()))
        }
        (Some(name), None) => {
            let gateway = table.choose_gateway(place.gateway.as_deref()).map_err(|error| error.to_string())?;
            table.find_listener(gateway.id, name).ok_or((name, "the Gateway"))
        }
    };
    let found = named.map_err(|(name, owner)| format!("no accepted listener `{}` of {}", name.escape_debug(), owner.escape_debug()))?;
    Ok((Place::Port(found.port), Some(found.id)))
}
