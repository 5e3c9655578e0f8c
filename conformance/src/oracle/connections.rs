//! What becomes of connections and flows ([L-23], [L-25], [T-1] to [T-9]).

use super::listeners::{Served, Speaks, most_specific, speaks};
use super::question::{Connected, WorldConnection};
use super::references::{From, follow};
use super::routes::Route;
use super::{Oracle, View, draw, hosts};

impl Oracle<'_> {
    /// What becomes of a connection, or of the first datagram of a flow.
    pub fn connect(&self, connection: &WorldConnection) -> Connected {
        let rejected = |listener: Option<&Served<'_>>, route: Option<&Route<'_>>, reason: &str| Connected {
            listener: listener.map(Served::text),
            route: route.map(Route::text),
            then: format!("rejected: {reason}"),
        };
        let (namespace, name) = &connection.gateway;
        let is = |g: &View<'_>| g.name == (namespace.as_str(), name.as_str());
        let Some(gateway) = self.gateways.iter().position(is) else { return rejected(None, None, "NoListener") };
        let reached =
            |l: &&Served<'_>| l.accepted() && l.listener.port == connection.port && (speaks(l.listener) == Speaks::Udp) == connection.udp;
        let on_port: Vec<&Served<'_>> = self.gateways[gateway].listeners.iter().filter(reached).collect();
        // Without TLS the host of each request chooses the listener.
        if on_port.iter().any(|l| speaks(l.listener) == Speaks::Http) {
            return Connected { listener: None, route: None, then: "HTTP".to_owned() };
        }
        let name = connection.sni.as_deref().and_then(hosts::canonical);
        let Some(listener) = most_specific(&on_port, name.as_deref()) else { return rejected(None, None, "NoListener") };
        if !listener.can_serve {
            return rejected(Some(listener), None, "NotProgrammed");
        }
        let tls = match speaks(listener.listener) {
            Speaks::Https => return Connected { listener: Some(listener.text()), route: None, then: "HTTP".to_owned() },
            Speaks::Terminate => "terminated",
            Speaks::Passthrough => "passed through",
            _ => "none",
        };
        // The most specific hostname ([T-1]), then the oldest route, then the first by name ([T-8]).
        let mut serving = Vec::new();
        for attachment in self.attachments.iter().filter(|a| a.gateway == Some(gateway)) {
            let route = &self.routes[attachment.route];
            for (n, hostnames) in &attachment.listeners {
                if self.gateways[gateway].listeners[*n].text() != listener.text() || route.rules.is_empty() {
                    continue;
                }
                for hostname in hostnames {
                    let covers = tls == "none" || (hostname.is_some() && hosts::covers(hostname.as_deref(), name.as_deref()));
                    if covers {
                        let order = (std::cmp::Reverse(hosts::specificity(hostname.as_deref())), route.rank());
                        serving.push((order, route));
                    }
                }
            }
        }
        let Some((_, route)) = serving.into_iter().min_by(|(a, _), (b, _)| a.cmp(b)) else {
            return rejected(Some(listener), None, "NoRoute");
        };
        let rejected = |reason| rejected(Some(listener), Some(route), reason);
        let backends = &route.rules[0].backends;
        if backends.is_empty() {
            return rejected("NoBackends");
        }
        let weights: Vec<u64> = backends.iter().map(|b| u64::try_from(b.weight).unwrap_or(0)).collect();
        let Some(chosen) = draw(&weights, connection.pick) else { return rejected("ZeroWeights") };
        let from = From { kind: route.kind, namespace: route.namespace, mesh: false, passthrough: tls == "passed through" };
        match follow(self.resources, from, backends[chosen].to) {
            Err(_) => rejected("InvalidBackend"),
            Ok(target) if target.empty => rejected("NoEndpoints"),
            Ok(target) => Connected {
                listener: Some(listener.text()),
                route: Some(route.text()),
                then: format!("forwarded to {}, TLS {tls}", target.text),
            },
        }
    }
}
