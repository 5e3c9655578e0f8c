//! The choices that the specification leaves open, with their defaults.

use std::collections::BTreeSet;

use crate::features::Features;
use crate::resource::status::GatewayStatusAddress;

/// Options of [`compile`](crate::compile). Every default is the safe or the specified one; DESIGN.md says why.
///
/// ```
/// let mut options = gatewright::Options::default();
/// options.controller = Some("example.com/gateway".into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The controller whose GatewayClasses are served ([S-7]); `None` serves every Gateway of the input, also
    /// those whose GatewayClass is not part of it.
    pub controller: Option<Box<str>>,
    /// How requests are made canonical before they are matched.
    pub profile: Profile,
    /// What a backendRef to a Service means that is not part of the input.
    pub missing_services: MissingServices,
    /// The features that the embedding program carries out; all by default. What a manifest asks for beyond them
    /// is reported and never served without it ([S-21]).
    pub features: Features,
    /// The addresses that Gateways can be given ([L-28]); `None` takes every address of a known type as usable.
    pub addresses: Option<Vec<GatewayStatusAddress>>,
    /// Ports that the host cannot open ([L-13]).
    pub unavailable_ports: BTreeSet<u16>,
}

/// How a request's target and authority are made canonical ([R-P11]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Refuse what two readers may read differently, merge empty segments, resolve dot segments, decode
    /// unreserved characters (sections 3.1 to 3.4 of the security rules).
    #[default]
    Strict,
    /// Resolve dot segments, keep `//` and `%2F` as they are ([U-11]).
    Compatible,
}

/// What a backendRef to a Service means that is not part of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingServices {
    /// It does not exist: `BackendNotFound`, and its share of the requests answers 500 ([B-4]). Right when the
    /// input is a whole cluster.
    #[default]
    NotFound,
    /// It exists: it is found by its DNS name.
    Assume,
    /// It exists unless the input has some Service of the same namespace: then the input is taken to describe
    /// that namespace as a whole. Right for folders of manifests.
    Infer,
}
