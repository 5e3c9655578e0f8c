//! The small numbers that a decision carries.

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The number: an index that is stable for the life of the table.
            pub const fn index(self) -> u32 {
                self.0
            }
        }
    )+};
}

ids! {
    /// A Gateway of a table.
    GatewayId;
    /// A port of a Gateway: where requests arrive.
    PortId;
    /// A listener of a Gateway or ListenerSet.
    ListenerId;
    /// A port of a Service that routes have as parent, as one group of clients sees it ([A-20], [A-21]).
    FrontendId;
    /// A route.
    RouteId;
    /// A rule of a route.
    RuleId;
    /// A match of a rule.
    MatchId;
    /// A backendRef of a rule or a filter.
    BackendId;
}
