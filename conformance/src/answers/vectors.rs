//! The worlds of the vectors.

use gatewright::{Arrival, Pick, Table};

use super::ask::Ask;
use super::question::{At, ConnectionQuestion, RequestQuestion};
use super::{Suite, World, chosen, conversation};
use crate::vectors::{self, Asked, Connected, Transport, Vector, fields, nth_pick};

/// Every vector.
pub(super) fn worlds(tell: &mut dyn FnMut(&World) -> Result<(), String>) -> Result<(), String> {
    for vector in vectors::read(&vectors::folder())? {
        tell(&world(&vector).map_err(|error| format!("{}: {error}", vector.name()))?)?;
    }
    Ok(())
}

fn world(vector: &Vector) -> Result<World, String> {
    let (loaded, compiled) = vector.world.compile()?;
    let manifests = vector.world.texts().cloned().collect();
    let options = vector.world.options.options()?;
    let mut world = World::new(vector.name(), Suite::Vectors, manifests, &options, &loaded, &compiled)?;
    for asked in &vector.requests {
        request(asked, &vector.world, &compiled.table, &mut world.asks)?;
    }
    for connected in &vector.connections {
        connection(connected, &vector.world, &compiled.table, &mut world.asks)?;
    }
    for steps in &vector.conversations {
        world.conversations.push(conversation::play(steps, &vector.world)?);
    }
    world.session = (!world.conversations.is_empty()).then(conversation::Session::of_vectors);
    Ok(world)
}

/// A request with each of its picks.
fn request(asked: &Asked, world: &vectors::World, table: &Table, asks: &mut Vec<Ask>) -> Result<(), String> {
    let headers = fields(&asked.headers)?;
    let place = asked.own_place().or(&world.place);
    let at = At::new(&place, asked.sni.as_deref())?;
    let Some(request) = asked.request(&world.place, table, &headers)? else {
        let authority = asked.authority.as_ref().or(world.place.authority.as_ref()).ok_or("no authority")?;
        let question = RequestQuestion::unasked(at, &asked.method, authority, &asked.target, &headers, Pick(asked.pick));
        asks.push(Ask::passing_request(question.with_headers(&asked.headers)));
        return Ok(());
    };
    let response = asked.given_response()?;
    for (n, pick) in picks(asked.pick, asked.shares.as_ref().map(|shares| shares.picks)).enumerate() {
        let question = RequestQuestion::new(at.clone(), &request, pick).with_headers(&asked.headers);
        asks.push(Ask::request(question, table, &request, pick, &response, n == 0)?);
    }
    Ok(())
}

/// A connection with each of its picks.
fn connection(connected: &Connected, world: &vectors::World, table: &Table, asks: &mut Vec<Ask>) -> Result<(), String> {
    let place = connected.own_place().or(&world.place);
    let at = At::new(&place, connected.sni.as_deref())?;
    let udp = connected.transport == Transport::Udp;
    let Some(place) = place.find(table, udp)? else {
        asks.push(Ask::passing_connection(ConnectionQuestion::new(at, udp, Pick(connected.pick))));
        return Ok(());
    };
    let arrival = Arrival { place, sni: connected.sni.as_deref(), listener: None };
    for (n, pick) in picks(connected.pick, connected.shares.as_ref().map(|shares| shares.picks)).enumerate() {
        let question = ConnectionQuestion::new(at.clone(), udp, pick);
        asks.push(Ask::connection(question, table, &arrival, pick, n == 0)?);
    }
    Ok(())
}

/// The one pick, or those of the shares.
fn picks(one: u64, shares: Option<u64>) -> impl Iterator<Item = Pick> {
    chosen(shares.unwrap_or(1)).map(move |n| Pick(shares.map_or(one, |of| nth_pick(n, of))))
}
