//! A cache of credentials, which one thread at a time refreshes before they expire.

use super::error::CredentialsError;
use super::provide::{Credentials, ProvideCredentials};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::OneLine;

/// The target of events for operators.
const TARGET: &str = "vgi_rpc_s3";

/// Credentials that expire sooner are refreshed, while they are still used.
const REFRESH: Duration = Duration::from_secs(15 * 60);
/// Credentials that expire sooner are no longer used.
const LEAST: Duration = Duration::from_secs(60);
/// The time between attempts to refresh credentials that can still be used: a metadata service returns the same ones until
/// shortly before they expire.
const PAUSE: Duration = Duration::from_secs(30);

/// The credentials of a provider.
pub(crate) struct Cache {
    provider: Box<dyn ProvideCredentials>,
    current: Mutex<Current>,
    /// Locked while the provider is asked. Contains the last result.
    flight: Mutex<Option<Ended>>,
}

#[derive(Default)]
struct Current {
    credentials: Option<Arc<Credentials>>,
    /// When a refresh was last tried.
    tried: Option<Instant>,
}

/// The result of a refresh.
struct Ended {
    at: Instant,
    result: Result<Arc<Credentials>, CredentialsError>,
}

impl Cache {
    pub(crate) fn new(provider: Box<dyn ProvideCredentials>) -> Self {
        Self { provider, current: Mutex::default(), flight: Mutex::new(None) }
    }

    /// Returns credentials that can be used at this time, which is since the Unix epoch.
    pub(crate) fn get(&self, now: Duration) -> Result<Arc<Credentials>, CredentialsError> {
        let mut current = lock(&self.current);
        let Some(credentials) = current.credentials.clone() else {
            drop(current);
            return self.refresh(None);
        };
        match credentials.left(now) {
            Some(left) if left < LEAST => {
                drop(current);
                self.refresh(None)
            }
            Some(left) if left < REFRESH && current.tried.is_none_or(|tried| tried.elapsed() >= PAUSE) => {
                // This thread tries, and other threads continue with the current ones.
                current.tried = Some(Instant::now());
                drop(current);
                Ok(self.refresh(None).unwrap_or(credentials))
            }
            _ => Ok(credentials),
        }
    }

    /// Returns credentials to use instead of those that S3 has refused: the current ones if they differ, otherwise new ones.
    pub(crate) fn replace(&self, refused: &Arc<Credentials>) -> Result<Arc<Credentials>, CredentialsError> {
        let mut current = lock(&self.current);
        match current.credentials.clone() {
            Some(credentials) if credentials != *refused => Ok(credentials),
            _ => {
                current.credentials = None;
                drop(current);
                self.refresh(Some(refused))
            }
        }
    }

    /// Asks the provider, or waits for the thread that is asking it. If that thread received the refused credentials, asks the
    /// provider again.
    fn refresh(&self, refused: Option<&Arc<Credentials>>) -> Result<Arc<Credentials>, CredentialsError> {
        let asked = Instant::now();
        let mut flight = lock(&self.flight);
        let was_refused = |result: &Result<Arc<Credentials>, _>| matches!((result, refused), (Ok(credentials), Some(refused)) if credentials == refused);
        if let Some(ended) = flight.as_ref().filter(|ended| ended.at >= asked && !was_refused(&ended.result))
        {
            return ended.result.clone();
        }
        let result = self.provider.provide().map(Arc::new);
        if let Ok(credentials) = &result {
            let mut current = lock(&self.current);
            current.credentials = Some(credentials.clone());
        }
        let failed_before = flight.as_ref().is_some_and(|ended| ended.result.is_err());
        *flight = Some(Ended { at: Instant::now(), result: result.clone() });
        drop(flight);
        match &result {
            Err(error) if !failed_before => {
                tracing::warn!(target: TARGET, error = %OneLine(error), "no source provides S3 credentials");
            }
            Ok(_) if failed_before => tracing::info!(target: TARGET, "S3 credentials are available again"),
            _ => {}
        }
        result
    }
}

/// Locks a mutex. A provider that panics leaves the value consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    /// Returns credentials `1`, `2` and so on, each of which expires an hour after the previous one.
    fn counting(asked: Arc<AtomicU64>) -> Cache {
        Cache::new(Box::new(move || {
            let count = asked.fetch_add(1, Ordering::SeqCst) + 1;
            let mut credentials = Credentials::new(count.to_string(), Secret::new("s3cr3t"));
            credentials.expires_at = Some(hours(count));
            Ok(credentials)
        }))
    }

    #[test]
    fn credentials_are_kept_until_shortly_before_they_expire() {
        let asked = Arc::new(AtomicU64::new(0));
        let cache = counting(asked.clone());
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let id = |now| cache.get(now).unwrap().access_key_id.clone();
        assert_eq!((id(minutes(0)), id(minutes(44))), ("1".into(), "1".into()));
        assert_eq!((id(minutes(50)), id(minutes(50))), ("2".into(), "2".into()));
        assert_eq!(id(minutes(200)), "3", "what has expired is asked for, whenever that was tried last");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn threads_that_wait_share_one_answer() {
        for fails in [false, true] {
            let asked = Arc::new(AtomicU64::new(0));
            let (count, barrier) = (asked.clone(), Arc::new(Barrier::new(8)));
            let cache = Arc::new(Cache::new(Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(200));
                if fails {
                    return Err(CredentialsError::NoSource(Vec::new()));
                }
                Ok(Credentials::new("1", Secret::new("s3cr3t")))
            })));
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (cache, barrier) = (cache.clone(), barrier.clone());
                    thread::spawn(move || {
                        barrier.wait();
                        cache.get(Duration::ZERO).is_err()
                    })
                })
                .collect();
            assert!(threads.into_iter().all(|thread| thread.join().unwrap() == fails));
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        }
    }

    #[test]
    fn a_refresh_that_fails_leaves_what_can_still_be_used() {
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let cache = Cache::new(Box::new(move || {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                return Err(CredentialsError::NoSource(Vec::new()));
            }
            let mut credentials = Credentials::new("1", Secret::new("s3cr3t"));
            credentials.expires_at = Some(hours(1));
            Ok(credentials)
        }));
        let ten_before = hours(1) - Duration::from_secs(600);
        for now in [Duration::ZERO, ten_before, ten_before] {
            assert_eq!(cache.get(now).unwrap().access_key_id, "1");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "not at each call");
        assert!(cache.get(hours(1)).is_err());
    }

    #[test]
    fn what_another_thread_was_given_before_the_refusal_is_not_used() {
        let asked = Arc::new(AtomicU64::new(0));
        let (count, begun) = (asked.clone(), Arc::new(Barrier::new(2)));
        let barrier = begun.clone();
        let cache = Arc::new(Cache::new(Box::new(move || {
            let count = count.fetch_add(1, Ordering::SeqCst);
            if count == 1 {
                barrier.wait();
                thread::sleep(Duration::from_millis(100));
            }
            // The second answer is still the first one, like that of a service that is a moment late.
            Ok(Credentials::new(if count < 2 { "old" } else { "new" }, Secret::new("s3cr3t")))
        })));
        let old = cache.get(Duration::ZERO).unwrap();
        let (other, refused) = (cache.clone(), old.clone());
        let late = thread::spawn(move || other.replace(&refused).unwrap());
        begun.wait();
        assert_eq!(cache.replace(&old).unwrap().access_key_id, "new");
        assert_eq!((&*late.join().unwrap().access_key_id, asked.load(Ordering::SeqCst)), ("old", 3));
    }

    #[test]
    fn refused_credentials_are_replaced_once() {
        let asked = Arc::new(AtomicU64::new(0));
        let cache = counting(asked.clone());
        let first = cache.get(Duration::ZERO).unwrap();
        let second = cache.replace(&first).unwrap();
        for again in [cache.replace(&first), cache.get(Duration::ZERO)] {
            assert!(Arc::ptr_eq(&second, &again.unwrap()));
        }
        assert_eq!((&*second.access_key_id, asked.load(Ordering::SeqCst)), ("2", 2));
    }
}
