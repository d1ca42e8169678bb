//! A call whose work runs on a thread, and that a driver may end.

use crate::service::CallRecord;
use crate::service::call::given_up;
use crate::service::record::Scopes;
use http::StatusCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The status in the record of a call whose client disconnected before the response. Servers commonly log 499 then, which is
/// not a registered status.
pub(super) const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// A call whose work runs on a thread, in its state when the work began.
pub struct RunningCall {
    record: CallRecord,
    scopes: Option<Arc<Scopes>>,
}

impl RunningCall {
    pub(super) fn new(record: CallRecord, scopes: Option<Arc<Scopes>>) -> Self {
        Self { record, scopes }
    }

    /// Ends the call because its work is no longer needed. Notifies its listeners, unless they were notified before, and
    /// returns the record for the access log. `now` is the time since the Unix epoch.
    pub fn cut_off(self, now: Duration) -> CallRecord {
        let Self { mut record, scopes } = self;
        record.error = Some(given_up());
        record.ended = now.max(record.started);
        if let Some(http) = &mut record.http {
            http.status = CLIENT_GONE.as_u16();
        }
        if let Some(scopes) = scopes {
            scopes.end(&mut record);
        }
        record
    }
}

impl fmt::Debug for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCall").field("record", &self.record).finish_non_exhaustive()
    }
}
