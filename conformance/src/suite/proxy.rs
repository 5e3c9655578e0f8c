//! A model of a proxy: carries out the decisions of a table for the rows of a case, with the pods of the cluster
//! behind it. It decides nothing by itself: which listener, backend, certificate, name, timeout or copy is the
//! table's word, and what follows from it is played through here without sockets and cryptography.

use gatewright::connection::{ConnectionTls, ForwardConnection};
use gatewright::decision::Forward;
use gatewright::table::{Backend, BackendProtocol, Endpoints, FrontendInfo, GatewayInfo, ListenerId, PortProtocol, SubjectAltName, Trust};
use gatewright::{Arrival, Authority, ConnectionDecision, Decision, ObjectRef, Pick, Request, Table, apply};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::case::Named;
use super::certificates::WantedName;
use super::exchange::{self, End};
use super::hear::{Asked, Hear};
use super::observed::{Forwarded, Observed, Refused, SeenTls};
use super::pods::{self, Pod, Speaks};
use super::row::{Protocol, Rejection, Row};
use super::state::State;

/// The proxy of one state.
#[derive(Debug)]
pub(super) struct Proxy<'a> {
    state: &'a State,
    table: &'a Table,
    pods: Vec<Pod>,
    /// Who hears what the table is asked.
    hear: Option<&'a dyn Hear>,
}

/// Where a request or connection ends: a port of a pod, and how it is talked to.
struct Destination<'p> {
    pod: &'p Pod,
    port: u16,
}

impl<'a> Proxy<'a> {
    /// A proxy that serves a table.
    pub(super) fn new(state: &'a State, table: &'a Table) -> Self {
        Self { state, table, pods: state.pods(), hear: None }
    }

    /// The same, and somebody hears what it asks the table.
    pub(super) fn heard(self, hear: &'a dyn Hear) -> Self {
        Self { hear: Some(hear), ..self }
    }

    fn tell(&self, row: &Row, asked: &Asked<'_>, pick: Pick) {
        if let Some(hear) = self.hear {
            hear.hear(row, asked, pick);
        }
    }

    /// What the client and the backends of a row see.
    ///
    /// # Errors
    ///
    /// A row that does not fit the objects, or a decision that cannot be carried out.
    pub(super) fn observe(&self, row: &Row, pick: Pick) -> Result<Observed, String> {
        if row.client.is_some() {
            return self.mesh(row, pick);
        }
        let gateway = self.table.find_gateway(row.gateway.namespace(), &row.gateway.name);
        let udp = matches!(row.protocol, Protocol::Udp | Protocol::Dns);
        let find = |gateway: &'a GatewayInfo| {
            if udp { self.table.find_udp_port(gateway.id, row.port) } else { self.table.find_port(gateway.id, row.port) }
        };
        let Some((gateway, port)) = gateway.and_then(|gateway| Some((gateway, find(gateway)?))) else {
            return Ok(refused("no such port"));
        };
        let over_tls = matches!(row.protocol, Protocol::Https | Protocol::H2 | Protocol::Tls);
        if over_tls != (port.protocol == PortProtocol::Tls) {
            return Ok(refused(&format!("the port speaks {:?}", port.protocol)));
        }
        let arrival = match &row.request.sni {
            Some(sni) => Arrival::with_sni(port.id, sni),
            None => Arrival::on(port.id),
        };
        self.tell(row, &Asked::Connection(arrival), pick);
        match self.table.decide_connection(&arrival, pick) {
            ConnectionDecision::Http { listener: Some(listener) } if over_tls => {
                let mut observed = self.client_handshake(row, listener);
                if observed.refused.is_some() {
                    return Ok(observed);
                }
                let certificate = gateway.backend_client_certificate.as_ref();
                let mut by_name = observed.clone();
                self.http(row, arrival, "https", certificate, pick, &mut by_name)?;
                self.http(row, Arrival { listener: Some(listener), ..arrival }, "https", certificate, pick, &mut observed)?;
                if by_name == observed {
                    Ok(observed)
                } else {
                    Err(format!("the server name gives {by_name:?}, the listener of the connection {observed:?}"))
                }
            }
            ConnectionDecision::Http { listener: None } if !over_tls => {
                let mut observed = Observed::default();
                self.http(row, arrival, "http", gateway.backend_client_certificate.as_ref(), pick, &mut observed)?;
                Ok(observed)
            }
            ConnectionDecision::Forward(forward) => self.stream(row, gateway, &forward, pick),
            ConnectionDecision::Reject(_) => Ok(Observed { refused: Some(Refused::Rejected(Rejection::Eof)), ..Observed::default() }),
            other => Err(format!("{other:?} on {:?}", port.protocol)),
        }
    }

    /// The client's handshake with a listener: both certificates count.
    fn client_handshake(&self, row: &Row, listener: ListenerId) -> Observed {
        let tls = self.table.listener(listener).and_then(|listener| listener.tls.as_ref());
        let Some(tls) = tls else { return refused("the listener has no certificates") };
        let mut observed = Observed { client_cert_requested: tls.client_validation.is_some(), ..Observed::default() };
        let served: Vec<_> = tls.certificates.iter().filter_map(|secret| self.certificate(secret)).collect();
        let results: Vec<_> = served.iter().map(|pem| self.client_trusts(row, pem)).collect();
        if !results.iter().any(Result::is_ok) {
            observed.refused = Some(Refused::Failed(format!("no certificate of {:?} will do: {results:?}", tls.certificates)));
            return observed;
        }
        let Some(validation) = &tls.client_validation else { return observed };
        let roots: Vec<_> = validation.ca_certificates.iter().filter_map(|bundle| self.certificate(bundle)).collect();
        let shown = row.request.client_cert.as_ref().and_then(|secret| self.certificate_of(secret));
        let valid = match shown {
            Some(pem) => self.signed(&pem, &roots, &[]),
            None => Err("no client certificate".to_owned()),
        };
        if !validation.allow_insecure_fallback {
            observed.refused = valid.err().map(Refused::Failed);
        }
        observed
    }

    /// A connection that is joined to a backend.
    fn stream(&self, row: &Row, gateway: &GatewayInfo, forward: &ForwardConnection, pick: Pick) -> Result<Observed, String> {
        let backend = self.table.backend(forward.backend).ok_or("no such backend")?;
        let destination = self.destination(backend, pick)?;
        let mut observed = Observed::default();
        let pod = destination.pod;
        let mut seen = None;
        match forward.tls {
            ConnectionTls::None => {}
            ConnectionTls::Terminate => {
                let gatewright::decision::Parent::Listener(listener) = forward.matched.parent else { return Err("no listener".into()) };
                observed = self.client_handshake(row, listener);
                if observed.refused.is_some() {
                    return Ok(observed);
                }
                match self.backend_handshake(backend, gateway.backend_client_certificate.as_ref(), &destination) {
                    Ok(tls) => seen = tls,
                    Err(why) => return Ok(refused(&why)),
                }
            }
            ConnectionTls::Passthrough => {
                let certificate = pod.server_certificate().and_then(|name| self.secret(&pod.namespace, name));
                let sni = row.request.sni.clone().unwrap_or_default();
                match certificate.map(|pem| self.client_trusts(row, &pem)) {
                    Some(Ok(())) => seen = Some(SeenTls { sni, client_cert: None }),
                    other => return Ok(refused(&format!("the backend's certificate: {other:?}"))),
                }
            }
        }
        let wanted = match row.protocol {
            Protocol::Udp | Protocol::Dns => Speaks::Udp,
            Protocol::Tls | Protocol::Tcp => Speaks::Tcp,
            _ => Speaks::Http1,
        };
        if pod.speaks(destination.port) != Some((wanted, seen.is_some())) {
            return Ok(refused(&format!("{} speaks {:?}, not {wanted:?}", pod.name, pod.speaks(destination.port))));
        }
        if wanted == Speaks::Http1 {
            observed.status = 200;
        }
        observed.forwarded = Some(Forwarded {
            tls: seen,
            method: row.request.method.clone(),
            host: row.request.host.clone(),
            path: row.request.path.clone(),
            headers: headers(row)?,
            ..self.received(pod)
        });
        Ok(observed)
    }

    /// A request, decided and carried out.
    fn http(
        &self,
        row: &Row,
        arrival: Arrival<'_>,
        scheme: &str,
        client_certificate: Option<&ObjectRef>,
        pick: Pick,
        observed: &mut Observed,
    ) -> Result<(), String> {
        let headers = headers(row)?;
        let host = self.host(row)?;
        let (method, target) = method_and_target(row);
        let request = Request {
            arrival,
            method: &method,
            scheme: Some(scheme),
            authority: Authority::Given(host.as_bytes()),
            target: target.as_bytes(),
            headers: &headers,
        };
        self.tell(row, &Asked::Request(request), pick);
        match self.table.decide(&request, pick) {
            Decision::Forward(decision) => self.forward(row, &decision, &method, headers.clone(), client_certificate, pick, observed)?,
            Decision::Redirect(decision) => {
                let (status, headers) = apply::redirect(&decision);
                (observed.status, observed.headers) = (status.as_u16(), headers);
            }
            Decision::Respond(decision) => {
                let (status, headers) = apply::respond(&decision);
                (observed.status, observed.headers) = (status.as_u16(), headers);
                observed.grpc = decision.grpc_status.map(|status| status.code());
            }
            other => return Err(format!("unknown decision {other:?}")),
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "what belongs to one request")]
    fn forward(
        &self,
        row: &Row,
        decision: &Forward<'_>,
        method: &str,
        headers: HeaderMap,
        client_certificate: Option<&ObjectRef>,
        pick: Pick,
        observed: &mut Observed,
    ) -> Result<(), String> {
        let mut parts = http::Request::builder().method(method).uri("/").body(()).map_err(|e| e.to_string())?.into_parts().0;
        parts.headers = headers;
        apply::forward(decision, &mut parts);
        let request = Forwarded {
            method: parts.method.to_string(),
            host: parts.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned(),
            path: parts.uri.to_string(),
            headers: parts.headers,
            ..Forwarded::default()
        };
        let deliver = |backend: &Backend, pick: Pick| {
            let destination = self.destination(backend, pick)?;
            let tls = self.backend_handshake(backend, client_certificate, &destination)?;
            fits(backend, destination.pod.speaks(destination.port))?;
            let Forwarded { namespace, pod, service, .. } = self.received(destination.pod);
            Ok::<_, String>(Forwarded { namespace, pod, service, tls, ..request.clone() })
        };
        let backend = self.table.backend(decision.backend).ok_or("no such backend")?;
        let delivered = deliver(backend, pick);
        let exchange = exchange::play(decision.timeouts, decision.retry, delivered.is_ok(), row.backend_behaviour.as_ref());
        observed.attempts = exchange.attempts;
        observed.status = match exchange.end {
            End::Answered if row.protocol == Protocol::Websocket => 101,
            End::Answered => 200,
            End::Failed(status) => status,
            End::TimedOut => 504,
            // The decision is made; what a proxy makes of a connection that fails is the live tests' to see. A
            // client never takes it for the backend's answer.
            End::NoConnection if delivered.is_ok() => 0,
            End::NoConnection => 502,
        };
        if row.protocol == Protocol::Grpc {
            observed.grpc = Some(match (&delivered, request.path.ends_with("/EchoThree")) {
                (Ok(_), false) => 0,
                (Ok(_), true) => 12,
                (Err(_), _) => 14,
            });
        }
        for mirror in decision.mirrors.iter() {
            let backend = self.table.backend(mirror).ok_or("no such mirror")?;
            observed.mirrored.push(deliver(backend, pick)?);
        }
        if let Err(why) = &delivered {
            observed.failure = Some(why.clone());
        }
        if exchange.end == End::Answered {
            observed.forwarded = delivered.ok();
            observed.frames = row.request.frames.clone();
            for (name, value) in &row.request.backend_set_response_headers {
                observed.headers.append(header_name(name)?, header_value(value)?);
            }
        }
        apply::response_headers(&decision.response, &mut observed.headers);
        Ok(())
    }

    /// A row from a pod of the mesh.
    fn mesh(&self, row: &Row, pick: Pick) -> Result<Observed, String> {
        let (Some(client), Some(target)) = (&row.client, &row.target) else { return Err("a row without addressee".into()) };
        if !self.pods.iter().any(|pod| pod.namespace == client.namespace && pod.has_labels(&client.labels)) {
            return Err(format!("no such client: {client:?}"));
        }
        let mut observed = Observed::default();
        let host = self.address(&target.host)?;
        let pass = |pod: &Pod| -> Result<Forwarded, String> {
            let (method, path) = method_and_target(row);
            Ok(Forwarded { method, host: self.host(row)?, path, headers: headers(row)?, ..self.received(pod) })
        };
        // Traffic to the address of a pod is left alone ([A-23]).
        if let Ok(address) = host.parse() {
            let pod = self.pods.iter().find(|pod| pod.has(address) && pod.speaks(target.port).is_some());
            observed.forwarded = Some(pass(pod.ok_or_else(|| format!("nobody has {host}"))?)?);
            (observed.status, observed.grpc) = (200, (row.protocol == Protocol::Grpc).then_some(0));
            return Ok(observed);
        }
        let name = host.strip_suffix(".svc.cluster.local").or_else(|| host.strip_suffix(".svc")).unwrap_or(&host);
        let (name, namespace) = name.split_once('.').unwrap_or((name, &client.namespace));
        let named = Named { kind: "Service".into(), namespace: Some(namespace.into()), name: name.into(), ..Named::default() };
        let service = self.state.object(&named).ok_or_else(|| format!("no such Service: {host}"))?;
        let frontend: Option<&FrontendInfo> = self.table.find_frontend(&client.namespace, namespace, name, target.port);
        if let Some(frontend) = frontend {
            self.http(row, Arrival::at(frontend.id), "http", None, pick, &mut observed)?;
            return Ok(observed);
        }
        // No route: straight to the pods of the Service ([A-22]).
        let destination = self.of_service(service, target.port, pick)?;
        let request = pass(destination.pod)?;
        self.tell(row, &Asked::PassThrough { service: &format!("{namespace}/{name}"), request: &request }, pick);
        observed.forwarded = Some(request);
        (observed.status, observed.grpc) = (200, (row.protocol == Protocol::Grpc).then_some(0));
        Ok(observed)
    }

    /// One of the endpoints of a backend.
    fn destination(&self, backend: &Backend, pick: Pick) -> Result<Destination<'_>, String> {
        match &backend.endpoints {
            Endpoints::Known(endpoints) => {
                let n = usize::try_from(pick.derive(7).below(u64::try_from(endpoints.len()).unwrap_or(u64::MAX))).unwrap_or(0);
                let endpoint = endpoints.get(n).ok_or("a backend without endpoints")?;
                let pod = self.pods.iter().find(|pod| pod.has(endpoint.address));
                Ok(Destination { pod: pod.ok_or_else(|| format!("nobody has {endpoint}"))?, port: endpoint.port })
            }
            Endpoints::Unknown => {
                let object = &backend.object;
                let named = Named {
                    kind: object.kind.to_string(),
                    namespace: Some(object.namespace.to_string()),
                    name: object.name.to_string(),
                    ..Named::default()
                };
                self.of_service(self.state.object(&named).ok_or_else(|| format!("no such Service: {object}"))?, backend.port, pick)
            }
            other => Err(format!("unknown endpoints {other:?}")),
        }
    }

    fn of_service(&self, service: &Value, port: u16, pick: Pick) -> Result<Destination<'_>, String> {
        let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let declared = ports.find(|declared| declared["port"] == port).ok_or_else(|| format!("the Service has no port {port}"))?;
        let port = pods::target_port(declared).and_then(|port| u16::try_from(port).ok()).ok_or("no target port")?;
        let pods = pods::selected(service, &self.pods);
        let n = usize::try_from(pick.derive(7).below(u64::try_from(pods.len()).unwrap_or(u64::MAX))).unwrap_or(0);
        Ok(Destination { pod: pods.get(n).ok_or("a Service without pods")?, port })
    }

    /// TLS towards a pod, or none where the pod speaks none.
    fn backend_handshake(
        &self,
        backend: &Backend,
        gateways_certificate: Option<&ObjectRef>,
        destination: &Destination<'_>,
    ) -> Result<Option<SeenTls>, String> {
        let pod = destination.pod;
        let (_, pod_wants_tls) =
            pod.speaks(destination.port).ok_or_else(|| format!("{} does not listen on {}", pod.name, destination.port))?;
        let tls = match (&backend.tls, pod_wants_tls) {
            (None, false) => return Ok(None),
            (Some(tls), true) => tls,
            (tls, wants) => return Err(format!("{} wants TLS: {wants}, and gets {tls:?}", pod.name)),
        };
        let roots: Vec<_> = match &tls.trust {
            // No authority of the world signs test certificates.
            Trust::System => Vec::new(),
            Trust::Bundles(bundles) => bundles.iter().filter_map(|bundle| self.certificate(bundle)).collect(),
        };
        let mut names: Vec<_> = tls
            .subject_alt_names
            .iter()
            .map(|name| match name {
                SubjectAltName::Hostname(name) => WantedName::Dns(name.to_string()),
                SubjectAltName::Uri(uri) => WantedName::Uri(uri.to_string()),
            })
            .collect();
        if names.is_empty() {
            names.push(WantedName::Dns(tls.hostname.to_string()));
        }
        let served = pod.server_certificate().and_then(|name| self.secret(&pod.namespace, name));
        self.signed(&served.ok_or("the pod has no certificate")?, &roots, &names)?;
        let shown = tls.client_certificate.as_ref().or(gateways_certificate);
        if let Some(authority) = pod.client_authority() {
            let authority =
                Named { kind: "ConfigMap".into(), namespace: Some(pod.namespace.clone()), name: authority.into(), ..Named::default() };
            let shown = shown.and_then(|secret| self.certificate(secret)).ok_or("the pod asks for a client certificate")?;
            self.signed(&shown, &self.certificate_of(&authority).into_iter().collect::<Vec<_>>(), &[])?;
        }
        let client_cert = shown.map(|secret| format!("{}/{}", secret.namespace, secret.name));
        Ok(Some(SeenTls { sni: tls.hostname.to_string(), client_cert }))
    }

    /// Whether the client of a row takes a certificate for the server it asked for.
    fn client_trusts(&self, row: &Row, pem: &str) -> Result<(), String> {
        let roots: Vec<_> = row.request.trust.as_ref().and_then(|object| self.certificate_of(object)).into_iter().collect();
        self.signed(pem, &roots, &[WantedName::Dns(row.request.sni.clone().unwrap_or_default())])
    }

    fn signed(&self, pem: &str, roots: &[String], names: &[WantedName]) -> Result<(), String> {
        let certificates = self.state.certificates();
        certificates.verify(certificates.by_pem(pem).ok_or("not a certificate of the suite")?, roots, names)
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<String> {
        self.certificate_of(&Named { kind: "Secret".into(), namespace: Some(namespace.into()), name: name.into(), ..Named::default() })
    }

    fn certificate(&self, object: &ObjectRef) -> Option<String> {
        let (kind, namespace, name) = (object.kind.to_string(), Some(object.namespace.to_string()), object.name.to_string());
        self.certificate_of(&Named { kind, namespace, name, ..Named::default() })
    }

    /// The text of the certificate in a Secret or ConfigMap.
    fn certificate_of(&self, object: &Named) -> Option<String> {
        let data = &self.state.object(object)?["data"];
        match object.kind.as_str() {
            "ConfigMap" => data["ca.crt"].as_str().map(str::to_owned),
            _ => super::certificates::decode(data["tls.crt"].as_str()?),
        }
    }

    /// What a pod says of itself.
    fn received(&self, pod: &Pod) -> Forwarded {
        Forwarded {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            service: pod.environment("SERVICE_NAME").unwrap_or_default().to_owned(),
            ..Forwarded::default()
        }
    }

    fn host(&self, row: &Row) -> Result<String, String> {
        self.address(&row.request.host)
    }

    /// A host with the address of a pod for its placeholder.
    fn address(&self, host: &str) -> Result<String, String> {
        const PLACEHOLDER: &str = "{POD_IP_ECHO_V2}";
        if !host.contains(PLACEHOLDER) {
            return Ok(host.to_owned());
        }
        let pod = self.pods.iter().find(|pod| pod.is_of("gateway-conformance-mesh", "echo-v2")).ok_or("no pod of echo-v2")?;
        Ok(host.replace(PLACEHOLDER, &pod.ipv4().to_string()))
    }
}

/// Whether a pod understands what a backend is spoken to in. Over TLS the two agree by ALPN.
fn fits(backend: &Backend, speaks: Option<(Speaks, bool)>) -> Result<(), String> {
    let fits = matches!(
        (backend.protocol, speaks),
        (BackendProtocol::Http1, Some((Speaks::Http1, _)))
            | (BackendProtocol::H2c, Some((Speaks::H2c | Speaks::Grpc, _)))
            | (BackendProtocol::Http1 | BackendProtocol::H2c, Some((Speaks::Http1 | Speaks::H2c | Speaks::Grpc, true)))
    );
    if fits { Ok(()) } else { Err(format!("{} is spoken to in {:?} and speaks {speaks:?}", backend.object, backend.protocol)) }
}

fn refused(why: &str) -> Observed {
    Observed { refused: Some(Refused::Failed(why.to_owned())), ..Observed::default() }
}

/// The clients of the mesh have a gRPC method of their own.
fn method_and_target(row: &Row) -> (String, String) {
    if row.protocol == Protocol::Grpc && row.request.grpc.is_none() {
        return ("POST".into(), "/proto.EchoTestService/Echo".into());
    }
    (row.request.method.clone(), row.request.path.clone())
}

fn headers(row: &Row) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &row.request.headers {
        headers.append(header_name(name)?, header_value(value)?);
    }
    match row.protocol {
        Protocol::Grpc => {
            headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        }
        Protocol::Websocket => {
            for (name, value) in [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers.insert("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        }
        _ => {}
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())
}

fn header_value(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|e| e.to_string())
}
