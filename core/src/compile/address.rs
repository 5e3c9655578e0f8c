//! The addresses that a Gateway asks for ([L-28]).

use super::findings::{Findings, Problem};
use super::input::Input;
use crate::diagnostic::Code;
use crate::features::Feature;
use crate::resource::gateway::GatewaySpecAddress;
use crate::resource::status::GatewayStatusAddress;

/// What becomes of the addresses of a Gateway.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Those it has.
    pub(crate) assigned: Vec<GatewayStatusAddress>,
    /// Why the Gateway is not accepted.
    pub(crate) unsupported: Option<String>,
    /// Why it is not programmed.
    pub(crate) unusable: Option<Problem>,
}

/// Looks the wanted addresses up in the pool of the host, if it has one; else every address of a known type is
/// taken as usable.
pub(crate) fn check(wanted: &[GatewaySpecAddress], input: &Input<'_>, findings: &mut Findings) -> Addresses {
    let (pool, features) = (input.options.addresses.as_deref(), input.options.features);
    let mut addresses = Addresses::default();
    if wanted.is_empty() {
        addresses.assigned.extend(pool.into_iter().flatten().take(1).map(typed));
        if pool.is_some_and(<[_]>::is_empty) {
            addresses.unusable = Some(("AddressNotAssigned", "the host has no address to give".to_owned()));
        }
    }
    for (n, one) in wanted.iter().enumerate() {
        let path = format!("spec.addresses[{n}]");
        let type_ = one.type_.as_deref().unwrap_or(IP);
        let value = one.value.as_deref().filter(|value| !value.is_empty());
        let unsupported = if !matches!(type_, IP | "Hostname") {
            Some((format!("{path}.type"), format!("addresses of type `{type_}` are not supported, expected IPAddress or Hostname")))
        } else if value.is_some() && !features.contains(Feature::GatewayStaticAddresses) {
            Some((format!("{path}.value"), format!("{} is not supported here", Feature::GatewayStaticAddresses)))
        } else {
            None
        };
        if let Some((at, message)) = unsupported {
            addresses.unsupported.get_or_insert_with(|| format!("{at}: {message}"));
            findings.error(Code::UnsupportedValue, at, message);
            continue;
        }
        let of_type = || pool.into_iter().flatten().filter(|address| address.type_.as_deref().unwrap_or(IP) == type_);
        let found = match value {
            None if !features.contains(Feature::GatewayAddressEmpty) => {
                Err(("AddressNotAssigned", path, format!("{} is not supported here", Feature::GatewayAddressEmpty)))
            }
            // Any address of the type.
            None if pool.is_none() => continue,
            None => of_type().next().map(typed).ok_or_else(|| ("AddressNotAssigned", path, format!("no {type_} is left to give"))),
            Some(value) => {
                let usable = match pool {
                    Some(_) => of_type().any(|address| address.value == value),
                    None => type_ != IP || value.parse::<std::net::IpAddr>().is_ok(),
                };
                let address = GatewayStatusAddress { type_: Some(type_.to_owned()), value: value.to_owned() };
                if usable { Ok(address) } else { Err(("AddressNotUsable", format!("{path}.value"), format!("`{value}` cannot be used"))) }
            }
        };
        match found {
            Ok(address) => addresses.assigned.push(address),
            Err((reason, at, message)) => {
                addresses.unusable.get_or_insert_with(|| (reason, format!("{at}: {message}")));
                findings.error(Code::UnsupportedValue, at, message);
            }
        }
    }
    addresses
}

const IP: &str = "IPAddress";

/// An entry of `status.addresses` has a type.
fn typed(address: &GatewayStatusAddress) -> GatewayStatusAddress {
    GatewayStatusAddress { type_: Some(address.type_.clone().unwrap_or_else(|| IP.to_owned())), value: address.value.clone() }
}
