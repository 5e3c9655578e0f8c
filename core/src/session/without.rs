//! Without the feature `session` there is no cipher: nothing is opened, so nothing is pinned.

use super::{Pinned, Scope};
use crate::model::session::SessionPersistence;
use crate::table::Backend;

/// No keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sessions<'k> {
    #[expect(dead_code, reason = "nobody can have one")]
    Never(std::convert::Infallible, std::marker::PhantomData<&'k ()>),
}

impl Sessions<'_> {
    pub(crate) fn claim(&self, _: &Scope<'_>, _: &SessionPersistence, _: &[u8]) -> Option<Claim> {
        None
    }
}

/// What a token would name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {}

impl Claim {
    pub(crate) fn share(&self) -> Option<u16> {
        match *self {}
    }

    pub(crate) fn find<'b>(&self, _: &'b Backend) -> Option<Pinned<'b>> {
        match *self {}
    }
}
