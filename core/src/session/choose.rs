//! The choice of a backendRef: by the session of the request, else by weight ([SP-1], [SP-6], [SP-7], [B-1]).

use super::cookie::cookie_values;
use super::{Claim, Owner, Pinned, Scope, Session, Sessions};
use crate::decision::{Matched, Parent};
use crate::diagnostic::ObjectRef;
use crate::model::session::{SessionCarrier, SessionPersistence};
use crate::request::{Headers, Pick};
use crate::table::rule::{RuleData, Share};
use crate::table::{Backend, Table};

/// Cookies of one name that are looked at.
const COOKIES: usize = 8;

/// A chosen backendRef, with the session it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) share: &'a Share,
    pub(crate) session: Option<Session<'a>>,
}

impl Table {
    /// Chooses among the backendRefs of a rule; `None` when all weights are zero.
    ///
    /// A session of the rule, or one of a backend of which all others have sessions as well, stays where it is even if
    /// its weight is zero by now. Where only some backends ask for sessions, weights come first, and the session is
    /// kept inside of the chosen backend ([SP-7]). An invalid backendRef has no backend, so nothing is pinned to it
    /// ([U-43]).
    pub(crate) fn choose_share<'a, H: Headers + ?Sized>(
        &'a self,
        rule: &'a RuleData,
        matched: Matched,
        headers: &'a H,
        pick: Pick,
        sessions: Option<&Sessions<'_>>,
    ) -> Option<Choice<'a>> {
        let opened = Opened { table: self, matched, headers, sessions };
        let backend = |share: &Share| share.backend.and_then(|id| self.backend(id));
        if let Some(persistence) = rule.session() {
            let established = opened.claim(persistence, None).and_then(|claim| self.pinned_share(rule, &claim));
            let (share, index, pinned) = match established {
                Some((share, index, pinned)) => (share, index, Some(pinned)),
                None => rule.shares.pick(pick).map(|(index, share)| (share, index, None))?,
            };
            return Some(Choice { share, session: Some(Session { persistence, of_backend: false, share: index, pinned }) });
        }
        if !self.inner.backend_sessions {
            return rule.shares.pick(pick).map(|(_, share)| Choice { share, session: None });
        }
        let of_backend = |share, backend: &'a Backend, index, pinned| Choice {
            share,
            session: backend.session.as_ref().map(|persistence| Session { persistence, of_backend: true, share: index, pinned }),
        };
        if sessions.is_some() && rule.shares.iter().all(|(_, share)| backend(share).is_none_or(|b| b.session.is_some())) {
            for backend in rule.shares.iter().filter_map(|(_, share)| backend(share)) {
                let claim = backend.session.as_ref().and_then(|session| opened.claim(session, Some(backend)));
                let found = claim.and_then(|claim| Some((claim.find(backend)?, self.pinned_share(rule, &claim)?)));
                if let Some((pinned, (share, index, _))) = found {
                    return Some(of_backend(share, backend, index, Some(pinned)));
                }
            }
        }
        let (index, share) = rule.shares.pick(pick)?;
        let Some(backend) = backend(share) else { return Some(Choice { share, session: None }) };
        let claim = backend.session.as_ref().and_then(|session| opened.claim(session, Some(backend)));
        Some(of_backend(share, backend, index, claim.and_then(|claim| claim.find(backend))))
    }

    /// The backendRef that a token names: at the place it had, else the first one with that backend ([U-45]).
    fn pinned_share<'a>(&'a self, rule: &'a RuleData, claim: &Claim) -> Option<(&'a Share, u16, Pinned<'a>)> {
        let found = |(n, share): (usize, &'a Share)| {
            let pinned = claim.find(share.backend.and_then(|id| self.backend(id))?)?;
            Some((share, u16::try_from(n).ok()?, pinned))
        };
        let at_its_place = claim.share().map(usize::from).and_then(|n| found((n, rule.shares.get(n)?)));
        at_its_place.or_else(|| rule.shares.iter().map(|(_, share)| share).enumerate().find_map(found))
    }

    /// Where a token of this request is good; `None` for ids of another table.
    pub(crate) fn session_scope<'a>(&'a self, matched: Matched, backend: Option<&'a Backend>) -> Option<Scope<'a>> {
        let owner = match backend {
            Some(backend) => Owner::Backend(&backend.object, backend.port),
            None => Owner::Rule(&self.route(matched.route)?.object, self.rule(matched.rule)?),
        };
        Some(Scope { parent: self.session_parent(matched)?, owner })
    }

    fn session_parent(&self, matched: Matched) -> Option<&ObjectRef> {
        match matched.parent {
            Parent::Listener(id) => Some(&self.gateway(self.listener(id)?.gateway)?.object),
            Parent::Service(id) => Some(&self.frontend(id)?.service),
        }
    }
}

/// The tokens of one request.
struct Opened<'a, 's, H: ?Sized> {
    table: &'a Table,
    matched: Matched,
    headers: &'a H,
    sessions: Option<&'s Sessions<'s>>,
}

impl<'a, H: Headers + ?Sized> Opened<'a, '_, H> {
    /// The token of a session of the rule, or of this backend, opened.
    fn claim(&self, session: &'a SessionPersistence, backend: Option<&'a Backend>) -> Option<Claim> {
        let sessions = self.sessions?;
        let scope = self.table.session_scope(self.matched, backend)?;
        let open = |token| sessions.claim(&scope, session, token);
        match session.carrier() {
            // A browser may have several of one name, of other paths or domains: the first that opens counts.
            SessionCarrier::Cookie => cookie_values(self.headers, session.name()).take(COOKIES).find_map(open),
            SessionCarrier::Header => self.headers.first(session.field()).and_then(open),
        }
    }
}
