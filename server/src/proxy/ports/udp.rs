//! UDP: a flow is what one client sends to one port. It keeps its backend, and ends when nothing has passed for a while
//! ([T-6], [T-7]).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright::{Arrival, ConnectionDecision, Pick};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::observe::{Open, PortSeries, count};
use crate::proxy::Shared;
use crate::proxy::backends::stream::CONNECT;
use crate::proxy::backends::upstream::Address;
use crate::proxy::ports::connection_record::{ConnectionRecord, word};
use crate::proxy::ports::listener::told;
use crate::publish::PortKey;

/// Datagrams of a flow that wait for its backend at most.
const WAITING: usize = 64;
/// Octets of the largest datagram.
const LARGEST: usize = 65_535;
/// How often the log tells of flows that find no place.
const TELL: Duration = Duration::from_secs(10);

/// How long backends have for answers when no more datagrams are taken: flows do not end by themselves.
const LINGER: Duration = Duration::from_secs(2);

/// Takes the datagrams of one port until it is closed or the server stops.
pub(in crate::proxy) async fn serve(shared: Arc<Shared>, key: Arc<PortKey>, socket: UdpSocket, mut closed: watch::Receiver<bool>) {
    let mut stop = shared.stop.clone();
    let mut port = Port {
        series: shared.metrics.port(&key),
        shared,
        key,
        socket: Arc::new(socket),
        flows: HashMap::new(),
        tasks: JoinSet::new(),
        random: RandomState::new(),
        refused: 0,
        told: None,
    };
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            received = port.socket.recv_from(&mut buffer) => match received {
                Ok((size, client)) => port.take(client, Bytes::copy_from_slice(&buffer[..size])),
                Err(error) => {
                    tracing::warn!(%error, "cannot receive");
                    sleep(Duration::from_millis(10)).await;
                }
            },
            Some(ended) = port.tasks.join_next() => match ended {
                Ok(client) => port.forget(client),
                Err(_) => port.flows.retain(|_, datagrams| !datagrams.is_closed()),
            },
            () = told(&mut closed) => break,
            () = told(&mut stop) => break,
        }
    }
    // What backends were asked is answered still.
    let answers = async { while port.tasks.join_next().await.is_some() {} };
    let _ = timeout(LINGER.min(port.shared.drain), answers).await;
}

/// A port and its flows.
struct Port {
    series: Arc<PortSeries>,
    shared: Arc<Shared>,
    key: Arc<PortKey>,
    socket: Arc<UdpSocket>,
    /// Where the datagrams of each client go.
    flows: HashMap<SocketAddr, mpsc::Sender<Bytes>>,
    tasks: JoinSet<SocketAddr>,
    random: RandomState,
    /// Datagrams that found no place since the log told of them.
    refused: u64,
    told: Option<Instant>,
}

impl Port {
    /// Takes a datagram of a client: into its flow, or into a new one.
    fn take(&mut self, client: SocketAddr, datagram: Bytes) {
        let datagram = match self.flows.get(&client).map(|flow| flow.try_send(datagram.clone())) {
            Some(Err(mpsc::error::TrySendError::Closed(datagram))) => datagram,
            // What the backend has no time for is lost, as UDP allows.
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(_))) => return,
            None => datagram,
        };
        if self.flows.len() >= self.shared.udp_flows {
            self.refuse();
            return;
        }
        let Some((address, record)) = self.decide(client) else { return };
        let (sender, datagrams) = mpsc::channel(WAITING);
        // There is room for the first one.
        let _ = sender.try_send(datagram);
        self.flows.insert(client, sender);
        let (socket, idle) = (Arc::clone(&self.socket), self.shared.udp_idle);
        self.tasks.spawn(async move {
            let _record = record;
            if let Err(error) = flow(&socket, client, &address, datagrams, idle).await {
                tracing::debug!(%error, %client, "a flow ended");
            }
            client
        });
    }

    /// Where the flow of a client goes, if anywhere. The pick is made from the client, so that a flow whose share is invalid
    /// stays rejected and nothing has to be kept of it.
    fn decide(&self, client: SocketAddr) -> Option<(Address, (Open, ConnectionRecord))> {
        let published = self.shared.current.load();
        let pick = Pick(self.random.hash_one(client));
        let decision = published.table.decide_connection(&Arrival::on(*published.ports.get(&*self.key)?), pick);
        let open = self.series.open();
        open.decided(word(&decision));
        match decision {
            ConnectionDecision::Forward(forward) => {
                let in_flight = published.series.backend(&published.table, forward.backend).start();
                let of = (&published.table, &decision);
                let mut record = ConnectionRecord::new(&self.shared, &self.key, ("UDP", client, None), of, Some(in_flight));
                let address = self.shared.upstreams.address(published.table.backend(forward.backend)?, None, pick.derive(0).0)?;
                record.goes_to(&address);
                Some((address, (open, record)))
            }
            _ => {
                tracing::debug!(peer = %client, port = %self.key, ?decision, "a datagram is dropped");
                None
            }
        }
    }

    /// A flow finds no place; the log tells of it once in a while.
    fn refuse(&mut self) {
        self.refused += 1;
        count(&self.series.datagrams_dropped);
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            tracing::warn!(port = %self.key, datagrams = self.refused, "too many flows: datagrams are dropped");
            (self.refused, self.told) = (0, Some(Instant::now()));
        }
    }

    /// A flow has ended; its client may have begun another one meanwhile.
    fn forget(&mut self, client: SocketAddr) {
        if self.flows.get(&client).is_some_and(mpsc::Sender::is_closed) {
            self.flows.remove(&client);
        }
    }
}

/// Carries datagrams between a client and its backend until none has come for a while.
async fn flow(socket: &UdpSocket, client: SocketAddr, address: &str, mut datagrams: mpsc::Receiver<Bytes>, idle: Duration) -> Result<()> {
    let address = timeout(CONNECT, tokio::net::lookup_host(address)).await??.next().ok_or(ErrorKind::NotFound)?;
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connected: only what its backend sends is an answer.
    let backend = UdpSocket::bind((any, 0)).await?;
    backend.connect(address).await?;
    loop {
        let passed = tokio::select! {
            datagram = datagrams.recv() => match datagram {
                Some(datagram) => backend.send(&datagram).await,
                None => return Ok(()),
            },
            ready = backend.readable() => {
                ready?;
                // Not kept between datagrams: most flows wait most of the time.
                let mut answer = Vec::with_capacity(LARGEST);
                match backend.try_recv_buf(&mut answer) {
                    Ok(_) => socket.send_to(&answer, client).await,
                    Err(error) => Err(error),
                }
            }
            () = sleep(idle) => return Ok(()),
        };
        match passed {
            // Refused: nobody listens at the backend, for now.
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => return Err(error),
            _ => {}
        }
    }
}
