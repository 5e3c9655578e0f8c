//! The same routes in the words of each contender: ten prefixes for each host, as many hosts as it takes.

use std::fmt::Write as _;

/// Prefixes of one host.
const PREFIXES: [&str; 10] =
    ["/", "/api", "/api/v1", "/api/v1/users", "/api/v2", "/static", "/static/img", "/login", "/search", "/shop/cart/items"];

/// Requests of a run.
const REQUESTS: usize = 16_384;

/// So many routes: the first with one for everything of its host.
pub(crate) fn all(number: usize) -> impl Iterator<Item = (String, &'static str)> {
    (0..number).map(|n| (host(n / PREFIXES.len()), PREFIXES[n % PREFIXES.len()]))
}

fn host(number: usize) -> String {
    format!("host-{number}.example.com")
}

/// Requests in an order without rhyme, each to one of the routes: host and target.
pub(crate) fn requests(routes: usize) -> Vec<(String, String)> {
    let all: Vec<_> = all(routes).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut request = || {
        let (host, prefix) = &all[next() % all.len()];
        (host.clone(), format!("{}/item-{}?page={}", prefix.trim_end_matches('/'), next() % 1000, next() % 10))
    };
    (0..REQUESTS).map(|_| request()).collect()
}

/// For wrk, which asks in this order.
pub(crate) fn lua(routes: usize) -> String {
    let mut script = "local requests = {\n".to_owned();
    for (host, target) in requests(routes) {
        let head = format!(
            "GET {target} HTTP/1.1\\r\\nHost: {host}\\r\\nUser-Agent: wrk/4.1\\r\\nAccept: */*\\r\\nAccept-Language: en\\r\\nCookie: session=abcdefgh\\r\\nX-Trace: 0123456789abcdef\\r\\n\\r\\n"
        );
        let _ = writeln!(script, "\"{head}\",");
    }
    script + "}\nlocal n = 0\nfunction request()\n  n = n % #requests + 1\n  return requests[n]\nend\n"
}

/// For Gatewright: one HTTPRoute for each host.
pub(crate) fn manifests(routes: usize, secret: Option<&str>) -> String {
    let listener = match secret {
        None => "{name: all, port: 80, protocol: HTTP}",
        Some(_) => "{name: all, port: 80, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}",
    };
    let mut text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\nspec: {{gatewayClassName: any, listeners: [{listener}]}}\n"
    );
    let all: Vec<_> = all(routes).collect();
    for rules in all.chunks(PREFIXES.len()) {
        let host = &rules[0].0;
        let _ = write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {}}}\nspec:\n  parentRefs: [{{name: gw}}]\n  hostnames: [{host}]\n  rules:\n",
            host.split('.').next().unwrap_or_default()
        );
        for (_, prefix) in rules {
            let _ = writeln!(text, "  - {{matches: [{{path: {{value: {prefix}}}}}], backendRefs: [{{name: web, port: 80}}]}}");
        }
    }
    text + secret.unwrap_or_default()
}

/// For nginx: one server for each host.
pub(crate) fn nginx(routes: usize, port: u16, backend: &str, tls: Option<(&str, &str)>) -> String {
    let (of_listen, of_tls) = match tls {
        None => ("", String::new()),
        Some((certificate, key)) => (" ssl http2", format!("ssl_certificate {certificate};\nssl_certificate_key {key};\n")),
    };
    let mut text = format!(
        "daemon off;\nmaster_process off;\npid /dev/null;\nerror_log /dev/null;\nevents {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\nkeepalive_requests 1000000000;\nclient_body_temp_path /tmp;\nproxy_temp_path /tmp;\nfastcgi_temp_path /tmp;\nuwsgi_temp_path /tmp;\nscgi_temp_path /tmp;\nserver_names_hash_max_size 65536;\nserver_names_hash_bucket_size 128;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $host;\nproxy_set_header X-Forwarded-For $remote_addr;\n{of_tls}upstream web {{ server {backend}; keepalive 128; keepalive_requests 1000000000; }}\n"
    );
    let all: Vec<_> = all(routes).collect();
    for rules in all.chunks(PREFIXES.len()) {
        let _ = writeln!(text, "server {{ listen 127.0.0.1:{port}{of_listen}; server_name {};", rules[0].0);
        for (_, prefix) in rules {
            let _ = writeln!(text, "location {prefix} {{ proxy_pass http://web; }}");
        }
        text.push_str("}\n");
    }
    text + "}\n"
}

/// For haproxy: a map of beginnings, which compares octets and not segments. Its file, and the configuration that names it.
pub(crate) fn haproxy(routes: usize, port: u16, backend: &str, map: &str, tls: Option<&str>) -> (String, String) {
    let of_tls = tls.map(|pem| format!(" ssl crt {pem} alpn h2,http/1.1")).unwrap_or_default();
    let text = format!(
        "global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  option forwardfor\n  http-reuse always\nfrontend all\n  bind 127.0.0.1:{port}{of_tls}\n  use_backend %[base,map_beg({map})]\nbackend web\n  server one {backend}\n"
    );
    let mut entries: Vec<_> = all(routes).map(|(host, prefix)| format!("{host}{prefix} web\n")).collect();
    // The first one that fits is taken.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.len()));
    (text, entries.concat())
}
