//! The effect that fetches an external object. WIRE_PROTOCOL 12, "Fetch safety".

use crate::location::Location;

/// Fetch the object at a URL.
///
/// A driver says when an attempt begins, and in which content coding (`begin_effect_attempt` of the machine); gives the bytes in
/// pieces, as they were stored and without undoing the coding; and completes the effect with
/// [`Completion::Done`](super::Completion::Done). If an attempt fails and another may do better, it begins that one, and gives
/// all of the object again. A machine that has no more use for the object withdraws the effect.
///
/// Before each request, the driver applies its policy to the URL, to the target of every redirect, and to each address that it
/// connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where the object lies. `Debug` shows no more of it than its path.
    pub location: Location,
    /// Most bytes of the object, as it is stored: what is announced as larger need not be fetched. The machine counts what
    /// arrives itself.
    pub max_bytes: u64,
}
